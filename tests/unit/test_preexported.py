"""Pre-exported ONNX files and their weights, checked before TensorRT sees them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from backend.contracts import EngineProfile
from backend.engines.preexported import take
from backend.errors import Code, StudioError
from tests.contract import tiny_onnx

PROFILE = EngineProfile(min_side=256, max_side=1024, opt_width=1024, opt_height=512)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return tiny_onnx.write_all(tmp_path_factory.mktemp("onnx"))


@pytest.fixture
def folder(files: dict[str, bytes], tmp_path: Path) -> Path:
    for name, data in files.items():
        file = tmp_path / "onnx" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return tmp_path / "onnx"


def taken(folder: Path, module: str, **changes: Any) -> dict[str, Any]:
    arguments = {
        "folder": str(folder),
        "repo": "painter/onnx",
        "precision": "fp8",
        "modules": [module],
        "profile": PROFILE.model_dump(),
        "max_prompt_tokens": tiny_onnx.TOKENS,
        "work": str(folder.parent / "work"),
    }
    (one,) = take(arguments | changes, lambda news: None)
    return one


def test_what_a_build_needs_to_know_is_read_from_the_file(folder: Path) -> None:
    one = taken(folder, "transformer")
    assert one["relative_error"] is None
    assert one["inputs"]["encoder_hidden_states"] == [0, tiny_onnx.TOKENS, tiny_onnx.WIDTH]
    assert one["dynamic"]["hidden_states"] == [(0, "B"), (1, "T")]
    assert one["manifest"]["onnx_source"] == "painter/onnx@onnx/transformer.opt/fp8/model.onnx"
    layers = json.loads((folder.parent / "work/transformer/layers.json").read_text())
    precisions = {layer["name"]: layer["precision"] for layer in layers}
    assert precisions["up_projection"] == "fp8"
    assert precisions["down_projection"] == "bf16"


def cut(folder: Path) -> None:
    data = folder / "vae.opt" / tiny_onnx.DATA
    data.write_bytes(data.read_bytes()[:-1])


def lose(folder: Path) -> None:
    (folder / "vae.opt" / tiny_onnx.DATA).unlink()


def described(name: str, value: str) -> Callable[[Path], None]:
    """Let the first tensor's external data be described otherwise."""

    def change(folder: Path) -> None:
        file = folder / "vae.opt" / "model.onnx"
        model = onnx.load(str(file), load_external_data=False)
        for entry in model.graph.initializer[0].external_data:
            if entry.key == name:
                entry.value = value
        file.write_bytes(model.SerializeToString())

    return change


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (cut, Code.ONNX_DATA_TRUNCATED),
        (lose, Code.ONNX_DATA_MISSING),
        (described("location", "../clip.opt/backbone.onnx_data"), Code.ONNX_DATA_OUTSIDE),
        (described("location", "/etc/passwd"), Code.ONNX_DATA_OUTSIDE),
        (described("length", "6"), Code.ONNX_DATA_WRONG),
        (described("offset", "4096"), Code.ONNX_DATA_TRUNCATED),
        (described("offset", "-1"), Code.ONNX_DATA_WRONG),
        (described("offset", "far"), Code.ONNX_UNREADABLE),
    ],
)
def test_wrong_external_data_is_an_error_before_the_build(
    folder: Path, damage: Callable[[Path], None], code: Code
) -> None:
    damage(folder)
    with pytest.raises(StudioError) as refusal:
        taken(folder, "vae_decoder")
    assert refusal.value.code is code


def garbled(folder: Path) -> None:
    (folder / "transformer.opt/fp8/model.onnx").write_bytes(b"not ONNX")


def renamed(folder: Path) -> None:
    file = folder / "transformer.opt/fp8/model.onnx"
    model = onnx.load(str(file), load_external_data=False)
    model.graph.input[0].name = "img"
    file.write_bytes(model.SerializeToString())


def plain(folder: Path) -> None:
    tiny_onnx.save(
        tiny_onnx.transformer(quantised=False), folder / "transformer.opt/fp8/model.onnx"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (garbled, "cannot be read"),
        (renamed, "its inputs are"),
        (plain, "to be FP8, and does not quantise"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    folder: Path, change: Callable[[Path], None], said: str
) -> None:
    change(folder)
    with pytest.raises(StudioError) as refusal:
        taken(folder, "transformer")
    assert refusal.value.code is Code.ONNX_UNEXPECTED
    assert said in refusal.value.info.message()


def test_a_file_for_another_number_of_prompt_tokens_is_refused(folder: Path) -> None:
    with pytest.raises(StudioError) as refusal:
        taken(folder, "text_encoder_2", max_prompt_tokens=256)
    assert refusal.value.code is Code.ONNX_UNEXPECTED


def test_a_file_of_one_size_takes_a_profile_of_that_size_alone(folder: Path) -> None:
    file = folder / "vae.opt" / "model.onnx"
    model = onnx.load(str(file), load_external_data=False)
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], (64, 128)):
        dim.dim_value = size
    file.write_bytes(model.SerializeToString())
    with pytest.raises(StudioError) as refusal:
        taken(folder, "vae_decoder")
    assert refusal.value.code is Code.PROFILE_INVALID
