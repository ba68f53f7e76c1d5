"""Which layers each level quantises, pinned on tiny models built like the real ones."""

import dataclasses
import subprocess
import sys
from itertools import pairwise

import pytest

from backend.contracts import Precision
from backend.errors import Code, StudioError
from backend.quantize.quantisers import layers_of
from backend.quantize.recipes import (
    FAMILIES,
    LayerInfo,
    Recipe,
    check_recipe,
    default_recipe,
    layer_precisions,
    quantised_layers,
)
from tests.support import ROOT
from tests.unit.denoisers import tiny_flux, tiny_unet

FLUX = layers_of(tiny_flux())
SDXL = layers_of(tiny_unet())
LAYERS = {"flux": FLUX, "sdxl": SDXL}

DOUBLE, SINGLE = "transformer_blocks.0", "single_transformer_blocks.0"
FLUX_ADDS = {
    2: {
        f"{DOUBLE}.ff.net.0.proj",
        f"{DOUBLE}.ff.net.2",
        f"{DOUBLE}.ff_context.net.0.proj",
        f"{DOUBLE}.ff_context.net.2",
        f"{SINGLE}.proj_mlp",
    },
    2.5: {
        *(f"{DOUBLE}.attn.to_{one}" for one in "qkv"),
        *(f"{DOUBLE}.attn.add_{one}_proj" for one in "qkv"),
        *(f"{SINGLE}.attn.to_{one}" for one in "qkv"),
    },
    3: {
        f"{DOUBLE}.attn.to_out.0",
        f"{DOUBLE}.attn.to_add_out",
        f"{DOUBLE}.norm1.linear",
        f"{DOUBLE}.norm1_context.linear",
        f"{SINGLE}.norm.linear",
        f"{SINGLE}.proj_out",
    },
    4: {f"{DOUBLE}.attn", f"{SINGLE}.attn"},
}
FLUX_NEVER = {
    "time_text_embed.timestep_embedder.linear_1",
    "time_text_embed.timestep_embedder.linear_2",
    "time_text_embed.guidance_embedder.linear_1",
    "time_text_embed.guidance_embedder.linear_2",
    "time_text_embed.text_embedder.linear_1",
    "time_text_embed.text_embedder.linear_2",
    "context_embedder",
    "x_embedder",
    "norm_out.linear",
    "proj_out",
}

TRANSFORMERS = (
    "down_blocks.1.attentions.0",
    "mid_block.attentions.0",
    "up_blocks.0.attentions.0",
    "up_blocks.0.attentions.1",
)
RESNETS = (
    "down_blocks.0.resnets.0",
    "down_blocks.1.resnets.0",
    "mid_block.resnets.0",
    "mid_block.resnets.1",
    "up_blocks.0.resnets.0",
    "up_blocks.0.resnets.1",
    "up_blocks.1.resnets.0",
    "up_blocks.1.resnets.1",
)
ATTENTIONS = [
    f"{one}.transformer_blocks.0.{attention}"
    for one in TRANSFORMERS
    for attention in ("attn1", "attn2")
]
SDXL_ADDS = {
    1: {
        *(f"{one}.{conv}" for one in RESNETS for conv in ("conv1", "conv2")),
        "down_blocks.0.downsamplers.0.conv",
        "up_blocks.0.upsamplers.0.conv",
    },
    2: {
        f"{one}.transformer_blocks.0.ff.net.{layer}"
        for one in TRANSFORMERS
        for layer in ("0.proj", "2")
    },
    2.5: {f"{one}.to_{which}" for one in ATTENTIONS for which in "qkv"},
    3: {
        *(f"{one}.{which}" for one in TRANSFORMERS for which in ("proj_in", "proj_out")),
        *(f"{one}.to_out.0" for one in ATTENTIONS),
    },
    4: set(ATTENTIONS),
}
SDXL_NEVER = {
    "conv_in",
    "conv_out",
    "time_embedding.linear_1",
    "time_embedding.linear_2",
    "add_embedding.linear_1",
    "add_embedding.linear_2",
    *(f"{one}.time_emb_proj" for one in RESNETS),
    "down_blocks.1.resnets.0.conv_shortcut",
    "up_blocks.0.resnets.0.conv_shortcut",
    "up_blocks.0.resnets.1.conv_shortcut",
    "up_blocks.1.resnets.0.conv_shortcut",
    "up_blocks.1.resnets.1.conv_shortcut",
}
ADDS = {"flux": FLUX_ADDS, "sdxl": SDXL_ADDS}
NEVER = {"flux": FLUX_NEVER, "sdxl": SDXL_NEVER}
CASES = [(family, level) for family, adds in ADDS.items() for level in adds]


def refused(code: Code) -> "pytest.RaisesExc[StudioError]":
    return pytest.raises(StudioError, check=lambda error: error.code is code)


@pytest.mark.parametrize(("family", "level"), CASES)
def test_each_level_quantises_exactly_these_layers(family, level):
    expected = set().union(*(added for at, added in ADDS[family].items() if at <= level))
    assert set(quantised_layers(family, level, LAYERS[family])) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_is_in_one_level_or_in_none(family):
    parts = [*ADDS[family].values(), NEVER[family]]
    assert sum(len(part) for part in parts) == len(LAYERS[family])
    assert set().union(*parts) == {layer.name for layer in LAYERS[family]}


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP8, Precision.NVFP4])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_higher_level_keeps_all_that_a_lower_one_quantises(family, precision):
    levels = [level for level in FAMILIES[family].levels if level >= 2]
    tables = [
        layer_precisions(default_recipe(family, precision, level), family, LAYERS[family])
        for level in levels
    ]
    for lower, higher in pairwise(tables):
        assert lower.items() < higher.items()


def test_attention_needs_heads_of_a_multiple_of_16():
    layers = [LayerInfo(f"blocks.{size}.attn", "attention", (4, size)) for size in (8, 40, 64, 128)]
    chosen = quantised_layers("flux", 4, layers)
    assert chosen == {"blocks.64.attn": "attention", "blocks.128.attn": "attention"}
    assert not quantised_layers("flux", 3, layers)


def test_attention_is_fp8_whatever_the_recipe():
    for precision in (Precision.INT8, Precision.FP8, Precision.NVFP4):
        table = layer_precisions(default_recipe("flux", precision, 4), "flux", FLUX)
        assert {table[name] for name in FLUX_ADDS[4]} == {Precision.FP8}
        assert {table[name] for name in FLUX_ADDS[2]} == {precision}


def test_nvfp4_is_for_linear_layers_that_its_blocks_divide():
    table = layer_precisions(default_recipe("sdxl", Precision.NVFP4), "sdxl", SDXL)
    assert {table[name] for name in SDXL_ADDS[1]} == {Precision.FP8}
    assert {table[name] for name in SDXL_ADDS[3]} == {Precision.NVFP4}
    odd = [LayerInfo("ff.0", "linear", (64, 24)), LayerInfo("ff.1", "linear", (24, 64))]
    recipe = default_recipe("flux", Precision.NVFP4)
    assert layer_precisions(recipe, "flux", odd) == {
        "ff.0": Precision.FP8,
        "ff.1": Precision.NVFP4,
    }


def test_the_default_recipes():
    assert default_recipe("sdxl", Precision.INT8) == Recipe(
        Precision.INT8, 3, 32, 20, smoothquant_alpha=0.8, percentile=1.0, step_range=(0, 20)
    )
    assert default_recipe("flux", Precision.INT8) == Recipe(
        Precision.INT8, 3, 32, 20, smoothquant_alpha=0.8
    )
    for family in FAMILIES:
        assert default_recipe(family, Precision.FP8) == Recipe(Precision.FP8, 4, 128, 20)
    for family, level in (("flux", 4), ("sdxl", 3)):
        assert default_recipe(family, Precision.NVFP4) == Recipe(Precision.NVFP4, level, 128, 20)
    assert default_recipe("sdxl", Precision.INT8, 2, samples=4, steps=8) == Recipe(
        Precision.INT8, 2, 4, 8, smoothquant_alpha=0.8, percentile=1.0, step_range=(0, 8)
    )


@pytest.mark.parametrize(
    ("family", "level"), [("flux", 1), ("flux", 0), ("sdxl", 3.5), ("sdxl", 5), ("sdxl", -1)]
)
def test_a_level_that_does_not_exist(family, level):
    with refused(Code.QUANTIZATION_LEVEL_UNKNOWN):
        quantised_layers(family, level, [])
    with refused(Code.QUANTIZATION_LEVEL_UNKNOWN):
        default_recipe(family, Precision.INT8, level)


def test_the_levels_are_named_in_the_error():
    with pytest.raises(StudioError) as caught:
        quantised_layers("flux", 1, [])
    assert "2, 2.5, 3, 4" in caught.value.info.hint("en")
    assert "2, 2.5, 3, 4" in caught.value.info.hint("ko")


@pytest.mark.parametrize(
    ("family", "precision", "changes"),
    [
        ("sd3", Precision.INT8, {}),
        ("flux", Precision.FP16, {}),
        ("flux", Precision.INT4, {}),
        ("flux", Precision.FP8, {"smoothquant_alpha": 0.8}),
        ("flux", Precision.NVFP4, {"smoothquant_alpha": 0.8}),
        ("flux", Precision.INT8, {"smoothquant_alpha": 1.1}),
        ("flux", Precision.INT8, {"percentile": 1.0, "step_range": (0, 20)}),
        ("sdxl", Precision.FP8, {"percentile": 1.0, "step_range": (0, 20)}),
        ("sdxl", Precision.NVFP4, {"level": 1}),
        ("sdxl", Precision.INT8, {"percentile": 0.0}),
        ("sdxl", Precision.INT8, {"percentile": 99.9}),
        ("sdxl", Precision.INT8, {"percentile": None}),
        ("sdxl", Precision.INT8, {"step_range": None}),
        ("sdxl", Precision.INT8, {"step_range": (5, 5)}),
        ("sdxl", Precision.INT8, {"step_range": (0, 21)}),
        ("sdxl", Precision.INT8, {"samples": 0}),
        ("sdxl", Precision.FP8, {"steps": 0}),
    ],
)
def test_a_recipe_that_makes_no_sense(family, precision, changes):
    with refused(Code.RECIPE_INVALID):
        recipe = default_recipe(family, precision)
        check_recipe(dataclasses.replace(recipe, **changes), family)


def test_recipes_load_no_heavy_library():
    modules = "backend.quantize.recipes, backend.quantize.prompts"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
