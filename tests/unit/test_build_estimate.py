"""What a build will need, told before it begins."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.contracts import EngineRequest, JobKind, JobState, Precision, Runtime
from backend.engines.cache import Host
from backend.engines.estimate import estimate_build, targets
from backend.engines.needs import PROCESS_BYTES, module_parameters
from backend.errors import Code, StudioError
from backend.jobs.store import JobRow, new_job
from backend.models.catalog import Entry, find_model
from backend.settings import Settings
from backend.studio import Studio

VERSIONS = {"rtx": "1.7.1.116", "onnxruntime": "1.31.1"}
LAPTOP = Host(target="cpu", gpu=None, sm_count=None, versions=VERSIONS)
SPARK = Host(target="sm121", gpu="NVIDIA GB10", sm_count=48, versions=VERSIONS)
GIB = 1024**3
DEMO = find_model(Settings(home=Path("unused")), "demo-flux")


def asked(**values: object) -> EngineRequest:
    return EngineRequest.model_validate({"model": "demo-flux", "precision": "fp8"} | values)


def built(seconds: float, count: int = 4, **values: object) -> JobRow:
    request = asked(**values)
    row = new_job(
        kind=JobKind.ENGINE,
        queue="build",
        priority=10,
        owner="local",
        title="",
        variant=f"{request.model}/{request.precision}/{request.runtime}",
        request=request.model_dump(mode="json"),
        work=4.0,
    )
    result = {"engines": ["e"] * 4, "built": count}
    return replace(
        row, state=JobState.SUCCEEDED, started_at=100.0, finished_at=100.0 + seconds, result=result
    )


def estimate(
    request: EngineRequest,
    tmp_path: Path,
    *history: JobRow,
    entry: Entry = DEMO,
    host: Host = LAPTOP,
    memory: int = 16 * GIB,
):
    sizes = {"demo-flux": DEMO.parameters, "half": DEMO.parameters // 2}
    return estimate_build(
        Settings(home=tmp_path / "home"), request, entry, host, (), list(history), sizes, memory
    )


def test_sizes_follow_from_weights_and_precision(tmp_path: Path) -> None:
    weights = module_parameters(DEMO, "transformer")
    assert weights > 4_000_000
    needs = estimate(asked(module="transformer"), tmp_path)
    assert 3 * weights < needs.onnx_bytes < 4 * weights
    assert weights < needs.engine_bytes < 2 * weights
    plain = estimate(asked(module="transformer", precision="bf16"), tmp_path)
    assert 2 * weights < plain.engine_bytes < 3 * weights
    here = estimate(asked(module="transformer", runtime="onnxruntime"), tmp_path)
    assert here.engine_bytes == 0
    assert here.onnx_bytes > needs.onnx_bytes
    assert needs.problem is None
    assert needs.download_bytes == 0
    assert PROCESS_BYTES < needs.memory_bytes < 2 * GIB


def test_where_it_runs_is_said_plainly(tmp_path: Path) -> None:
    away = estimate(asked(), tmp_path)
    assert (away.target, away.target_name) == ("sm121", "GB10 (DGX Spark)")
    assert not away.runs_here
    assert estimate(asked(), tmp_path, host=SPARK).runs_here
    assert estimate(asked(runtime="onnxruntime"), tmp_path).runs_here


def test_time_comes_from_the_nearest_builds(tmp_path: Path) -> None:
    unknown = estimate(asked(), tmp_path)
    assert (unknown.seconds, unknown.seconds_from) == (None, "")
    other_runtime = built(9.0, runtime=Runtime.ONNXRUNTIME)
    assert estimate(asked(), tmp_path, other_runtime).seconds is None
    nothing_built = built(1.0, count=0)
    assert estimate(asked(), tmp_path, nothing_built).seconds is None
    half = built(10.0, model="half")
    model = built(60.0, precision=Precision.BF16)
    variant = built(40.0)
    scaled = estimate(asked(), tmp_path, half)
    assert scaled.seconds_from == "models"
    assert scaled.seconds == pytest.approx(20.0, rel=1e-3)
    assert estimate(asked(), tmp_path, half, model).seconds == 60.0
    nearest = estimate(asked(module="transformer"), tmp_path, half, model, variant)
    assert (nearest.seconds, nearest.seconds_from) == (10.0, "variant")


def test_what_cannot_work_is_refused_with_the_reason(tmp_path: Path) -> None:
    def code(**changes: object) -> Code | None:
        problem = estimate(asked(**changes), tmp_path).problem
        return problem.code if problem else None

    assert code(target="sm90") is Code.TARGET_UNSUPPORTED
    assert code(precision="nvfp4", runtime="onnxruntime") is Code.VARIANT_UNKNOWN
    profile = {"min_side": 128, "max_side": 64, "opt_width": 64, "opt_height": 64}
    assert code(profile=profile) is Code.PROFILE_INVALID
    small = estimate(asked(), tmp_path, memory=1024**2).problem
    assert small
    assert small.code is Code.BUILD_MEMORY_LOW
    gone = estimate(asked(), tmp_path, entry=replace(DEMO, folder=None))
    assert gone.download_bytes == DEMO.size_bytes


def test_a_full_disk_is_seen_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.engines.estimate.free_bytes", lambda settings: 1000)
    problem = estimate(asked(), tmp_path).problem
    assert problem
    assert problem.code is Code.ENGINE_DISK_SPACE_LOW
    assert "1000 B" in problem.message()


def test_the_studio_refuses_what_its_estimate_refuses(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.engines.estimate.free_bytes", lambda settings: 1000)
    with pytest.raises(StudioError) as refusal:
        studio.engines.build(asked(runtime="onnxruntime"), "visitor:test")
    assert refusal.value.code is Code.ENGINE_DISK_SPACE_LOW
    assert studio.jobs.live(None) == ()


def test_targets_name_the_parts_and_this_machines_comes_first() -> None:
    on_spark = targets(Runtime.TENSORRT, SPARK)
    assert on_spark[0].here
    assert [one.target for one in on_spark] == ["sm121", "sm120", "sm89", "sm86", "sm80", "sm75"]
    assert not any(one.here for one in targets(Runtime.TENSORRT, LAPTOP))
    assert targets(Runtime.ONNXRUNTIME, LAPTOP)[0].target == "cpu"
    bare = replace(LAPTOP, versions={})
    assert targets(Runtime.TENSORRT, bare) == ()
