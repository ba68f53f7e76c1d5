import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.contracts import Precision, VariantState
from backend.errors import Code, StudioError
from backend.models import files
from backend.models.catalog import Machine, describe, find_model, find_models
from backend.models.requests import check_prompt, check_request
from backend.settings import ASSETS, Settings
from tests.support import request

DEMO = ASSETS / "models" / "demo-flux"
GIB = 1024**3


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the demo model that a test may damage, as the model `broken`."""
    return Path(shutil.copytree(DEMO, tmp_path / "models" / "broken"))


def described(settings: Settings, model: str, total_bytes: int = 16 * GIB) -> Any:
    entry = find_model(settings, model)
    machine = Machine(total_bytes, on_gpu=False, native=frozenset({Precision.FP32}))
    return entry, describe(entry, machine, {})


def code_of(**changes: Any) -> Code:
    settings = Settings(home=Path("unused"))
    entry, model = described(settings, "demo-flux")
    with pytest.raises(StudioError) as refusal:
        check_request(request(**changes), model, entry)
    assert refusal.value.info.message()
    assert refusal.value.info.hint()
    return refusal.value.code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"prompt": ""}, Code.PROMPT_EMPTY),
        ({"prompt": " \n\t"}, Code.PROMPT_EMPTY),
        ({"prompt": "x" * 100_000}, Code.PROMPT_TOO_LONG),
        ({"prompt": "red circle " * 200}, Code.PROMPT_TOO_MANY_TOKENS),
        ({"prompt": "red\0circle"}, Code.INVALID_REQUEST),
        ({"prompt": "red \ud800 circle"}, Code.INVALID_REQUEST),
        ({"width": 100}, Code.SIZE_NOT_MULTIPLE),
        ({"height": 4096}, Code.SIZE_OUT_OF_RANGE),
        ({"height": -16}, Code.SIZE_OUT_OF_RANGE),
        ({"steps": 0}, Code.STEPS_OUT_OF_RANGE),
        ({"steps": 10_000}, Code.STEPS_OUT_OF_RANGE),
        ({"guidance": -1}, Code.GUIDANCE_OUT_OF_RANGE),
        ({"guidance": float("nan")}, Code.GUIDANCE_OUT_OF_RANGE),
        ({"seed": -1}, Code.SEED_OUT_OF_RANGE),
        ({"seed": 2**40}, Code.SEED_OUT_OF_RANGE),
        ({"count": 0}, Code.COUNT_OUT_OF_RANGE),
        ({"count": 1000}, Code.COUNT_OUT_OF_RANGE),
        ({"precision": "nvfp4"}, Code.VARIANT_UNKNOWN),
        ({"runtime": "tensorrt"}, Code.VARIANT_UNKNOWN),
    ],
)
def test_a_bad_request_gets_its_code(changes: dict[str, Any], code: Code) -> None:
    assert code_of(**changes) is code


def test_a_size_that_does_not_work_comes_with_one_that_does() -> None:
    settings = Settings(home=Path("unused"))
    entry, model = described(settings, "demo-flux")
    with pytest.raises(StudioError) as refusal:
        check_request(request(width=100, height=250), model, entry)
    assert "96 x 256" in refusal.value.info.hint()


def test_what_does_not_fit_the_machine_is_impossible_and_says_why(settings: Settings) -> None:
    entry, model = described(settings, "flux.1-dev", total_bytes=24 * GIB)
    assert {variant.state for variant in model.variants} == {VariantState.IMPOSSIBLE}
    with pytest.raises(StudioError) as refusal:
        check_request(request(model="flux.1-dev", width=1024, height=1024), model, entry)
    assert refusal.value.code is Code.VARIANT_UNAVAILABLE
    assert "24.0 GiB" in refusal.value.info.message()


def test_a_known_model_that_is_not_here_says_how_to_fetch_it(settings: Settings) -> None:
    _, model = described(settings, "flux.1-dev", total_bytes=128 * GIB)
    assert {variant.state for variant in model.variants} == {VariantState.DOWNLOADABLE}
    assert "spark-studio fetch --model flux.1-dev" in model.variants[0].reason.render()


def test_a_precision_that_the_cpu_emulates_says_so(settings: Settings) -> None:
    _, model = described(settings, "demo-flux")
    reasons = {variant.precision: variant.reason.render() for variant in model.variants}
    assert reasons[Precision.FP32] == "Ready, on the CPU."
    assert "emulated" in reasons[Precision.FP16]


def test_an_unknown_model_is_named(settings: Settings) -> None:
    with pytest.raises(StudioError) as refusal:
        find_model(settings, "../../etc/passwd")
    assert refusal.value.code is Code.MODEL_UNKNOWN


def cut(folder: Path) -> None:
    weights = files.weight_files(folder)[0]
    weights.write_bytes(weights.read_bytes()[:-100])


def empty(folder: Path) -> None:
    files.weight_files(folder)[0].write_bytes(b"")


def scramble(folder: Path) -> None:
    files.weight_files(folder)[0].write_bytes(b"\xff" * 4096)


def forget_tokenizer(folder: Path) -> None:
    (folder / "tokenizer_2" / "tokenizer_config.json").unlink()


def spoil_index(folder: Path) -> None:
    (folder / "transformer" / "config.json").write_text("{")


@pytest.mark.parametrize("damage", [cut, empty, scramble, forget_tokenizer, spoil_index])
def test_a_damaged_folder_is_listed_as_impossible(
    settings: Settings, copy: Path, damage: Any
) -> None:
    damage(copy)
    settings = settings.model_copy(update={"models": (copy.parent,)})
    entry, model = described(settings, "broken")
    assert entry.problem
    assert {variant.state for variant in model.variants} == {VariantState.IMPOSSIBLE}


def test_a_folder_of_another_pipeline_is_no_model_of_ours(settings: Settings, copy: Path) -> None:
    (copy / "model_index.json").write_text(json.dumps({"_class_name": "OtherPipeline"}))
    settings = settings.model_copy(update={"models": (copy.parent,)})
    assert "broken" not in find_models(settings)


def test_the_demo_models_manifest_matches_its_files() -> None:
    entry = find_model(Settings(home=Path("unused")), "demo-flux")
    assert entry.digests
    assert set(entry.digests) >= {str(file.relative_to(DEMO)) for file in files.weight_files(DEMO)}
    assert entry.size_bytes <= 16_000_000


def test_tokens_are_counted_where_only_the_tokenizers_are_here() -> None:
    demo = find_model(Settings(home=Path("unused")), "demo-flux")
    for_engines = replace(demo, folder=None)
    with pytest.raises(StudioError) as refusal:
        check_prompt("a red circle " * 300, for_engines)
    assert refusal.value.code is Code.PROMPT_TOO_MANY_TOKENS
