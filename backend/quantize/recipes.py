"""What a quantisation does to which layers, by family of model. Names and numbers only: no torch.

Levels, each a superset of the one before: 1 convolutions, 2 and feed-forward, 2.5 and QKV
projections, 3 and almost all other Linear layers, 4 and the attention's matrix products.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from backend.contracts import Precision
from backend.errors import Code, StudioError

Kind = Literal["linear", "conv", "attention"]

NVFP4_BLOCK = 16
"""Values along a Linear layer's input width that share one scale."""

HEAD_MULTIPLE = 16
"""TensorRT's fused FP8 attention takes head sizes that are multiples of this."""


@dataclass(frozen=True)
class LayerInfo:
    """One layer that could be quantised.

    `name` is its path in the module. `dims` are the weight's, (out, in) of a Linear and
    (out, in, height, width) of a convolution; (heads, head size) of an attention.
    """

    name: str
    type: Kind
    dims: tuple[int, ...]


@dataclass(frozen=True)
class Recipe:
    """How to calibrate and quantise a denoiser.

    smoothquant_alpha: how much of the activations' range INT8 moves into the weights of Linear
        layers, 0 to 1; None leaves both as they are.
    percentile, step_range: the range of an INT8 convolution's input is the minimum over denoising
        steps `first <= step < last` of the mean over pictures of the `percentile` (0 to 1, 1 is the
        maximum) of its absolute values ("min-mean"); None takes the maximum over all.
    samples, steps: pictures to make while watching, and denoising steps of each.
    """

    precision: Precision
    level: float
    samples: int
    steps: int
    smoothquant_alpha: float | None = None
    percentile: float | None = None
    step_range: tuple[int, int] | None = None


@dataclass(frozen=True)
class Family:
    """Where a family's layers are: names are components of the path."""

    levels: tuple[float, ...]
    feed_forward: frozenset[str]
    qkv: frozenset[str]
    excluded: frozenset[str]
    """Layers under these names stay as they are at every level."""
    excluded_paths: frozenset[str] = frozenset()
    nvfp4_level: float = 4


FAMILIES = {
    "flux": Family(
        levels=(2, 2.5, 3, 4),  # it has no convolutions
        feed_forward=frozenset({"ff", "ff_context", "proj_mlp"}),
        qkv=frozenset({"to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj"}),
        excluded=frozenset({"time_text_embed", "x_embedder", "context_embedder", "norm_out"}),
        # the last layer; single_transformer_blocks.*.proj_out are ordinary ones
        excluded_paths=frozenset({"proj_out"}),
    ),
    "sdxl": Family(
        levels=(1, 2, 2.5, 3, 4),
        feed_forward=frozenset({"ff"}),
        qkv=frozenset({"to_q", "to_k", "to_v"}),
        excluded=frozenset(
            {
                "time_emb_proj",
                "time_embedding",
                "conv_in",
                "conv_out",
                "conv_shortcut",
                "add_embedding",
            }
        ),
        # TensorRT for RTX 1.7 fails on FP8 attention of NVFP4 queries and keys (docs/notes.md)
        nvfp4_level=3,
    ),
}

QUANTISED = (Precision.INT8, Precision.FP8, Precision.NVFP4)


def levels_of(family: str, precision: Precision) -> tuple[float, ...]:
    """The levels that a precision has: convolutions, all of level 1, are never NVFP4.

    Raises StudioError RECIPE_INVALID.
    """
    known = _family(family).levels
    return tuple(level for level in known if level > 1 or precision is not Precision.NVFP4)


def default_level(family: str, precision: Precision) -> float:
    """INT8 is for GPUs without FP8, which level 4 needs. Raises StudioError RECIPE_INVALID."""
    known = _family(family)
    return {Precision.INT8: 3.0, Precision.FP8: 4.0}.get(precision, known.nvfp4_level)


def default_recipe(
    family: str,
    precision: Precision,
    level: float | None = None,
    *,
    samples: int | None = None,
    steps: int = 20,
) -> Recipe:
    """The usual recipe: NVIDIA's for its demonstration of these models in TensorRT 10 and 11.

    Raises StudioError RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN.
    """
    if precision not in QUANTISED:
        raise invalid(f"{precision} is not a precision to quantise to")
    int8 = precision is Precision.INT8
    min_mean = int8 and 1 in _family(family).levels
    recipe = Recipe(
        precision,
        default_level(family, precision) if level is None else level,
        samples=samples if samples is not None else 32 if int8 else 128,
        steps=steps,
        smoothquant_alpha=0.8 if int8 else None,
        percentile=1.0 if min_mean else None,
        step_range=(0, steps) if min_mean else None,
    )
    check_recipe(recipe, family)
    return recipe


def check_recipe(recipe: Recipe, family: str) -> None:
    """Raises StudioError RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN."""
    known = _family(family)
    _check_level(known, recipe.level)
    if recipe.precision not in QUANTISED:
        raise invalid(f"{recipe.precision} is not a precision to quantise to")
    if recipe.samples < 1 or recipe.steps < 1:
        raise invalid("at least one picture of one step must be watched")
    if recipe.precision is Precision.NVFP4 and recipe.level < 2:
        raise invalid("convolutions are never NVFP4, and level 1 has nothing else")
    alpha = recipe.smoothquant_alpha
    if alpha is not None:
        if recipe.precision is not Precision.INT8:
            raise invalid(f"SmoothQuant is for INT8, not for {recipe.precision}")
        if not 0 <= alpha <= 1:
            raise invalid(f"a SmoothQuant alpha of {alpha} is not between 0 and 1")
    _check_min_mean(recipe, has_convolutions=1 in known.levels)


def _check_min_mean(recipe: Recipe, has_convolutions: bool) -> None:
    percentile, steps = recipe.percentile, recipe.step_range
    if percentile is None and steps is None:
        return
    if percentile is None or steps is None:
        raise invalid("a percentile and a range of steps go together")
    if recipe.precision is not Precision.INT8 or not has_convolutions:
        raise invalid("a percentile is for INT8 convolutions only")
    if not 0 < percentile <= 1:
        raise invalid(f"a percentile of {percentile} is not above 0 and at most 1")
    if not 0 <= steps[0] < steps[1] <= recipe.steps:
        raise invalid(f"steps {steps[0]} to {steps[1]} are not within 0 to {recipe.steps}")


def quantised_layers(family: str, level: float, layers: Iterable[LayerInfo]) -> dict[str, Kind]:
    """The layers that `level` quantises, in the order given.

    Raises StudioError RECIPE_INVALID (no such family), QUANTIZATION_LEVEL_UNKNOWN.
    """
    known = _family(family)
    _check_level(known, level)
    return {layer.name: layer.type for layer in layers if _level_of(known, layer) <= level}


def layer_precisions(
    recipe: Recipe, family: str, layers: Iterable[LayerInfo]
) -> dict[str, Precision]:
    """The precision of each layer that the recipe quantises, in the order given.

    Attention is FP8 whatever the recipe. NVFP4 is for Linear layers of a width that its blocks
    divide; other layers of an NVFP4 recipe are FP8.

    Raises StudioError RECIPE_INVALID, QUANTIZATION_LEVEL_UNKNOWN.
    """
    check_recipe(recipe, family)
    known = list(layers)
    chosen = quantised_layers(family, recipe.level, known)
    return {layer.name: _precision(recipe, layer) for layer in known if layer.name in chosen}


def _precision(recipe: Recipe, layer: LayerInfo) -> Precision:
    if layer.type == "attention":
        return Precision.FP8
    if recipe.precision is Precision.NVFP4:
        fits = layer.type == "linear" and layer.dims[1] % NVFP4_BLOCK == 0
        return Precision.NVFP4 if fits else Precision.FP8
    return recipe.precision


def _level_of(family: Family, layer: LayerInfo) -> float:
    """The lowest level that quantises the layer."""
    parts = set(layer.name.split("."))
    if layer.name in family.excluded_paths or parts & family.excluded:
        return math.inf
    if layer.type == "attention":
        return 4 if layer.dims[1] % HEAD_MULTIPLE == 0 else math.inf
    if layer.type == "conv":
        return 1
    if parts & family.feed_forward:
        return 2
    return 2.5 if parts & family.qkv else 3


def _family(family: str) -> Family:
    if family not in FAMILIES:
        raise invalid(f"models of the family {family} cannot be quantised")
    return FAMILIES[family]


def _check_level(family: Family, level: float) -> None:
    if level not in family.levels:
        levels = ", ".join(f"{known:g}" for known in family.levels)
        raise StudioError(Code.QUANTIZATION_LEVEL_UNKNOWN, level=f"{level:g}", levels=levels)


def invalid(problem: str) -> StudioError:
    return StudioError(Code.RECIPE_INVALID, problem=problem)
