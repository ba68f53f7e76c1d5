"""Every precision of a denoiser from torch to a TensorRT engine, without a job around it."""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from backend.contracts import Precision
from backend.engines.build import build
from backend.engines.cache import ONNX, data_file, size_of
from backend.engines.check import check, load_reference
from backend.engines.lower import lower
from backend.engines.modules import module_of
from backend.engines.network import layers_of
from backend.engines.plan import full_profile
from backend.engines.prepare import prepare
from backend.engines.shapes import input_shapes
from backend.engines.validated import reference_file
from backend.engines.weights import WeightWriter, check_data, load_graph
from backend.errors import Code, StudioError
from backend.images.pipeline import load_pipeline
from backend.jobs.children import run_child
from backend.jobs.failures import explain
from backend.models.catalog import find_model
from backend.quantize.calibration import Calibration, calibrate
from backend.quantize.recipes import default_recipe
from backend.settings import Settings
from tests.tiny_flux import NAME

CASES = {
    ("transformer", Precision.FP32): (Precision.FP32, "check.onnxruntime", 1e-3),
    ("transformer", Precision.FP16): (Precision.FP16, "check.onnxruntime", 2e-2),
    ("transformer", Precision.BF16): (Precision.BF16, "check.widened", 1e-3),
    ("transformer", Precision.INT8): (Precision.BF16, "check.widened", 0.3),
    ("transformer", Precision.FP8): (Precision.BF16, "check.widened", 0.3),
    ("transformer", Precision.NVFP4): (Precision.BF16, "check.dequantised", 0.5),
    ("text_encoder", Precision.FP16): (Precision.FP16, "check.onnxruntime", 2e-2),
    ("text_encoder_2", Precision.BF16): (Precision.BF16, "check.widened", 1e-3),
    ("vae_decoder", Precision.FP32): (Precision.FP32, "check.onnxruntime", 1e-3),
}
"""By module and precision: that of the plain export, how the file is checked, the largest error."""
Made = dict[tuple[str, Precision], tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, tiny_exports: Path
) -> Iterator[Made]:
    """The file of each case, and what was found out about it."""
    folder, model = tmp_path_factory.mktemp("files"), tiny_models / NAME
    calibrations = calibrated(model)
    found: Made = {}
    bases = {precision: base for (_, precision), (base, _, _) in CASES.items()}
    for precision, base in bases.items():
        work = folder / precision
        calibration = folder / f"{precision}.safetensors"
        if precision in calibrations:
            calibrations[precision].save(calibration)
        modules = [module for module, asked_for in CASES if asked_for is precision]
        facts = prepare(
            {
                "model": NAME,
                "folder": str(model),
                "sample_size": [64, 128],
                "exports": str(tiny_exports),
                "work": str(work),
                "calibration": str(calibration),
                "modules": [
                    {"module": module, "base": base, "precision": precision} for module in modules
                ],
            },
            lambda news: None,
        )
        for one in facts:
            found[one["module"], precision] = (work / one["module"] / ONNX, one)
    yield found
    shutil.rmtree(folder)


def calibrated(model: Path) -> dict[Precision, Calibration]:
    """Ranges that the denoiser's example inputs give."""
    pipeline = load_pipeline(model, NAME, Precision.FP32, torch.device("cpu"))
    inputs = module_of(pipeline, "transformer", 64, 128).inputs

    def watch(stand_in: torch.nn.Module) -> None:
        stand_in(**inputs)

    found = {}
    for precision in (Precision.INT8, Precision.FP8, Precision.NVFP4):
        recipe = default_recipe("flux", precision, samples=1, steps=1)
        with torch.no_grad():
            found[precision] = calibrate(
                pipeline.transformer, recipe, "flux", watch, lambda done, wanted: None, lambda: None
            )
    return found


def asked(file: Path, plan: Path, target: str = "sm121", **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "edition": "rtx",
        "onnx": str(file),
        "plan": str(plan),
        "shapes": {},
        "target": target,
        "optimization_level": 3,
        "workspace_bytes": None,
        "weight_streaming": False,
        "refit": False,
        "timing_cache": str(plan.with_suffix(".timing")),
    }
    return arguments | changes


def shapes_of(facts: dict[str, Any]) -> dict[str, list[list[int]]]:
    entry = find_model(Settings(home=Path("unused")), "demo-flux")
    return input_shapes(facts["inputs"], facts["dynamic"], full_profile(entry))


@pytest.mark.parametrize(("module", "precision"), CASES)
def test_every_file_is_run_against_torch(made: Made, module: str, precision: Precision) -> None:
    file, facts = made[module, precision]
    _, how, worst = CASES[module, precision]
    assert facts["check"]["key"] == how
    assert 0 < facts["relative_error"] < min(worst, facts["allowed"])
    assert size_of(file) == file.stat().st_size + data_file(file).stat().st_size
    check_data(load_graph(file), file.parent)
    assert not list(file.parent.glob("check.onnx*"))


@pytest.mark.parametrize(
    ("module", "precision", "target"),
    [
        *((module, precision, "sm121") for module, precision in CASES),
        ("transformer", Precision.NVFP4, "sm120"),
    ],
)
def test_tensorrt_builds_it_for_a_gpu_that_is_not_here(
    made: Made, module: str, precision: Precision, target: str, tmp_path: Path
) -> None:
    file, facts = made[module, precision]
    plan = tmp_path / "engine.plan"
    shares: list[int] = []
    done = build(
        asked(file, plan, target, shapes=shapes_of(facts)),
        lambda news: shares.append(news["step"]),
    )
    assert done["layer_count"] > 50
    assert done["size_bytes"] == plan.stat().st_size
    assert shares == sorted(shares)
    products = [one for one in layers_of(load_graph(file), "model.") if one.kind == "MatMul"]
    if products:
        share = sum(one.precision == precision for one in products) / len(products)
        assert share > 0.5, {one.precision for one in products}


def test_the_builder_takes_its_options(made: Made, tmp_path: Path) -> None:
    file, facts = made["text_encoder", Precision.FP16]
    options: tuple[dict[str, Any], ...] = (
        {"optimization_level": 0, "workspace_bytes": 1 << 28},
        {"optimization_level": 5, "weight_streaming": True},
    )
    for changes in options:
        arguments = asked(file, tmp_path / "plan", shapes=shapes_of(facts), **changes)
        assert build(arguments, lambda news: None)["size_bytes"] > 1_000_000


def test_a_builder_that_is_told_to_stop_leaves_no_engine(made: Made, tmp_path: Path) -> None:
    file, facts = made["transformer", Precision.FP32]
    plan = tmp_path / "engine.plan"
    with pytest.raises(StudioError) as refusal:
        build(asked(file, plan, shapes=shapes_of(facts)), lambda news: None, lambda: True)
    assert refusal.value.code is Code.ENGINE_BUILD_FAILED
    assert not plan.exists()


class Stopped(Exception):
    pass


def test_a_builder_in_a_child_stops_by_itself_when_asked(made: Made, tmp_path: Path) -> None:
    file, facts = made["transformer", Precision.FP32]
    plan = tmp_path / "engine.plan"
    heard: list[dict[str, Any]] = []

    def stop_once_it_builds() -> None:
        if heard:
            raise Stopped

    with pytest.raises(Stopped):
        run_child(
            "backend.engines.build",
            asked(file, plan, shapes=shapes_of(facts)),
            heard.append,
            stop_once_it_builds,
            grace_s=60.0,
        )
    assert not plan.exists()


def test_packed_weights_that_were_swapped_do_not_pass(made: Made, tmp_path: Path) -> None:
    """The check looks at our packing: halves of bytes the wrong way round are found."""
    file, facts = made["transformer", Precision.NVFP4]
    copy = Path(shutil.copytree(file.parent, tmp_path / "swapped")) / ONNX
    graph = load_graph(copy)
    data = bytearray(data_file(copy).read_bytes())
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT4E2M1:
            place = {entry.key: entry.value for entry in tensor.external_data}
            first, length = int(place["offset"]), int(place["length"])
            for index in range(first, first + length):
                data[index] = (data[index] >> 4) | (data[index] & 0xF) << 4
    data_file(copy).write_bytes(data)
    known = load_reference(reference_file(file.parent.parent, "transformer"), facts["allowed"])
    with pytest.raises(StudioError) as refusal:
        check("transformer", copy, Precision.BF16, Precision.NVFP4, known)
    assert refusal.value.code is Code.EXPORT_DIFFERS


def test_a_full_disk_is_named_in_export_and_build(
    made: Made, tiny_exports: Path, tmp_path: Path
) -> None:
    file, facts = made["transformer", Precision.NVFP4]
    full = tmp_path / ONNX
    data_file(full).symlink_to("/dev/full")
    calibration = Calibration.load(file.parents[2] / "nvfp4.safetensors")
    plain = tiny_exports / "transformer.bf16" / ONNX
    with pytest.raises(OSError, match="No space left") as export, WeightWriter(full) as writer:
        lower(load_graph(plain), plain.parent, "model.", calibration, writer)
    assert export.value.errno == errno.ENOSPC
    assert explain(export.value).code is Code.DISK_FULL
    plan = tmp_path / "engine.plan"
    plan.symlink_to("/dev/full")
    encoder, facts = made["text_encoder", Precision.FP16]
    with pytest.raises(StudioError) as refusal:
        run_child(
            "backend.engines.build",
            asked(encoder, plan, shapes=shapes_of(facts)),
            lambda news: None,
            lambda: None,
        )
    assert refusal.value.code is Code.DISK_FULL
