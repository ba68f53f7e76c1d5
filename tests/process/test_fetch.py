"""Models fetched by jobs of a real worker from a hub of our own, and engines of what arrived."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from backend.contracts import (
    EngineRequest,
    EngineSource,
    EngineState,
    FetchRequest,
    JobSnapshot,
    JobState,
    Precision,
    Runtime,
    VariantState,
    VerifyRequest,
)
from backend.errors import Code, StudioError
from backend.models import catalog
from backend.models.hub_cache import storage_of
from backend.settings import ASSETS, Settings
from backend.studio import Studio
from tests.contract.hub_server import COMMIT, Hub, Repo, etag
from tests.contract.tiny_onnx import write_all
from tests.support import OWNER, PATIENCE_S, Worker, await_phase

BASE, ONNX = "black-forest-labs/FLUX.1-dev", "black-forest-labs/FLUX.1-dev-onnx"
SCHNELL = "black-forest-labs/FLUX.1-schnell"
PARAMETERS = 8_000_000
DENOISER = "transformer/diffusion_pytorch_model.safetensors"
READY = {"model": "flux.1-dev", "source": "preexported", "precision": "fp8"}
NOT_NEEDED = {
    "flux1-dev.safetensors": bytes(300_000),
    "vae/diffusion_pytorch_model.bf16.safetensors": bytes(200_000),
    "text_encoder/model.onnx": bytes(1000),
    "text_encoder/flax_model.msgpack": bytes(1000),
    "vae_1_0/diffusion_pytorch_model.safetensors": bytes(1000),
    "README.md": b"# A model\n",
}


def demo_files() -> dict[str, bytes]:
    demo = ASSETS / "models" / "demo-flux"
    files = {
        str(file.relative_to(demo)): file.read_bytes() for file in demo.rglob("*") if file.is_file()
    }
    return {name: data for name, data in files.items() if "/" in name or name == "model_index.json"}


@dataclass
class World:
    hub: Hub
    studio: Studio
    token: Path
    worker: Worker

    def __post_init__(self) -> None:
        self.files = demo_files()

    def restart_worker(self) -> None:
        self.worker.kill()
        self.worker = Worker(self.studio.settings)

    def ended(self, job_id: str) -> JobSnapshot:
        return self.studio.jobs.wait(job_id, OWNER, PATIENCE_S)

    def sent(self) -> int:
        return sum(self.hub.sent.values())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A hub whose FLUX.1 is the demo model and small ONNX files, a studio, and a worker."""
    root = tmp_path_factory.mktemp("fetch")
    model = demo_files() | NOT_NEEDED
    repos = {
        BASE: Repo(dict(model), gated=True),
        ONNX: Repo(write_all(root / "onnx"), gated=True),
        SCHNELL: Repo(dict(model)),
    }
    with Hub(repos) as hub, pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE", "HUGGING_FACE_HUB_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_HOME", str(root / "hf"))
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setattr(constants, "HF_HUB_CACHE", str(root / "hf" / "hub"))
        patch.setattr(constants, "HF_TOKEN_PATH", str(root / "hf" / "token"))
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "ENDPOINT", hub.url)
        # as large as what this hub has: a build of the real ones may be refused here
        known = tuple(replace(one, parameters=PARAMETERS) for one in catalog.KNOWN)
        patch.setattr(catalog, "KNOWN", known)
        (root / "hf").mkdir()
        studio = Studio(Settings(home=root / "home"))
        found = World(hub, studio, root / "hf" / "token", Worker(studio.settings))
        found.token.write_text(hub.good_token)
        yield found
        found.worker.kill()
        studio.close()


@pytest.fixture(autouse=True)
def a_kind_hub(world: World) -> Iterator[None]:
    yield
    world.hub.refused.clear()
    world.hub.damaged = False
    world.hub.hold.set()
    world.token.write_text(world.hub.good_token)


def no_token(world: World) -> None:
    world.token.unlink()


def bad_token(world: World) -> None:
    world.token.write_text("hf_bad")


def no_access(repo: str) -> Callable[[World], None]:
    return lambda world: world.hub.refused.add(repo)


@pytest.mark.parametrize(
    ("obstacle", "code", "repo"),
    [
        (no_token, Code.HUB_TOKEN_MISSING, ONNX),
        (bad_token, Code.HUB_TOKEN_INVALID, ONNX),
        (no_access(BASE), Code.HUB_ACCESS_DENIED, BASE),
        (no_access(ONNX), Code.HUB_ACCESS_DENIED, ONNX),
    ],
    ids=["no token", "bad token", "no access to the model", "no access to the ONNX"],
)
def test_a_plan_says_which_repository_refuses_and_where_to_ask(
    world: World, obstacle: Callable[[World], None], code: Code, repo: str
) -> None:
    obstacle(world)
    plan = world.studio.models.plan_fetch(FetchRequest.model_validate(READY))
    assert plan.problem
    assert plan.problem.code is code
    refused = next(one for one in plan.repos if one.problem)
    assert (refused.repo, refused.url) == (repo, f"https://huggingface.co/{repo}")


def test_a_plan_says_what_is_to_be_fetched_and_what_does_not_fit(world: World) -> None:
    plan = world.studio.models.plan_fetch(
        EngineRequest(model="flux.1-dev", precision=Precision.FP8)
    )
    assert plan.problem is None
    onnx, around = plan.repos
    assert {file.name.rpartition("/")[0] for file in onnx.files} == {
        "clip.opt", "t5.opt", "vae.opt", "transformer.opt/fp8",
    }  # fmt: skip
    assert not any(file.name.endswith(".safetensors") for file in around.files)
    assert plan.missing_bytes == plan.total_bytes == onnx.total_bytes + around.total_bytes
    whole = world.studio.models.plan_fetch(FetchRequest(model="flux.1-dev"))
    assert {file.name for file in whole.repos[0].files} == set(world.files)
    assert 0 < whole.missing_bytes < whole.disk_free_bytes
    world.hub.repos[BASE].sizes[DENOISER] = 10**17
    small = world.studio.models.plan_fetch(FetchRequest(model="flux.1-dev"))
    world.hub.repos[BASE].sizes.clear()
    assert small.problem
    assert small.problem.code is Code.DISK_SPACE_LOW
    assert world.sent() == 0


def test_what_does_not_come_from_the_hub_is_not_fetched(world: World) -> None:
    for request, code in (
        ({"model": "demo-flux"}, Code.NOTHING_TO_FETCH),
        (READY | {"precision": "int8"}, Code.PREEXPORTED_MISSING),
        (READY | {"model": "nothing"}, Code.MODEL_UNKNOWN),
        (READY | {"module": "unet"}, Code.INVALID_REQUEST),
        (READY | {"source": "export"}, Code.INVALID_REQUEST),
    ):
        with pytest.raises(StudioError) as refusal:
            world.studio.models.fetch(FetchRequest.model_validate(request), OWNER)
        assert refusal.value.code is code


@pytest.mark.parametrize("repo", [BASE, ONNX])
def test_a_build_without_access_to_either_repository_fetches_nothing(
    world: World, repo: str
) -> None:
    world.hub.refused.add(repo)
    request = EngineRequest(model="flux.1-dev", precision=Precision.FP8)
    job = world.ended(world.studio.engines.build(request, OWNER))
    assert job.error
    assert job.error.code is Code.HUB_ACCESS_DENIED
    assert f"https://huggingface.co/{repo}" in job.error.hint()
    assert world.sent() == 0
    assert not world.studio.engines.all()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_and_a_wrong_digest_leave_nothing_that_is_built(world: World) -> None:
    request = EngineRequest(model="flux.1-dev", precision=Precision.BF16, module="transformer")
    data = world.hub.repos[ONNX].files["transformer.opt/bf16/backbone.onnx_data"]
    begun = storage_of(ONNX) / "blobs" / f"{etag(data)}.incomplete"
    begun.parent.mkdir(parents=True, exist_ok=True)
    begun.symlink_to("/dev/full")
    job_id = world.studio.engines.build(request, OWNER)
    error = world.ended(job_id).error
    assert error
    assert error.code is Code.DISK_FULL
    begun.unlink()
    world.hub.damaged = True
    world.studio.jobs.retry(job_id, OWNER)
    error = world.ended(job_id).error
    assert error
    assert error.code is Code.MODEL_FILES_CORRUPTED
    assert not world.studio.engines.all()
    assert not list((world.studio.settings.home).glob("engines/*"))


def test_engines_are_built_of_ready_onnx_without_the_models_weights(world: World) -> None:
    studio, hub = world.studio, world.hub
    request = EngineRequest(model="flux.1-dev", precision=Precision.FP8)
    job = world.ended(studio.engines.build(request, OWNER))
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.request["source"] == EngineSource.PREEXPORTED
    assert {engine.manifest.module for engine in studio.engines.all()} == {
        "text_encoder", "text_encoder_2", "transformer", "vae_decoder",
    }  # fmt: skip
    for engine in studio.engines.all():
        made = engine.manifest
        assert engine.state is EngineState.OTHER_GPU
        assert made.source is EngineSource.PREEXPORTED
        assert (made.onnx_source or "").startswith(f"{ONNX}@{COMMIT}/")
        assert made.relative_error is None
        assert made.check
        assert "ready ONNX" in made.check.render()
        assert made.precision is (Precision.FP8 if made.module == "transformer" else Precision.BF16)
        assert studio.engines.inspect(made.id).layers
    assert DENOISER not in hub.sent
    torch = [v for v in studio.models.find("flux.1-dev").variants if v.runtime is Runtime.TORCH]
    assert {variant.state for variant in torch} <= {
        VariantState.DOWNLOADABLE, VariantState.IMPOSSIBLE,
    }  # fmt: skip

    variants = {
        (v.precision, v.runtime): v.state for v in studio.models.find("flux.1-dev").variants
    }
    assert variants[Precision.FP8, Runtime.TENSORRT] is VariantState.OTHER_GPU
    assert variants[Precision.BF16, Runtime.TENSORRT] is VariantState.DOWNLOADABLE

    asked = len(hub.requests)
    again = world.ended(studio.engines.build(request, OWNER))
    assert again.result
    assert again.result["built"] == 0
    assert len(hub.requests) == asked, "what is here is built from without asking the hub"


def test_engines_outlive_the_onnx_that_they_were_built_of(world: World) -> None:
    cached = storage_of(ONNX)
    aside = cached.with_name("aside")
    cached.rename(aside)
    assert {engine.state for engine in world.studio.engines.all()} == {EngineState.OTHER_GPU}
    aside.rename(cached)


def test_a_check_of_a_model_begins_by_fetching_it_and_is_stopped_amid_it(world: World) -> None:
    world.hub.hold.clear()
    job_id = world.studio.models.verify(VerifyRequest(model="flux.1-schnell"), OWNER)
    await_phase(world.studio, job_id, "fetch", 1_000_000)
    world.studio.jobs.cancel(job_id, OWNER)
    assert world.ended(job_id).state is JobState.CANCELLED


def test_a_fetch_goes_on_after_its_worker_was_killed(world: World) -> None:
    studio, hub = world.studio, world.hub
    request = FetchRequest(model="flux.1-schnell")
    here, asked = studio.models.plan_fetch(request).here_bytes, len(hub.requests)
    hub.hold.clear()
    job_id = studio.models.fetch(request, OWNER)
    running = await_phase(studio, job_id, "fetch", here + 1_000_000)
    assert running.total == sum(map(len, world.files.values()))
    world.restart_worker()
    hub.hold.set()
    job = world.ended(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    bodies = [
        begin
        for verb, path, begin in hub.requests[asked:]
        if verb == "GET" and path.endswith(DENOISER)
    ]
    assert len(bodies) == 2
    assert all(bodies), "what the stopped check had fetched is kept, and what the killed worker had"
    assert not hub.sent.keys() & NOT_NEEDED.keys()
    events = studio.desk.queue.client.read_stream(f"{job_id}.1", "events")
    assert any(DENOISER in str(event.get("message")) for event in events)
    model = studio.models.find("flux.1-schnell")
    ready = {v.precision for v in model.variants if v.state is VariantState.READY}
    assert Precision.FP32 in ready


def test_offline_the_cache_is_taken_and_said_to_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    here = world.studio.models.plan_fetch(FetchRequest(model="flux.1-schnell"))
    assert here.problem is None
    assert here.repos[0].offline
    assert here.missing_bytes == 0
    lacking = world.studio.models.plan_fetch(FetchRequest(model="flux.1-dev"))
    assert lacking.problem
    assert lacking.problem.code is Code.HUB_OFFLINE_INCOMPLETE


def test_a_build_of_our_own_export_fetches_the_weights_first_then_plans_anew(world: World) -> None:
    studio = world.studio
    request = EngineRequest(
        model="flux.1-dev",
        precision=Precision.FP8,
        source=EngineSource.EXPORT,
        module="text_encoder",
    )
    job_id = studio.engines.build(request, OWNER)
    job = await_phase(studio, job_id, "export")
    studio.jobs.cancel(job_id, OWNER)
    assert job.phases[0].name == "fetch"
    assert DENOISER in world.hub.sent
    assert "own export" in job.log[0].render()
    assert studio.models.plan_fetch(request).repos == ()
    assert world.ended(job_id).state is JobState.CANCELLED
