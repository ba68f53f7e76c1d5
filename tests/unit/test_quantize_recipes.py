"""Recipes of language models: what they name exists, and sizes follow from headers alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.chat.servers.suitable import MODELOPT_FORMATS, Machine
from backend.chat.simulation import READABLE
from backend.contracts import MemorySample, QuantizeRequest, ServerKind
from backend.errors import Code, StudioError
from backend.quantize.language.choices import Here, recipe_choices
from backend.quantize.language.needs import memory_bytes
from backend.quantize.language.order import make_order, read_source, target_of
from backend.quantize.language.plan import plan_quantisation, what_fits
from backend.quantize.language.recipes import (
    KV_RECIPES,
    LANGUAGE_RECIPES,
    find_kv_recipe,
    find_recipe,
    offered,
)
from backend.quantize.language.sizes import (
    StoredTensor,
    choose_layers,
    estimate_size,
    read_headers,
)
from backend.settings import Settings
from tests.tiny_llama import make_tiny_llama

UNSERVED = {"W8A8_SQ_PER_CHANNEL", "W8A16", "NVFP4_SVD"}
"""INT8: the engines of older TensorRT-LLM only."""


def here(capability: tuple[int, int] | None = None, cuda: str | None = None) -> Here:
    memory = MemorySample(
        kind="cpu", used_bytes=0, total_bytes=2**34, process_bytes=0, taken_at=0.0
    )
    return Here(cuda, Machine(capability, 2**34, {}), memory, 2**34)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return make_tiny_llama(folder, hidden_size=128, intermediate_size=256)


@pytest.fixture
def settings(tmp_path: Path, tiny: Path) -> Settings:
    return Settings(home=tmp_path / "home", models=(tiny.parent,))


def llama_8b() -> tuple[StoredTensor, ...]:
    """The tensors of Llama-3.1-8B, by its published configuration."""
    width, inner, kv, words = 4096, 14336, 1024, 128256
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens": (words, width),
        "lm_head": (words, width),
        "model.norm": (width,),
    }
    for index in range(32):
        layer = f"model.layers.{index}"
        shapes |= {
            f"{layer}.input_layernorm": (width,),
            f"{layer}.post_attention_layernorm": (width,),
            f"{layer}.self_attn.q_proj": (width, width),
            f"{layer}.self_attn.k_proj": (kv, width),
            f"{layer}.self_attn.v_proj": (kv, width),
            f"{layer}.self_attn.o_proj": (width, width),
            f"{layer}.mlp.gate_proj": (inner, width),
            f"{layer}.mlp.up_proj": (inner, width),
            f"{layer}.mlp.down_proj": (width, inner),
        }
    tensors = [StoredTensor(f"{name}.weight", "BF16", shape, 0) for name, shape in shapes.items()]
    return tuple(
        StoredTensor(each.name, each.dtype, each.shape, 2 * each.values) for each in tensors
    )


@pytest.mark.parametrize(
    ("recipe", "gigabytes"),
    [("fp8", 9.08), ("nvfp4", 6.03), ("nvfp4_mlp_only", 7.96)],
)
def test_an_8b_llama_comes_out_as_measured(recipe: str, gigabytes: float) -> None:
    """Against exports of nvidia-modelopt 0.47: the embeddings and the head stay BF16, so the whole
    shrinks less than the layers."""
    size = estimate_size(LANGUAGE_RECIPES[recipe], KV_RECIPES["none"], llama_8b())
    assert size.source == pytest.approx(16.06e9, rel=0.001)
    assert size.whole == pytest.approx(gigabytes * 1e9, rel=0.001)
    assert size.ratio_quantised_layers > size.ratio_whole


def test_recipes_run_where_the_table_of_servers_says() -> None:
    for name in offered():
        recipe = LANGUAGE_RECIPES[name]
        assert (recipe.served is None) == (recipe.algorithm in UNSERVED), name
        assert recipe.served is MODELOPT_FORMATS.get(recipe.algorithm)
        assert recipe.form.rank or recipe.algorithm in READABLE, "cannot be tried as simulated"


def test_choices_say_what_works_here_and_why_the_others_do_not(settings: Settings) -> None:
    on_cpu = {each.name: each for each in recipe_choices(read_source(settings, "tiny"), here())}
    assert on_cpu.keys() == LANGUAGE_RECIPES.keys()
    assert on_cpu["fp8"].possible and on_cpu["fp8"].scored == "quantised"
    assert on_cpu["nvfp4"].possible and on_cpu["nvfp4"].scored == "weights_only"
    assert on_cpu["nvfp4_awq_lite"].reason.key == "quantize.needs_cuda"
    assert not on_cpu["mxfp4"].possible and "mxfp4" in on_cpu["mxfp4"].reason.render()
    assert not any(each.serves_here for each in on_cpu.values())
    assert all(each.size and each.quality.render("ko") for each in on_cpu.values())
    spark = {each.name: each for each in recipe_choices(None, here((12, 1), "GB10"))}
    assert spark["nvfp4_awq_lite"].possible and spark["nvfp4"].scored == "quantised"
    assert spark["nvfp4"].serves_here and spark["nvfp4"].size is None
    assert not spark["int4_awq"].serves_here, "AWQ does not run on sm_121"
    assert "GB10 (DGX Spark)" in spark["nvfp4"].parts
    assert spark["w4a16_nvfp4"].servers == ("vLLM",)


def test_a_pattern_leaves_out_what_servers_join_with_it() -> None:
    tensors = llama_8b()
    all_layers, none = choose_layers(LANGUAGE_RECIPES["nvfp4"], tensors, ())
    assert (len(all_layers), none) == (224, ())
    _, out = choose_layers(LANGUAGE_RECIPES["nvfp4"], tensors, ("model.layers.0.*.k_proj",))
    assert out == tuple(f"model.layers.0.self_attn.{name}_proj" for name in "qkv")
    plain = estimate_size(LANGUAGE_RECIPES["nvfp4"], KV_RECIPES["none"], tensors)
    less = estimate_size(
        LANGUAGE_RECIPES["nvfp4"], KV_RECIPES["none"], tensors, ("model.layers.3?.*",)
    )
    assert len(less.left_out) == 14 and less.whole > plain.whole
    with pytest.raises(StudioError) as refusal:
        choose_layers(LANGUAGE_RECIPES["nvfp4"], tensors, ("*",))
    assert refusal.value.code is Code.QUANTIZE_NOTHING_LEFT


def test_widths_that_blocks_do_not_divide_are_left_out() -> None:
    narrow = [StoredTensor("a.down_proj.weight", "BF16", (64, 72), 0)]
    wide = [*narrow, StoredTensor("b.down_proj.weight", "BF16", (64, 64), 0)]
    assert choose_layers(LANGUAGE_RECIPES["nvfp4"], wide, ()) == (
        ("b.down_proj",),
        ("a.down_proj",),
    )
    assert choose_layers(LANGUAGE_RECIPES["fp8"], narrow, ())[0] == ("a.down_proj",)


@pytest.mark.parametrize(
    ("find", "name", "code"),
    [
        (find_recipe, "gguf", Code.QUANTIZE_RECIPE_UNKNOWN),
        (find_recipe, "mxfp4", Code.QUANTIZE_RECIPE_UNAVAILABLE),
        (find_kv_recipe, "int2", Code.QUANTIZE_RECIPE_UNKNOWN),
        (find_kv_recipe, "nvfp4_cast", Code.QUANTIZE_RECIPE_UNAVAILABLE),
    ],
)
def test_other_names_are_refused(find: Any, name: str, code: Code) -> None:
    with pytest.raises(StudioError) as refusal:
        find(name)
    assert refusal.value.code is code


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def _lost_shard(folder: Path) -> None:
    told = {"weight_map": {"x": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(told))


def _config(**changes: Any) -> Any:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_no_weights, Code.QUANTIZE_WEIGHTS_MISSING),
        (_pickle, Code.QUANTIZE_WEIGHTS_PICKLED),
        (_cut, Code.MODEL_FILES_CORRUPTED),
        (_lost_shard, Code.MODEL_FILES_CORRUPTED),
        (_config(architectures=["MambaForCausalLM"]), Code.QUANTIZE_MODEL_UNSUPPORTED),
        (_config(architectures=["BertModel"]), Code.ARCHITECTURE_UNSUPPORTED),
        (_config(quantization_config={"quant_method": "awq"}), Code.QUANTIZE_ALREADY_QUANTIZED),
    ],
)
def test_models_that_cannot_be_quantised_are_refused(
    tmp_path: Path, spoil: Any, code: Code
) -> None:
    folder = make_tiny_llama(tmp_path / "models" / "spoilt")
    spoil(folder)
    settings = Settings(home=tmp_path / "home", models=(folder.parent,))
    with pytest.raises(StudioError) as refusal:
        make_order(settings, QuantizeRequest(model="spoilt", recipe="fp8"))
    assert refusal.value.code is code


def test_a_plan_names_every_check_and_the_first_thing_in_the_way(
    settings: Settings, tmp_path: Path
) -> None:
    request = QuantizeRequest(model="tiny", recipe="nvfp4", calibration="demo-chat")
    plan = plan_quantisation(settings, request, here())
    assert plan.problem is None and plan.size is not None and plan.memory_bytes
    status = {check.name: check.status for check in plan.checks}
    assert status["device"] == "warn", "scored by its weights alone"
    assert status["text"] == "warn", "demo-chat's text is short"
    taken = target_of(settings, request)
    taken.mkdir(parents=True)
    (taken / "notes.txt").write_text("mine")
    assert _problem(settings, request) is Code.CHECKPOINT_EXISTS
    assert _problem(settings, request.model_copy(update={"replace": True})) is (
        Code.CHECKPOINT_EXISTS
    ), "what is not ours is never replaced"
    for changes, code in (
        ({"recipe": "nvfp4_svdquant"}, Code.QUANTIZE_RECIPE_UNAVAILABLE),
        ({"calibration": "nothing"}, Code.CALIBRATION_TEXT_UNREADABLE),
        ({"model": "nothing"}, Code.CHAT_MODEL_NOT_FOUND),
        ({"out": "/proc/nothing/here"}, Code.FOLDER_NOT_WRITABLE),
        ({"effective_bits": 8.0, "recipe": "fp8"}, Code.RECIPE_INVALID),
        ({"effective_bits": 9.0, "recipe": "fp8", "kv_cache": "fp8"}, Code.RECIPE_INVALID),
        ({"effective_bits": 9.0}, Code.QUANTIZE_RECIPE_UNAVAILABLE),
        ({"evaluation_tokens": 262_144, "length": 8192}, None),
    ):
        other = request.model_copy(update={"out": str(tmp_path / "out"), **changes})
        assert _problem(settings, other) is code, changes


def _problem(settings: Settings, request: QuantizeRequest) -> Code | None:
    problem = plan_quantisation(settings, request, here()).problem
    return None if problem is None else problem.code


def test_a_model_that_is_too_large_says_what_it_needs(settings: Settings) -> None:
    small = Here(None, Machine(None, 0, {}), here().memory, budget_bytes=2**20)
    plan = plan_quantisation(settings, QuantizeRequest(model="tiny", recipe="fp8"), small)
    assert plan.problem is not None and plan.problem.code is Code.MODEL_TOO_LARGE
    assert plan.problem.values["needed_bytes"] == plan.memory_bytes


def test_what_would_fit_needs_less_and_changes_the_least(settings: Settings) -> None:
    request = QuantizeRequest(model="tiny", recipe="fp8", batch=64, length=512)
    order = make_order(settings, request)
    enough = memory_bytes(order, "cpu")
    assert what_fits(order, here(), enough) == ()
    first, *others = what_fits(order, here(), enough - 1)
    assert (first.recipe, first.batch, first.length) == ("fp8", 32, 512)
    assert first.memory_bytes < enough and all(each.recipe != "fp8" for each in others)
    at_one = memory_bytes(make_order(settings, request.model_copy(update={"batch": 1})), "cpu")
    shorter = what_fits(order, here(), at_one - 1)[0]
    assert (shorter.recipe, shorter.batch) == ("fp8", 1) and shorter.length < 512
    assert what_fits(order, here(), 2**20) == ()


@pytest.mark.parametrize(
    ("recipe", "gibibytes"),
    [
        ("nvfp4", 16.76),
        ("nvfp4_mlp_only", 16.73),
        ("nvfp4_awq_lite", 16.68),
        ("fp8", 16.76),
        ("int4_awq", 17.06),
    ],
)
def test_an_8b_llama_takes_the_memory_that_an_h200_was_seen_to_hold(
    settings: Settings, recipe: str, gibibytes: float
) -> None:
    """The most that torch reserved, in batches of 8 x 512 tokens (docs/quantisation.md)."""
    request = QuantizeRequest(model="tiny", recipe=recipe, batch=8, length=512)
    order = make_order(settings, request)
    tensors = llama_8b()
    config = {"hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 128256}
    size = estimate_size(order.recipe, order.kv, tensors, (), 0)
    source = replace(order.source, tensors=tensors, config=config)
    estimated = memory_bytes(replace(order, source=source, size=size), "gpu") / 2**30
    assert estimated == pytest.approx(gibibytes, rel=0.05)


def test_the_time_is_that_of_earlier_jobs_or_not_known(settings: Settings) -> None:
    request = QuantizeRequest(model="tiny", recipe="fp8")

    def said(*earlier: float) -> str:
        plan = plan_quantisation(settings, request, here(), earlier=earlier)
        return plan.checks[-1].detail.render()

    assert "Not known yet" in said()
    assert "12 s" in said(12.0)
    assert "20 s to 30 s" in said(30.0, 20.0, 25.0)


def test_headers_are_read_without_weights(tiny: Path) -> None:
    tensors = {each.name: each for each in read_headers(tiny, "tiny")}
    assert tensors["model.layers.1.mlp.down_proj.weight"].shape == (128, 256)
    assert (
        sum(each.stored_bytes for each in tensors.values())
        < (tiny / "model.safetensors").stat().st_size
    )
    assert ServerKind.TRANSFORMERS not in LANGUAGE_RECIPES["fp8"].served.kinds  # type: ignore[union-attr]
