"""A denoiser that computes as a calibration would have it, in torch: the reference for the graph
that is lowered from the same calibration."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from backend.contracts import Precision
from backend.quantize.calibration import Calibration, LayerCalibration, failed
from backend.quantize.quantisers import insert_quantisers, shared_copy
from backend.quantize.recipes import NVFP4_BLOCK
from backend.quantize.smoothing import smoothed

INPUT: dict[Precision, dict[str, Any]] = {
    Precision.INT8: {"num_bits": 8, "axis": None},
    Precision.FP8: {"num_bits": (4, 3), "axis": None},
}
FP4_MAX = 6.0
FP8_MAX = 448.0
TINY = 1e-12
WEIGHT = INPUT | {Precision.INT8: {"num_bits": 8, "axis": 0}}
"""Attributes of ModelOpt's quantisers; INT8 weights have a range per output channel."""


def fake_quantised(module: nn.Module, calibration: Calibration) -> nn.Module:
    """A copy of `module` that quantises and dequantises as the calibration says.

    It shares the parameters that SmoothQuant does not change. Run it where nothing else uses
    torch's attention at the same time.

    Raises StudioError CALIBRATION_FAILED (of another model).
    """
    device = next(module.parameters()).device
    twin = shared_copy(module)
    names = {name for name, _ in twin.named_modules()}
    for name, layer in calibration.layers.items():
        if name not in names:
            raise failed(f"it has no layer {name}")
        if layer.pre_quant_scale is not None:
            _smooth(twin.get_submodule(name), torch.from_numpy(layer.pre_quant_scale))
    twin = insert_quantisers(twin)
    for name, layer in calibration.layers.items():
        if layer.kind == "attention":
            _set_attention(twin.get_submodule(name), layer, device)
        else:
            _set_layer(twin.get_submodule(name), layer, device)
    return twin


class RoundToNvfp4(nn.Module):
    """NVFP4 and back: blocks of 16 along the last axis, FP8 block scales under one FP32 scale.

    ModelOpt's own runs on CUDA only; tests hold this one against its NVFP4QTensor.
    """

    is_enabled = True

    def __init__(self, amax: float) -> None:
        super().__init__()
        self.fixed = amax / (FP4_MAX * FP8_MAX)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        blocks = x.float().unflatten(-1, (-1, NVFP4_BLOCK))
        ideal = blocks.abs().amax(-1, keepdim=True) / FP4_MAX / self.fixed
        steps = ideal.clamp(max=FP8_MAX).to(torch.float8_e4m3fn).float() * self.fixed
        values = (blocks / steps.clamp(min=TINY)).clamp(-FP4_MAX, FP4_MAX)
        grid = torch.where(values.abs() < 2, 0.5, torch.where(values.abs() < 4, 1.0, 2.0))
        rounded: torch.Tensor = (values / grid).round() * grid * steps
        return rounded.flatten(-2).to(x.dtype)


def _smooth(linear: nn.Module, scale: torch.Tensor) -> None:
    assert isinstance(linear, nn.Linear)
    weight = linear.weight.detach()
    changed = smoothed(weight, scale.to(weight.device)).to(weight.dtype)
    linear.weight = nn.Parameter(changed, requires_grad=False)


def _set_layer(layer: Any, known: LayerCalibration, device: torch.device) -> None:
    assert known.input_amax is not None and known.weight_amax is not None
    if known.precision is Precision.NVFP4:
        layer.input_quantizer = RoundToNvfp4(known.input_amax)
        layer.weight_quantizer = RoundToNvfp4(float(known.weight_amax))
        return
    _switch_on(layer.input_quantizer, INPUT[known.precision], torch.tensor(known.input_amax))
    ranges = torch.from_numpy(known.weight_amax)
    if ranges.dim():
        ranges = ranges.reshape(-1, *[1] * (layer.weight.dim() - 1))
    _switch_on(layer.weight_quantizer, WEIGHT[known.precision], ranges)
    if known.pre_quant_scale is not None:
        scale = torch.from_numpy(known.pre_quant_scale)
        layer.input_quantizer.pre_quant_scale = scale.to(layer.weight.dtype)
    layer.input_quantizer.to(device)
    layer.weight_quantizer.to(device)


def _set_attention(layer: Any, known: LayerCalibration, device: torch.device) -> None:
    for quantiser, amax in (
        (layer.q_bmm_quantizer, known.q_amax),
        (layer.k_bmm_quantizer, known.k_amax),
        (layer.v_bmm_quantizer, known.v_amax),
        (layer.softmax_quantizer, known.softmax_amax),
    ):
        assert amax is not None
        _switch_on(quantiser, INPUT[known.precision], torch.tensor(amax))
        quantiser.to(device)
    # ModelOpt's own leaves the probabilities as they are
    layer._functionals_to_replace = [(functional, "scaled_dot_product_attention", _attend)]


def _switch_on(quantiser: Any, attributes: dict[str, Any], amax: torch.Tensor) -> None:
    quantiser.set_from_attribute_config(attributes | {"enable": True})
    quantiser.amax = amax


def _attend(
    layer: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """scaled_dot_product_attention with query, key, value and probabilities quantised.

    Shapes (..., tokens, head size).
    """
    assert not is_causal and not enable_gqa and not dropout_p
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    query, key = layer.q_bmm_quantizer(query), layer.k_bmm_quantizer(key)
    scores = torch.matmul(query, key.transpose(-2, -1)).float() * scale
    if attn_mask is not None:
        hidden = attn_mask.logical_not() if attn_mask.dtype == torch.bool else None
        scores = scores + attn_mask if hidden is None else scores.masked_fill(hidden, -torch.inf)
    probabilities = layer.softmax_quantizer(scores.softmax(-1).to(value.dtype))
    return torch.matmul(probabilities, layer.v_bmm_quantizer(value))
