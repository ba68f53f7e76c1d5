"""Engines of a small model: exported, calibrated, built and run by real processes."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from backend.contracts import (
    EngineRequest,
    EngineState,
    JobKind,
    JobState,
    Precision,
    Runtime,
    VariantState,
)
from backend.engines.cache import ONNX, Host, data_file, folder_of, standing
from backend.engines.phases import order_of
from backend.errors import Code, StudioError
from backend.jobs.children import run_child
from backend.settings import Settings
from backend.studio import Studio
from tests.painting import Painter
from tests.support import OWNER, PATIENCE_S, await_phase, request, running_worker
from tests.tiny_flux import NAME, QUICK, build_tiny, copy_engines


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, tiny_engines: Path
) -> Iterator[Studio]:
    """A studio whose tiny model has FP32 and INT8 engines in ONNX Runtime, and a worker."""
    home = tmp_path_factory.mktemp("engines")
    copy_engines(tiny_engines, home)
    studio = Studio(Settings(home=home, models=(tiny_models,)))
    with running_worker(studio.settings):
        yield studio
    studio.close()


def picture(studio: Studio, **values: object) -> np.ndarray:
    asked = request(model=NAME, steps=8, **values)
    job = studio.jobs.wait(studio.pictures.generate(asked, OWNER), OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    return np.asarray(Image.open(job.images[0].path)).astype(np.float64)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((one - other) ** 2).mean()))


def test_pictures_through_engines_differ_as_much_as_their_precision(built: Studio) -> None:
    reference = picture(built)
    fp32, int8 = (
        picture(built, runtime=Runtime.ONNXRUNTIME, precision=precision)
        for precision in (Precision.FP32, Precision.INT8)
    )
    assert np.abs(fp32 - reference).max() <= 1
    assert 15 < psnr(int8, reference) < 60


def test_engines_take_turns_with_those_of_the_text_encoders(built: Studio) -> None:
    asked = request(model=NAME, steps=2, width=64, height=64, runtime=Runtime.ONNXRUNTIME)
    whole = Painter(built.settings, 1 << 40).paint(asked)
    turns = Painter(built.settings, 1 << 40, "unload").paint(asked)
    assert (whole.loaded, turns.loaded) == (["whole"], ["encoders", "painter"])
    assert (turns.pixels == whole.pixels).all()


def test_each_layer_is_timed(built: Studio) -> None:
    (engine,) = (
        each.manifest.id
        for each in built.engines.all()
        if each.manifest.id.startswith(f"{NAME}.transformer.int8.onnxruntime")
    )
    assert all(layer.time_ms is None for layer in built.engines.inspect(engine).fused)
    job = built.jobs.wait(built.engines.time_layers(engine, OWNER), OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result is not None
    layers = built.engines.inspect(engine).fused
    timed = {layer.name: layer.time_ms for layer in layers if layer.time_ms is not None}
    assert len(timed) > 0.9 * len(layers)
    assert sum(timed.values()) == pytest.approx(job.result["total_ms"])
    products = [one.time_ms or 0.0 for one in layers if "MatMul" in one.kind or "Gemm" in one.kind]
    assert sum(products) > 0.1 * sum(timed.values()), "products take more than nothing"


def test_a_second_request_finds_what_the_first_one_built(built: Studio) -> None:
    again = build_tiny(built, precision="int8", runtime="onnxruntime")
    assert again["built"] == 0
    assert len(again["engines"]) == 4
    assert not list((built.settings.home / "engines").glob(".*"))


def test_a_rebuild_that_goes_on_leaves_what_it_has_rebuilt_already(built: Studio) -> None:
    asked = EngineRequest.model_validate(
        {"model": NAME, "precision": "fp32", "runtime": "onnxruntime", "again": True} | QUICK
    )

    def left_to_build(created_at: float) -> int:
        row = SimpleNamespace(
            id="rebuild",
            kind=JobKind.ENGINE,
            request=asked.model_dump(mode="json"),
            created_at=created_at,
        )
        context: Any = SimpleNamespace(row=row)
        return len(order_of(context, built.settings).missing)

    assert left_to_build(created_at=time.time()) == 4
    assert left_to_build(created_at=0.0) == 0


def test_variants_with_engines_are_ready(built: Studio) -> None:
    variants = {(v.precision, v.runtime): v for v in built.models.find(NAME).variants}
    ready = variants[Precision.INT8, Runtime.ONNXRUNTIME]
    assert ready.state is VariantState.READY
    assert ready.memory_bytes > 0


def test_manifests_tell_how_each_engine_was_checked_and_run(built: Studio) -> None:
    for engine in built.engines.all():
        made = engine.manifest
        assert made.check is not None and made.check.key == "check.onnxruntime"
        assert made.validated is True
        assert made.validation is not None and made.validation.render("ko")
        assert made.relative_error is not None
        limit = 1e-3 if made.precision is Precision.FP32 else 0.2
        assert 0 < made.relative_error < limit
        data = data_file(folder_of(built.settings, made.id) / ONNX)
        assert made.size_bytes > data.stat().st_size > 1_000_000


def test_a_tensorrt_engine_is_listed_for_the_gpu_that_it_is_for(built: Studio) -> None:
    made = build_tiny(built, precision="fp32", module="text_encoder", target="sm121")
    view = built.engines.inspect(made["engines"][0])
    manifest = view.engine.manifest
    assert (manifest.target, manifest.runtime) == ("sm121", Runtime.TENSORRT)
    assert view.engine.state is EngineState.OTHER_GPU
    assert manifest.validated is None
    assert manifest.validation is not None and manifest.validation.key == "validation.elsewhere"
    assert len(view.layers) > 50
    files = {file.name for file in folder_of(built.settings, manifest.id).iterdir()}
    assert files == {"engine.plan", "layers.json", "manifest.json"}
    with pytest.raises(StudioError) as refusal:
        built.engines.time_layers(manifest.id, OWNER)
    assert refusal.value.code is Code.ENGINE_NOT_RUNNABLE


def test_an_engine_whose_file_was_cut_in_half_is_broken(built: Studio, tmp_path: Path) -> None:
    made = next(
        e.manifest for e in built.engines.all() if e.manifest.runtime is Runtime.ONNXRUNTIME
    )
    here = Host("cpu", None, None, {"onnxruntime": made.version})
    for name in (ONNX, f"{ONNX}.data"):
        folder = tmp_path / name
        shutil.copytree(folder_of(built.settings, made.id), folder)
        assert standing(made, folder, made.model_fingerprint, here)[0] is EngineState.VALID
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        assert standing(made, folder, made.model_fingerprint, here)[0] is EngineState.BROKEN
        (folder / name).unlink()
        assert standing(made, folder, made.model_fingerprint, here)[0] is EngineState.BROKEN


def test_what_does_not_fit_is_refused_before_a_phase_begins(tmp_path: Path) -> None:
    """No export is begun for an engine that needs more memory than models may hold."""
    small = Studio(Settings(home=tmp_path / "small", memory_budget_bytes=1 << 20))
    try:
        asked = EngineRequest(model="demo-flux", precision=Precision.FP32)
        early = small.engines.build(asked, OWNER)
        with running_worker(small.settings, "small"):
            job = small.jobs.wait(early, OWNER, PATIENCE_S)
            with pytest.raises(StudioError) as refusal:
                small.engines.build(asked, OWNER)
        assert job.error is not None and job.error.code is Code.MODEL_TOO_LARGE
        assert refusal.value.code is Code.BUILD_MEMORY_LOW
        assert not (small.settings.home / "onnx").exists()
    finally:
        small.close()


def test_an_engine_that_was_cut_is_broken_and_one_of_another_version_stale(
    built: Studio,
) -> None:
    engine = next(
        engine
        for engine in built.engines.all()
        if (engine.manifest.precision, engine.manifest.runtime)
        == (Precision.INT8, Runtime.ONNXRUNTIME)
    )
    folder = built.settings.home / "engines" / engine.manifest.id
    here = Host("cpu", None, None, {"onnxruntime": engine.manifest.version})

    def state_of(host: Host = here, **changes: object) -> EngineState:
        changed = engine.manifest.model_copy(update=changes)
        return standing(changed, folder, engine.manifest.model_fingerprint, host)[0]

    assert state_of() is EngineState.VALID
    assert state_of(size_bytes=engine.manifest.size_bytes - 1) is EngineState.BROKEN
    assert state_of(file="gone.onnx") is EngineState.BROKEN
    assert state_of(format=0) is EngineState.STALE
    assert state_of(model_fingerprint="another") is EngineState.STALE
    assert state_of(Host("cpu", None, None, {"onnxruntime": "2"})) is EngineState.STALE
    assert state_of(target="sm121") is EngineState.OTHER_GPU
    assert state_of(Host("cpu", None, 48, here.versions), sm_count=170) is EngineState.OTHER_GPU


def test_a_cancelled_build_leaves_nothing_that_is_listed(built: Studio) -> None:
    before = {engine.manifest.id for engine in built.engines.all()}
    asked = EngineRequest(
        model=NAME, precision=Precision.INT8, calibration_prompts=60, calibration_steps=20
    )
    job_id = built.engines.build(asked, OWNER)
    await_phase(built, job_id, "calibrate", 1)
    built.jobs.cancel(job_id, OWNER)
    assert built.jobs.wait(job_id, OWNER, PATIENCE_S).state is JobState.CANCELLED
    assert {engine.manifest.id for engine in built.engines.all()} == before


def test_a_deleted_engine_is_gone_and_its_variant_wants_it_again(built: Studio) -> None:
    denoiser = next(
        engine.manifest.id
        for engine in built.engines.all()
        if engine.manifest.id.startswith(f"{NAME}.transformer.int8.onnxruntime")
    )
    assert built.engines.delete(denoiser) > 1_000_000
    with pytest.raises(StudioError) as refusal:
        built.engines.inspect(denoiser)
    assert refusal.value.code is Code.ENGINE_NOT_FOUND
    variants = {(v.precision, v.runtime): v.state for v in built.models.find(NAME).variants}
    assert variants[Precision.INT8, Runtime.ONNXRUNTIME] is VariantState.BUILDABLE
    with pytest.raises(StudioError) as refusal:
        picture(built, runtime=Runtime.ONNXRUNTIME, precision=Precision.INT8)
    assert refusal.value.code is Code.VARIANT_UNAVAILABLE


def test_onnx_that_tensorrt_does_not_take_names_the_node(tmp_path: Path) -> None:
    value = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in ("x", "y")
    ]
    node = helper.make_node("Unheard", ["x"], ["y"], name="odd", domain="nowhere")
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("nowhere", 1)]
    file = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(file))
    for content, where in ((None, "Unheard"), (b"not ONNX", "odd.onnx")):
        if content:
            file.write_bytes(content)
        arguments = {
            "edition": "rtx",
            "onnx": str(file),
            "plan": str(tmp_path / "plan"),
            "shapes": {},
            "target": "sm121",
            "optimization_level": 3,
            "workspace_bytes": None,
            "weight_streaming": False,
            "refit": False,
            "timing_cache": str(tmp_path / "timing"),
        }
        with pytest.raises(StudioError) as refusal:
            run_child("backend.engines.build", arguments, lambda news: None, lambda: None)
        assert refusal.value.code is Code.ONNX_INVALID
        assert where in str(refusal.value.info.values["where"])
        json.dumps(refusal.value.info.model_dump(mode="json"))
