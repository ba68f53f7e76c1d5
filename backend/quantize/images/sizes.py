"""The size of a quantised denoiser's weights in ONNX, before anything is loaded."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backend.contracts import DenoiserSize, EngineLayer, Precision
from backend.models import files
from backend.models.catalog import Entry
from backend.quantize.recipes import NVFP4_BLOCK, LayerInfo, Recipe, layer_precisions
from backend.settings import ASSETS

KNOWN_DENOISERS = ASSETS / "denoisers.json"
"""Layers of the models of the hub, as `python -m tools.denoiser_shapes` writes them."""
BASE_BYTES = {Precision.FP32: 4, Precision.FP16: 2, Precision.BF16: 2}
FP32_BYTES = 4
LINEAR_RANK, CONV_RANK = 2, 4


@dataclass(frozen=True)
class Denoiser:
    """A denoiser's parameters, and how many layers there are of each kind."""

    parameters: int
    layers: tuple[tuple[LayerInfo, int], ...]


def denoiser_of(entry: Entry) -> Denoiser:
    """By the headers of the model's files; where it is not here, by its known architecture.

    Raises StudioError MODEL_FILES_CORRUPTED.
    """
    if entry.folder is None:
        return _known(entry.id)
    shapes: dict[str, tuple[int, ...]] = {}
    variant = files.variant_of(entry.folder)
    for file in files.component_files(entry.folder, entry.family.denoiser, variant):
        shapes |= files.shapes_in_file(file, entry.id)
    return Denoiser(
        sum(math.prod(shape) for shape in shapes.values()),
        tuple((layer, 1) for layer in _layers(shapes)),
    )


def _layers(shapes: dict[str, tuple[int, ...]]) -> Iterable[LayerInfo]:
    for name, shape in shapes.items():
        layer = name.removesuffix(".weight")
        if layer != name and len(shape) == LINEAR_RANK:
            yield LayerInfo(layer, "linear", shape)
        elif layer != name and len(shape) == CONV_RANK:
            yield LayerInfo(layer, "conv", shape)


def _known(model: str) -> Denoiser:
    about = _known_denoisers()[model]
    layers = ((LayerInfo(name, kind, tuple(dims)), n) for name, kind, dims, n in about["layers"])
    return Denoiser(about["parameters"], tuple(layers))


@cache
def _known_denoisers() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(Path(KNOWN_DENOISERS).read_text(encoding="utf-8"))
    return known


def size_of(denoiser: Denoiser, family: str, recipe: Recipe, base: Precision) -> DenoiserSize:
    """What lowering by `recipe` makes of an export in `base` (backend/engines/lower.py).

    Raises StudioError RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN.
    """
    layers = weights = quantised = added = 0
    for layer, count in denoiser.layers:
        precision = layer_precisions(recipe, family, [layer]).get(layer.name)
        if precision is None:
            continue
        layers += count
        weights += count * math.prod(layer.dims)
        stored, beside = _layer_bytes(layer, precision, recipe, BASE_BYTES[base])
        quantised += count * stored
        added += count * beside
    source = denoiser.parameters * BASE_BYTES[base]
    plain = weights * BASE_BYTES[base]
    whole = source - plain + quantised + added
    return sized(base, (source, plain), (whole, quantised), layers)


def sized(
    base: Precision, source: tuple[int, int], made: tuple[int, int], layers: int
) -> DenoiserSize:
    """`source` and `made` are bytes of all weights, and of the quantised ones among them."""
    return DenoiserSize(
        base=base,
        source_bytes=source[0],
        whole_bytes=made[0],
        quantised_bytes=made[1],
        quantised_source_bytes=source[1],
        ratio_whole=source[0] / made[0],
        ratio_quantised_layers=source[1] / made[1] if made[1] else 1.0,
        layers=layers,
    )


def measured(layers: Iterable[EngineLayer], estimated: DenoiserSize) -> DenoiserSize:
    """The size of a graph that was lowered, by its layers."""
    known = list(layers)
    whole = sum(layer.bytes for layer in known)
    quantised = sum(layer.bytes for layer in known if layer.kind == "DequantizeLinear")
    source = (estimated.source_bytes, estimated.quantised_source_bytes)
    return sized(estimated.base, source, (whole, quantised), estimated.layers)


def _layer_bytes(
    layer: LayerInfo, precision: Precision, recipe: Recipe, base: int
) -> tuple[int, int]:
    """Of a quantised weight with its scales, and of what its input is quantised with."""
    count, out, width = math.prod(layer.dims), layer.dims[0], layer.dims[1]
    if precision is Precision.NVFP4:
        return count // 2 + count // NVFP4_BLOCK + FP32_BYTES, FP32_BYTES
    if precision is Precision.FP8:
        return count + base, base + 1
    smooth = recipe.smoothquant_alpha is not None and layer.type == "linear"
    return count + out * base, base + 1 + (width * base if smooth else 0)
