"""How a language model can be quantised. Names, bytes and rules only: no torch.

A recipe is a preset of nvidia-modelopt 0.47 (`modelopt.recipe.presets`) and carries its name. What
is known here of a preset was seen by running it on a small Llama, unless it says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from backend.chat.servers.suitable import MODELOPT_FORMATS, Format
from backend.errors import Code, StudioError
from backend.language import Text, text

Smoothing = Literal["none", "all", "kept", "unfolded"]
"""Which quantised layers keep a scale (in,) for their input in the file: none; all; those whose
scale ModelOpt cannot fold into the norm before them; or what of these it cannot fold into the layer
before either."""


@dataclass(frozen=True)
class Form:
    """What is stored of one quantised weight (out, in).

    value: what each of its values is. scale: safetensors type of each scale. block: values along
    `in` that share one; None is one scale a row, 0 one for the whole weight. scalars: names of FP32
    scalars beside them. rank: of a low-rank correction in BF16, 0 without.
    """

    value: Literal["fp8", "int8", "fp4", "int4"]
    scale: Literal["F32", "F8_E4M3", "U8"]
    block: int | None
    scalars: tuple[str, ...] = ()
    smoothing: Smoothing = "none"
    rank: int = 0


INPUT = ("input_scale",)
SECOND = ("weight_scale_2",)
BOTH_SCALARS = (*SECOND, *INPUT)
FP8 = Form("fp8", "F32", 0, INPUT)
FP8_ROWS = Form("fp8", "F32", None)
MXFP8 = Form("fp8", "U8", 32)
MXFP4 = Form("fp4", "U8", 32)
INT8_SMOOTH = Form("int8", "F32", None, INPUT, "all")
INT8_WEIGHTS = Form("int8", "F32", None)
INT4 = Form("int4", "F32", 128, (), "kept")
INT4_FP8 = Form("int4", "F32", 128, BOTH_SCALARS, "kept")
NVFP4 = Form("fp4", "F8_E4M3", 16, BOTH_SCALARS)
NVFP4_SMOOTH = Form("fp4", "F8_E4M3", 16, BOTH_SCALARS, "unfolded")
NVFP4_SVD = Form("fp4", "F8_E4M3", 16, BOTH_SCALARS, "all", rank=32)
NVFP4_WEIGHTS = Form("fp4", "F8_E4M3", 16, SECOND)


@dataclass(frozen=True)
class LanguageRecipe:
    """One way to quantise.

    name: of ModelOpt's preset. algorithm: what `quant_algo` of the checkpoint says. passes: over
    the calibration text, 0 where none is needed. cuda: what of the work needs a CUDA device.
    layers: patterns of the modules that it quantises. quality: what is known of it, with source.
    hidden: why it is not offered.
    """

    name: str
    title: str
    algorithm: str
    form: Form
    passes: int
    quality: Text
    cuda: frozenset[Literal["calibrate", "evaluate"]] = frozenset()
    layers: tuple[str, ...] = ("*",)
    hidden: Text | None = None

    @property
    def rewrites_weights(self) -> bool:
        """Whether calibration changes the weights themselves, and not only finds their ranges."""
        return self.form.smoothing != "none"

    @property
    def served(self) -> Format | None:
        """Where it runs natively; None is nowhere today."""
        return MODELOPT_FORMATS.get(self.algorithm.upper())


EVALUATE: frozenset[Literal["calibrate", "evaluate"]] = frozenset({"evaluate"})
CUDA: frozenset[Literal["calibrate", "evaluate"]] = frozenset({"calibrate", "evaluate"})
MLP = ("*mlp*",)


def _quality(key: str) -> Text:
    return text(f"quantize.quality.{key}")


def _hidden(key: str) -> Text:
    return text(f"quantize.hidden.{key}")


LANGUAGE_RECIPES: Mapping[str, LanguageRecipe] = {
    recipe.name: recipe
    for recipe in (
        LanguageRecipe("nvfp4", "NVFP4", "NVFP4", NVFP4, 1, _quality("nvfp4"), EVALUATE),
        LanguageRecipe(
            "nvfp4_awq_lite", "NVFP4 AWQ-lite", "NVFP4_AWQ", NVFP4_SMOOTH, 2, _quality("awq"), CUDA
        ),
        LanguageRecipe(
            "nvfp4_mlp_only", "NVFP4, MLP only", "NVFP4", NVFP4, 1, _quality("mlp"), EVALUATE, MLP
        ),
        LanguageRecipe(
            "nvfp4_svdquant", "NVFP4 SVDQuant", "NVFP4_SVD", NVFP4_SVD, 2, _quality("svd"), CUDA
        ),
        LanguageRecipe(
            "w4a16_nvfp4", "NVFP4, weights only (W4A16)", "W4A16_NVFP4", NVFP4_WEIGHTS, 0,
            _quality("w4a16"), EVALUATE,
        ),
        LanguageRecipe("fp8", "FP8", "FP8", FP8, 1, _quality("fp8")),
        LanguageRecipe(
            "fp8_per_channel_per_token", "FP8 per channel and token", "FP8_PER_CHANNEL_PER_TOKEN",
            FP8_ROWS, 0, _quality("fp8_rows"),
        ),
        LanguageRecipe("mxfp8", "MXFP8", "MXFP8", MXFP8, 0, _quality("mxfp8"), EVALUATE),
        LanguageRecipe(
            "int8_smoothquant", "INT8 SmoothQuant", "W8A8_SQ_PER_CHANNEL", INT8_SMOOTH, 1,
            _quality("smoothquant"),
        ),
        LanguageRecipe(
            "int8_weight_only", "INT8, weights only", "W8A16", INT8_WEIGHTS, 0, _quality("int8")
        ),
        LanguageRecipe("int4_awq", "INT4 AWQ (W4A16)", "W4A16_AWQ", INT4, 2, _quality("int4")),
        LanguageRecipe(
            "w4a8_awq_beta", "INT4 AWQ with FP8 (W4A8)", "W4A8_AWQ", INT4_FP8, 2, _quality("w4a8")
        ),
        LanguageRecipe(
            "mxfp4", "MXFP4", "mxfp4", MXFP4, 0, _quality("unknown"), EVALUATE,
            hidden=_hidden("mxfp4"),
        ),
        LanguageRecipe(
            "fp8_2d_blockwise_weight_only", "FP8 in blocks", "fp8_pb_wo", FP8, 0,
            _quality("unknown"), hidden=_hidden("fp8_blocks"),
        ),
        LanguageRecipe(
            "nvfp4_awq_clip", "NVFP4 AWQ-clip", "NVFP4", NVFP4, 2, _quality("unknown"), CUDA,
            hidden=_hidden("search"),
        ),
        LanguageRecipe(
            "nvfp4_awq_full", "NVFP4 AWQ-full", "NVFP4_AWQ", NVFP4_SMOOTH, 3, _quality("unknown"),
            CUDA, hidden=_hidden("search"),
        ),
    )
}  # fmt: skip
DEFAULT_RECIPE = "nvfp4"


@dataclass(frozen=True)
class KvRecipe:
    """How keys and values are kept. `algorithm` is what `kv_cache_quant_algo` says, `scales`
    whether two FP32 scalars a layer are stored."""

    name: str
    algorithm: str | None
    scales: bool
    effect: Text
    hidden: Text | None = None


KV_RECIPES: Mapping[str, KvRecipe] = {
    recipe.name: recipe
    for recipe in (
        KvRecipe("none", None, False, text("quantize.kv.none")),
        KvRecipe("fp8_cast", "FP8", False, text("quantize.kv.fp8_cast")),
        KvRecipe("fp8", "FP8", True, text("quantize.kv.fp8")),
        KvRecipe(
            "nvfp4_cast", "NVFP4", False, text("quantize.kv.nvfp4"), text("quantize.hidden.kv")
        ),
    )
}


def find_recipe(name: str) -> LanguageRecipe:
    """Raises StudioError QUANTIZE_RECIPE_UNKNOWN, QUANTIZE_RECIPE_UNAVAILABLE (hidden)."""
    recipe = LANGUAGE_RECIPES.get(name)
    if recipe is None:
        raise StudioError(
            Code.QUANTIZE_RECIPE_UNKNOWN, recipe=name[:80], recipes=", ".join(offered())
        )
    if recipe.hidden is not None:
        raise StudioError(
            Code.QUANTIZE_RECIPE_UNAVAILABLE, recipe=recipe.title, reason=recipe.hidden
        )
    return recipe


def find_kv_recipe(name: str) -> KvRecipe:
    """Raises StudioError QUANTIZE_RECIPE_UNKNOWN, QUANTIZE_RECIPE_UNAVAILABLE (hidden)."""
    recipe = KV_RECIPES.get(name)
    if recipe is None:
        known = ", ".join(each.name for each in KV_RECIPES.values() if each.hidden is None)
        unknown = f"KV cache {name[:60]}"
        raise StudioError(Code.QUANTIZE_RECIPE_UNKNOWN, recipe=unknown, recipes=known)
    if recipe.hidden is not None:
        raise StudioError(
            Code.QUANTIZE_RECIPE_UNAVAILABLE, recipe=f"KV cache {name}", reason=recipe.hidden
        )
    return recipe


def needs_text(recipe: LanguageRecipe, kv: KvRecipe, searched: bool) -> bool:
    """Whether text passes through the model to calibrate it: for the recipe, for the ranges of its
    cache, or because sensitive layers are searched for."""
    return recipe.passes > 0 or kv.scales or searched


def offered() -> tuple[str, ...]:
    return tuple(name for name, recipe in LANGUAGE_RECIPES.items() if recipe.hidden is None)
