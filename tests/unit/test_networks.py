"""Any ONNX file: what is refused, which shapes are proposed, and what a conversion leaves alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from backend.contracts import InputShapes, NetworkRequest, NetworkSource, NetworkView, TensorView
from backend.engines.cache import Host
from backend.errors import Code, StudioError
from backend.jobs.children import run_child
from backend.networks.convert import convert
from backend.networks.feeds import inputs_of_file, random_inputs
from backend.networks.files import file_to_write, find_file, mark_now, mark_of, name_of
from backend.networks.graph import external_files, read_graph
from backend.networks.look import describe, look
from backend.networks.plan import check_network_request, plan_network
from backend.networks.profile import (
    as_shapes,
    free_dimensions,
    parse_shapes,
    propose,
    shapes_of,
)
from backend.networks.run import output_error
from backend.settings import Settings
from tests.unit.networks import odd_network, picture_network, product, saved, tensor

IDS = TensorView(name="ids", type="int64", shape=("batch", "sequence"), values=50)
MASK = TensorView(name="mask", type="int64", shape=("batch", "past + sequence"))
PAST = TensorView(name="past.0", type="float32", shape=("batch", 4, "past", 16))
LAPTOP = Host("cpu", None, None, {"rtx": "1.7.1.116", "onnxruntime": "1.31.1"})


def refusal(code: Code, act: Callable[..., object], *arguments: object) -> StudioError:
    with pytest.raises(StudioError) as raised:
        act(*arguments)
    assert raised.value.code is code, raised.value
    assert "{" not in raised.value.info.message("ko") + raised.value.info.hint("ko")
    return raised.value


def view_of(file: Path) -> NetworkView:
    return describe(read_graph(file), file, None, ())


# ---- files that are no networks ---------------------------------------------------------------


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    whole = product(tmp_path / "whole.onnx", save_as_external_data=False).read_bytes()
    for content in (b"", b"not ONNX at all", b"\x89PNG\r\n\x1a\n", whole[:-20], whole[:100]):
        file = tmp_path / "bad.onnx"
        file.write_bytes(content)
        refusal(Code.ONNX_UNREADABLE, read_graph, file)
    huge = tmp_path / "huge.onnx"
    with huge.open("wb") as stream:
        stream.truncate(2**31)
    refusal(Code.ONNX_UNREADABLE, lambda: read_graph(huge))
    refusal(Code.ONNX_UNREADABLE, lambda: read_graph(tmp_path))


def test_external_weights_are_found_and_counted(tmp_path: Path) -> None:
    view = view_of(product(tmp_path / "p.onnx"))
    assert view.external_files == ("weights.bin",)
    assert view.weights == {"float32": 4 * 128 * 128}
    assert view.size_bytes == (tmp_path / "p.onnx").stat().st_size + 4 * 128 * 128


def test_missing_cut_and_wrong_external_weights_are_refused(tmp_path: Path) -> None:
    file, weights = product(tmp_path / "p.onnx"), tmp_path / "weights.bin"
    assert external_files(read_graph(file, alone=True)) == ("weights.bin",)
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    cut = refusal(Code.ONNX_DATA_TRUNCATED, lambda: read_graph(file))
    assert cut.info.values["needed_bytes"] == len(whole)
    weights.unlink()
    refusal(Code.ONNX_DATA_MISSING, lambda: read_graph(file))
    weights.write_bytes(whole)
    model = onnx.load(str(file), load_external_data=False)
    next(e for e in model.graph.initializer[0].external_data if e.key == "length").value = "12"
    onnx.save(model, str(file))
    refusal(Code.ONNX_DATA_WRONG, lambda: read_graph(file))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "link.bin", "..", ""])
def test_weights_outside_the_folder_are_never_opened(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    file = product(folder / "p.onnx")
    (folder / "weights.bin").rename(tmp_path / "weights.bin")
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    model = onnx.load(str(file), load_external_data=False)
    entry = next(e for e in model.graph.initializer[0].external_data if e.key == "location")
    entry.value = location
    onnx.save(model, str(file))
    for alone in (False, True):
        refusal(Code.ONNX_DATA_OUTSIDE, read_graph, file, alone)


def test_every_node_that_tensorrt_refuses_is_named(tmp_path: Path) -> None:
    arguments = {"file": str(odd_network(tmp_path / "odd.onnx")), "edition": "rtx"}
    answer = run_child("backend.networks.look", arguments, lambda news: None, lambda: None)
    view = NetworkView.model_validate(answer["view"])
    found = [(each.index, each.operator, each.name) for each in view.problems]
    assert found == [(1, "Odd", "odd one"), (2, "Odder", "odder one"), (3, "Det", "det")]
    assert [each.kind for each in view.problems][1:] == ["invalid_node", "unsupported_node"]
    assert all(each.reason for each in view.problems)


# ---- where files are --------------------------------------------------------------------------


def test_files_outside_the_homes_folder_need_who_sits_at_the_machine(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    outside = product(tmp_path / "p.onnx")
    assert find_file(settings, NetworkSource(file=str(outside)), anywhere=True) == outside
    for name in (str(outside), "../../p.onnx"):
        source = NetworkSource(file=name)
        refusal(Code.ONNX_NOT_ALLOWED, find_file, settings, source, False)
    gone = NetworkSource(file="gone.onnx")
    refusal(Code.ONNX_NOT_FOUND, lambda: find_file(settings, gone, anywhere=False))


def test_names_of_uploads(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    file = file_to_write(settings, "model v2.onnx")
    assert file.parent == tmp_path / "onnx_files"
    for name in ("../up.onnx", "a/b.onnx", ".hidden", "", "x" * 200, "..", "a\\b"):
        refusal(Code.ONNX_NAME_INVALID, file_to_write, settings, name)
    file.parent.mkdir()
    file.touch()
    refusal(Code.ONNX_NAME_TAKEN, lambda: file_to_write(settings, "model v2.onnx"))
    assert name_of(Path("/x/My Net/model.onnx")) == "my-net"
    assert name_of(Path("/x/ResNet50 v1.onnx")) == "resnet50-v1"


def test_a_source_that_changed_or_went_has_another_mark(tmp_path: Path) -> None:
    file = product(tmp_path / "p.onnx")
    mark = mark_of(file, ["weights.bin"])
    assert mark_now(str(file), mark) == mark
    (tmp_path / "weights.bin").write_bytes(b"other")
    assert mark_now(str(file), mark) not in (mark, None)
    file.unlink()
    assert mark_now(str(file), mark) is None


# ---- shapes -----------------------------------------------------------------------------------


def test_proposed_shapes_follow_the_names_of_dimensions() -> None:
    shapes = as_shapes(propose((IDS, MASK, PAST)))
    assert shapes["ids"] == ((1, 1), (1, 64), (4, 256))
    assert shapes["mask"] == ((1, 1), (1, 128), (4, 512))
    assert shapes["past.0"] == ((1, 4, 0, 16), (1, 4, 64, 16), (4, 4, 256, 16))
    picture = TensorView(name="x", type="float32", shape=("?", 3, "?", "?"))
    assert propose((picture,))[0].opt == (1, 3, 256, 256)


def test_a_given_size_holds_for_every_input_of_that_name() -> None:
    shapes = as_shapes(propose((IDS, MASK, PAST), parse_shapes("ids=2x3:2x8:8x16")))
    assert shapes["past.0"][2] == (8, 4, 256, 16)
    assert shapes["mask"] == ((2, 3), (2, 72), (8, 272))


@pytest.mark.parametrize(
    "given",
    [
        "ids",
        "ids=1x2:3x4",
        "ids=ax2",
        "=1x2",
        "nothing=1x2",
        "ids=1x2x3",
        "ids=4x8:2x8:8x8",
        "ids=1x8:1x64:1x32",
        "past.0=1x5x8x16",
        "ids=1x8,ids=1x9",
        "ids=1x8:1x8x8:1x8",
        "ids=2x8,past.0=3x4x8x16",
        "ids=1x8,past.0=1x4x8x16,mask=1x15",
    ],
)
def test_a_profile_that_contradicts_itself_or_the_file_is_refused(given: str) -> None:
    refusal(Code.PROFILE_INVALID, lambda: propose((IDS, MASK, PAST), parse_shapes(given)))


def test_chosen_sizes_make_the_shapes_of_all_inputs(tmp_path: Path) -> None:
    view = view_of(picture_network(tmp_path / "picture.onnx"))
    assert free_dimensions(view) == {"batch": (1, 1, 4), "h": (64, 256, 512), "w": (64, 256, 512)}
    made = as_shapes(shapes_of(view, {"h": (8, 16, 32)}))
    assert made == {
        "x": ((1, 3, 8, 64), (1, 3, 16, 256), (4, 3, 32, 512)),
        "flag": ((1,), (1,), (1,)),
    }
    refusal(Code.PROFILE_INVALID, lambda: shapes_of(view, {"h": (8, -1, 32)}))
    language = view.model_copy(update={"inputs": (IDS, MASK), "profile": propose((IDS, MASK))})
    assert set(free_dimensions(language)) == {"batch", "sequence"}
    assert as_shapes(shapes_of(language, {"batch": (2, 2, 2)}))["mask"][1] == (2, 128)
    hyphen = TensorView(name="x", type="float32", shape=("batch-size", 8))
    assert propose((hyphen,))[0].max == (4, 8)


def test_shapes_that_no_one_can_guess_must_be_given() -> None:
    unknown = TensorView(name="x", type="float32", shape=("...",))
    refusal(Code.PROFILE_INVALID, lambda: propose((unknown,)))
    assert propose((unknown,), parse_shapes("x=2x2"))[0].max == (2, 2)


# ---- plans ------------------------------------------------------------------------------------


def test_equal_work_has_one_id_and_other_work_another(tmp_path: Path) -> None:
    view = view_of(product(tmp_path / "p.onnx"))

    def id_of(digest: str = "d", **values: object) -> str:
        asked = NetworkRequest.model_validate({"source": {"file": "p.onnx"}} | values)
        return plan_network(asked, view, digest, LAPTOP).key.id

    proposed = [each.model_dump() for each in view.profile]
    other = InputShapes(name="x", min=(1, 128), opt=(2, 128), max=(2, 128)).model_dump()
    assert id_of() == id_of(shapes=proposed) == id_of(target="sm121")
    ids = {
        id_of(),
        id_of(digest="other"),
        id_of(precision="bf16"),
        id_of(target="sm120"),
        id_of(runtime="onnxruntime"),
        id_of(shapes=[other]),
        id_of(optimization_level=5),
    }
    assert len(ids) == 7
    assert id_of().startswith("p.onnx.fp32.rtx.sm121.")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"precision": "int8"}, Code.VARIANT_UNKNOWN),
        ({"runtime": "torch"}, Code.VARIANT_UNKNOWN),
        ({"target": "sm90"}, Code.TARGET_UNSUPPORTED),
        ({"shapes": [{"name": "x", "min": [2], "opt": [1], "max": [3]}]}, Code.PROFILE_INVALID),
    ],
)
def test_what_cannot_be_built_is_refused_at_once(values: dict[str, object], code: Code) -> None:
    asked = NetworkRequest.model_validate({"source": {"file": "p.onnx"}} | values)
    refusal(code, lambda: check_network_request(asked, LAPTOP))


# ---- conversion -------------------------------------------------------------------------------


def converted(file: Path, folder: Path, precision: str) -> Path:
    arguments = {"file": str(file), "folder": str(folder), "precision": precision, "copy": False}
    return Path(convert(arguments, lambda news: None))


def test_a_converted_network_computes_the_same_in_fewer_digits(tmp_path: Path) -> None:
    file = picture_network(tmp_path / "picture.onnx")
    half = converted(file, tmp_path / "half", "fp16")
    random = np.random.default_rng(1)
    for flag in (1, -1):
        inputs = {
            "x": random.normal(size=(2, 3, 8, 8)).astype(np.float32),
            "flag": np.array([flag], np.float32),
        }
        wanted, found = (
            onnxruntime.InferenceSession(str(each)).run(None, inputs) for each in (file, half)
        )
        error = output_error("y", found[0], wanted[0])
        assert 1e-6 < error.relative_rms < 5e-3
        assert found[0].dtype == np.float32
        assert error.not_finite == 0


def test_what_must_stay_in_fp32_does(tmp_path: Path) -> None:
    file = converted(picture_network(tmp_path / "picture.onnx"), tmp_path / "bf16", "bf16")
    model = onnx.load(str(file))
    makers = {name: node for node in model.graph.node for name in node.output}
    weights = {each.name: each.data_type for each in model.graph.initializer}
    assert weights["weight"] == TensorProto.BFLOAT16
    resizes = [node for node in model.graph.node if node.op_type == "Resize"]
    assert {weights[node.input[2]] for node in resizes} == {TensorProto.FLOAT}
    before = makers[resizes[0].input[0]]
    assert (before.op_type, before.attribute[0].i) == ("Cast", TensorProto.FLOAT)
    assert resizes[1].input[0] == "x"
    assert {value.type.tensor_type.elem_type for value in model.graph.output} == {1}
    view = {"file": str(file), "edition": "rtx"}
    found = run_child("backend.networks.look", view, lambda news: None, lambda: None)["view"]
    assert found["problems"] == []
    assert found["precision"] == "bf16"


def test_large_values_stay_finite_in_fp16(tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y"))
    file = saved(
        tmp_path / "large.onnx",
        [helper.make_node("Min", ["x", "limit"], ["y"])],
        [x],
        [y],
        [tensor("limit", [1e9, np.inf])],
    )
    half = onnx.load(str(converted(file, tmp_path / "half", "fp16")))
    limit = onnx.numpy_helper.to_array(half.graph.initializer[0])
    assert limit.tolist() == [65504.0, np.inf]


# ---- inputs and errors ------------------------------------------------------------------------


def test_random_inputs_make_sense_and_repeat() -> None:
    views = (IDS, MASK, PAST, TensorView(name="position_ids", type="int64", shape=("batch", 8)))
    shapes = as_shapes(propose(views))
    first, again, other = (random_inputs(views, shapes, seed) for seed in (3, 3, 4))
    assert 0 <= first["ids"].min() <= first["ids"].max() < 50
    assert first["ids"].max() > 30
    assert (first["mask"] == 1).all()
    assert first["position_ids"].tolist() == [list(range(8))]
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["past.0"] != other["past.0"]).any()


def test_given_inputs_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "inputs.npz"
    views = (IDS, PAST)
    good: dict[str, Any] = {
        "ids": np.ones((1, 3), np.int64),
        "past.0": np.ones((1, 4, 2, 16), np.float32),
    }
    np.savez(file, **good)
    assert inputs_of_file(file, views)["ids"].shape == (1, 3)
    changes: tuple[dict[str, Any], ...] = (
        {"ids": np.ones((1, 3), np.int32)},
        {"ids": np.ones(3, np.int64)},
        {"past.0": np.ones((1, 5, 2, 16), np.float32)},
        {"more": np.ones(1)},
        {"ids": np.array([[{}]])},
    )
    for change in changes:
        np.savez(file, **(good | change))
        refusal(Code.INPUTS_INVALID, lambda: inputs_of_file(file, views))
    np.savez(file, ids=good["ids"])
    refusal(Code.INPUTS_INVALID, lambda: inputs_of_file(file, views))
    file.write_bytes(b"nothing")
    refusal(Code.INPUTS_INVALID, lambda: inputs_of_file(file, views))


def test_errors_are_those_of_the_values_and_broken_values_are_counted() -> None:
    wanted = np.array([3.0, 4.0, np.inf, 0.0], np.float32)
    found = np.array([3.0, 4.5, np.inf, np.nan], np.float32)
    error = output_error("y", found, wanted)
    assert error.max_abs == 0.5
    assert error.relative_rms == pytest.approx(0.1)
    assert error.not_finite == 1


def test_a_look_tells_what_is_inside(tmp_path: Path) -> None:
    file = picture_network(tmp_path / "picture.onnx")
    answer = look({"file": str(file), "edition": None, "digest": True}, lambda news: None)
    view = NetworkView.model_validate(answer["view"])
    assert view.operators["Resize"] == 2
    assert view.operators["CumSum"] == 1
    assert view.nodes == 16
    assert [each.shape for each in view.inputs] == [("batch", 3, "h", "w"), (1,)]
    assert view.profile[0].opt == (1, 3, 256, 256)
    assert len(answer["digest"]) == 64
