"""ModelOpt's quantisers in a copy of a module, and the calibrator of ours for them.

nvidia-modelopt 0.47, modelopt/torch/quantization. While a layer with quantisers runs, ModelOpt
replaces torch's attention functions for the whole process: use it in a process of its own.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from backend.quantize.recipes import Kind, LayerInfo

ATTENTION_FUNCTIONS = (
    (torch, "bmm"),
    (torch, "baddbmm"),
    (functional, "scaled_dot_product_attention"),
)


def layers_of(module: nn.Module) -> tuple[LayerInfo, ...]:
    """The Linear layers, convolutions and attentions of a diffusers module."""
    found: list[LayerInfo] = []
    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            kind: Kind = "linear" if isinstance(layer, nn.Linear) else "conv"
            found.append(LayerInfo(name, kind, tuple(layer.weight.shape)))
        elif hasattr(layer, "to_q") and hasattr(layer, "heads"):
            heads = int(layer.heads)
            found.append(LayerInfo(name, "attention", (heads, int(layer.inner_dim) // heads)))
    return tuple(found)


@dataclass
class Calls:
    """How often the module has run: one call a denoising step, picture after picture."""

    steps: int
    done: int = 0

    @property
    def step(self) -> int:
        return self.done % self.steps


class MinMean:
    """A calibrator for ModelOpt, see `Recipe.percentile`; keeps one number a step."""

    def __init__(self, percentile: float, step_range: tuple[int, int], calls: Calls) -> None:
        self._percentile = percentile
        self._steps = range(*step_range)
        self._calls = calls
        self._sums: dict[int, torch.Tensor] = {}
        self._counts: dict[int, int] = {}

    def collect(self, x: torch.Tensor) -> None:
        step = self._calls.step
        if step in self._steps:
            found = quantile(x.detach().abs(), self._percentile).double()
            if not bool(found.isfinite()):
                raise FloatingPointError(f"{found.item()} in the input of a convolution")
            self._sums[step] = found + self._sums.get(step, 0)
            self._counts[step] = self._counts.get(step, 0) + 1

    def compute_amax(self) -> torch.Tensor | None:
        means = [total / self._counts[step] for step, total in self._sums.items()]
        return torch.stack(means).amin() if means else None

    def reset(self) -> None:
        self._sums.clear()
        self._counts.clear()


def quantile(values: torch.Tensor, fraction: float) -> torch.Tensor:
    """The smallest of `values` that at least `fraction` of them do not exceed, 0 < fraction <= 1.

    torch.quantile refuses more than 16 M values.
    """
    flat = values.flatten()
    rank = max(1, math.ceil(fraction * flat.numel()))
    return flat.amax() if rank >= flat.numel() else flat.kthvalue(rank).values


def insert_quantisers(module: nn.Module) -> nn.Module:
    """Give the module ModelOpt's quantisers, in place, all of them off.

    Quantisers are then set one by one: names in `quant_cfg` are patterns, each tried on every
    quantiser of the model, which takes long with thousands of both.
    """
    import modelopt.torch.quantization as mtq

    off = [{"quantizer_name": "*", "enable": False}]
    quantised: nn.Module = mtq.quantize(module, {"quant_cfg": off, "algorithm": None})
    layer: Any
    for layer in quantised.modules():
        if hasattr(layer, "q_bmm_quantizer"):
            # with its quantisers off, ModelOpt's attention looks for ranges all the same
            layer._functionals_to_replace = []
    return quantised


def watch_attention(layer: Any) -> None:
    """Let the attention use its quantisers again, and switch those of its inputs on."""
    layer._functionals_to_replace = type(layer)._functionals_to_replace
    for quantiser in (layer.q_bmm_quantizer, layer.k_bmm_quantizer, layer.v_bmm_quantizer):
        quantiser.enable()


def shared_copy(module: nn.Module) -> nn.Module:
    """A copy that has the very parameters of `module`: change none of them in place."""
    return copy.deepcopy(module, {id(one): one for one in module.parameters()})


@contextmanager
def plain_functions_after() -> Iterator[None]:
    """Put torch's attention functions back after an error too, which ModelOpt does not do."""
    plain = [(owner, name, getattr(owner, name)) for owner, name in ATTENTION_FUNCTIONS]
    try:
        yield
    finally:
        for owner, name, function in plain:
            setattr(owner, name, function)
