"""Ranges of a denoiser's weights and activations, watched while it makes pictures.

Calibrate in a process of its own: see quantisers.py.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import nn

from backend.contracts import Precision
from backend.errors import Code, StudioError
from backend.quantize.quantisers import (
    Calls,
    MinMean,
    insert_quantisers,
    layers_of,
    plain_functions_after,
    shared_copy,
    watch_attention,
)
from backend.quantize.recipes import Kind, Recipe, layer_precisions
from backend.quantize.smoothing import smoothed, smoothing_scale

Array = NDArray[np.float32]

FORMAT = 1
METADATA = "calibration"


@dataclass(frozen=True, eq=False)
class LayerCalibration:
    """What one layer needs to be quantised. Every range is positive and finite.

    A range `amax` maps to the largest value of the precision: 127, 448 or (NVFP4) 6 * 448.

    input_amax: range of the layer's input, times `pre_quant_scale` if there is one.
    weight_amax: ranges (out,) per output channel for INT8, () of the whole weight for FP8 and
        NVFP4; of the smoothed weight if there is a `pre_quant_scale`.
    pre_quant_scale: (in,), INT8 Linear layers only: x @ W.T = (x * scale) @ smoothed(W, scale).T.
    q_amax, k_amax, v_amax: ranges of what scaled_dot_product_attention is given, before its scale.
    softmax_amax: 1, for probabilities.
    """

    kind: Kind
    precision: Precision
    input_amax: float | None = None
    weight_amax: Array | None = None
    pre_quant_scale: Array | None = None
    q_amax: float | None = None
    k_amax: float | None = None
    v_amax: float | None = None
    softmax_amax: float | None = None


TENSORS = [one.name for one in fields(LayerCalibration) if one.name not in ("kind", "precision")]
ARRAYS = ("weight_amax", "pre_quant_scale")
LAYER = {"input_amax", "weight_amax"}
ATTENTION = {"q_amax", "k_amax", "v_amax", "softmax_amax"}


@dataclass(frozen=True, eq=False)
class Calibration:
    """All layers that a recipe quantises, by their path in the module."""

    family: str
    recipe: Recipe
    layers: Mapping[str, LayerCalibration]

    def to_bytes(self) -> bytes:
        """A safetensors file: `<layer>.<field>` in FP32, the rest as JSON in its metadata."""
        about = {
            "format": FORMAT,
            "family": self.family,
            "recipe": asdict(self.recipe),
            "layers": {
                name: {"kind": layer.kind, "precision": layer.precision}
                for name, layer in self.layers.items()
            },
        }
        tensors = {
            f"{name}.{field}": np.asarray(getattr(layer, field), dtype=np.float32)
            for name, layer in self.layers.items()
            for field in TENSORS
            if getattr(layer, field) is not None
        }
        return save(tensors, metadata={METADATA: json.dumps(about)})

    @property
    def digest(self) -> str:
        """SHA-256 of the file that `save` writes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def save(self, file: Path) -> None:
        """Write under a temporary name, then rename. Raises OSError."""
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part")
        try:
            unfinished.write_bytes(self.to_bytes())
            unfinished.replace(file)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, file: Path) -> "Calibration":
        """Raises StudioError CALIBRATION_UNREADABLE."""
        try:
            with safe_open(file, framework="numpy") as opened:
                about = json.loads((opened.metadata() or {})[METADATA])
                tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            if about["format"] != FORMAT:
                raise ValueError(f"format {about['format']}, not {FORMAT}")
            if not all(np.isfinite(one).all() and (one > 0).all() for one in tensors.values()):
                raise ValueError("a range that is not positive and finite")
            return cls(
                about["family"],
                recipe_from(about["recipe"]),
                {name: _loaded(name, one, tensors) for name, one in about["layers"].items()},
            )
        except (
            OSError,
            SafetensorError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise StudioError(
                Code.CALIBRATION_UNREADABLE, repr(error), path=str(file), problem=str(error)
            ) from error


def recipe_from(about: dict[str, Any]) -> Recipe:
    """A recipe from its plain data, as `asdict` and JSON leave it."""
    steps = about["step_range"]
    return Recipe(
        **about
        | {
            "precision": Precision(about["precision"]),
            "step_range": None if steps is None else (steps[0], steps[1]),
        }
    )


def _loaded(name: str, about: dict[str, Any], tensors: dict[str, Array]) -> LayerCalibration:
    found: dict[str, Any] = {
        field: tensors[f"{name}.{field}"] for field in TENSORS if f"{name}.{field}" in tensors
    }
    needed = ATTENTION if about["kind"] == "attention" else LAYER
    if missing := needed - found.keys():
        raise ValueError(f"{name} lacks {', '.join(sorted(missing))}")
    for field in found.keys() - set(ARRAYS):
        found[field] = float(found[field])
    return LayerCalibration(kind=about["kind"], precision=Precision(about["precision"]), **found)


def calibrate(
    module: nn.Module,
    recipe: Recipe,
    family: str,
    forward_loop: Callable[[nn.Module], None],
    on_progress: Callable[[int, int], None],
    check: Callable[[], None],
) -> Calibration:
    """Watch a module while it makes pictures. The module is not changed, nor are weights copied.

    `forward_loop` is given a stand-in for the module and makes `recipe.samples` pictures with it,
    one at a time, each of `recipe.steps` calls. `on_progress` hears calls done and wanted;
    `check` is called before each and may raise to stop.

    Raises StudioError RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN, CALIBRATION_FAILED (values that
    are not finite, layers that did not run, a wrong number of calls), and what the callbacks raise.
    """
    import modelopt.torch.quantization as mtq

    precisions = layer_precisions(recipe, family, layers_of(module))
    if not precisions:
        raise failed("it has no layer that this level quantises")
    twin = insert_quantisers(shared_copy(module))
    calls = Calls(recipe.steps)
    wanted = recipe.samples * recipe.steps
    for name, precision in precisions.items():
        _watch(twin.get_submodule(name), precision, recipe, calls)

    def after(*_: Any) -> None:
        calls.done += 1
        on_progress(calls.done, wanted)

    twin.register_forward_pre_hook(lambda *_: check())
    twin.register_forward_hook(after)
    try:
        with plain_functions_after():
            mtq.calibrate(twin, "max", forward_loop)
    except (AssertionError, FloatingPointError) as error:  # ModelOpt's calibrators, and ours
        if isinstance(error, AssertionError) and not str(error).startswith("detected"):
            raise
        raise failed("its activations are not finite", repr(error)) from error
    if calls.done != wanted:
        raise failed(f"it was called {calls.done} times instead of {wanted}")
    layers = {
        name: _read(name, module.get_submodule(name), twin.get_submodule(name), precision, recipe)
        for name, precision in precisions.items()
    }
    return Calibration(family, recipe, layers)


def _smooths(layer: nn.Module, precision: Precision, recipe: Recipe) -> bool:
    return (
        recipe.smoothquant_alpha is not None
        and precision is Precision.INT8
        and isinstance(layer, nn.Linear)
    )


def _watch(layer: Any, precision: Precision, recipe: Recipe, calls: Calls) -> None:
    """Switch on what a layer's ranges need."""
    if not hasattr(layer, "input_quantizer"):
        watch_attention(layer)
        return
    layer.input_quantizer.enable()
    if _smooths(layer, precision, recipe):
        layer.input_quantizer.axis = -1  # a range per input channel
    percentile, steps = recipe.percentile, recipe.step_range
    if isinstance(layer, nn.Conv2d) and percentile is not None and steps is not None:
        quantiser: Any = layer.input_quantizer
        quantiser._calibrator = MinMean(percentile, steps, calls)


def _read(
    name: str, layer: nn.Module, watched: Any, precision: Precision, recipe: Recipe
) -> LayerCalibration:
    """The ranges of `layer`, whose activations `watched` has seen."""
    if not hasattr(watched, "input_quantizer"):
        q, k, v = (
            _positive(name, _seen(name, getattr(watched, f"{one}_bmm_quantizer"))).item()
            for one in "qkv"
        )
        return LayerCalibration(
            "attention", precision, q_amax=q, k_amax=k, v_amax=v, softmax_amax=1.0
        )
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    seen = _seen(name, watched.input_quantizer)
    weight = layer.weight.detach().float()
    scale = None
    if _smooths(layer, precision, recipe):
        assert recipe.smoothquant_alpha is not None
        scale = smoothing_scale(seen.flatten(), weight, recipe.smoothquant_alpha)
        seen = (seen.flatten() * scale).amax()
        weight = smoothed(weight, scale)
    per_channel = precision is Precision.INT8
    ranges = weight.abs().flatten(1).amax(1) if per_channel else weight.abs().amax()
    return LayerCalibration(
        "linear" if isinstance(layer, nn.Linear) else "conv",
        precision,
        input_amax=_positive(name, seen).item(),
        weight_amax=_positive(name, ranges).cpu().numpy(),
        pre_quant_scale=None if scale is None else scale.cpu().numpy(),
    )


def _seen(name: str, quantiser: Any) -> torch.Tensor:
    if quantiser.amax is None:
        raise failed(f"its layer {name} did not run")
    seen: torch.Tensor = quantiser.amax.float()
    return seen


def _positive(name: str, ranges: torch.Tensor) -> torch.Tensor:
    """Ranges with 1 for 0: what is always zero stays zero at any scale."""
    if not bool(ranges.isfinite().all()):
        raise failed(f"values in its layer {name} are not finite")
    return torch.where(ranges == 0, torch.ones_like(ranges), ranges)


def failed(problem: str, detail: str = "") -> StudioError:
    return StudioError(Code.CALIBRATION_FAILED, detail, problem=problem)
