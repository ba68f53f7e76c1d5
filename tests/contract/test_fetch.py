"""Fetching from several repositories at once, and the ways to ask for it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend.contracts import BYTE_PHASES, JobEvent, JobKind, JobSnapshot, JobState
from backend.errors import Code, StudioError
from backend.jobs.follower import fold
from backend.studio import Studio
from tests.contract.hub_server import Hub, Repo
from tests.contract.test_hub import TOKEN, Told, environment, snapshot
from tests.support import ROOT
from ui.access import PAGE_HEADER, VISITOR_COOKIE, new_visitor
from ui.fetch_routes import fetch_routes
from ui.parts.job_card import job_card

VISITOR = new_visitor()
REPO, READY = "painter/small", "painter/ready"
WEIGHTS = bytes(range(256)) * 8192
MODEL = {
    "model_index.json": b"{}",
    "scheduler/scheduler_config.json": b"{}",
    "tokenizer/tokenizer_config.json": b"{}",
    "tokenizer_2/tokenizer_config.json": b"{}",
    **{
        f"{folder}/config.json": b'{"of": "' + folder.encode() + b'"}'
        for folder in ("text_encoder", "text_encoder_2", "vae", "transformer")
    },
    **{f"{folder}/model.safetensors": WEIGHTS for folder in ("text_encoder", "text_encoder_2")},
    "vae/diffusion_pytorch_model.safetensors": WEIGHTS[::-1],
    "transformer/diffusion_pytorch_model.safetensors": WEIGHTS + b"transformer",
}
ONNX = {f"{name}/model.onnx": name.encode() for name in ("clip.opt", "t5.opt", "vae.opt")} | {
    "transformer.opt/fp8/model.onnx": b"onnx",
    "transformer.opt/fp8/backbone.onnx_data": WEIGHTS[:1_500_000],
}
NEEDS = [{"repo": READY, "what": "onnx", "precision": "fp8"}, {"repo": REPO, "what": "settings"}]
SETTINGS_BYTES = sum(len(data) for name, data in MODEL.items() if "safetensors" not in name)
TOTAL = sum(map(len, ONNX.values())) + SETTINGS_BYTES - 3 * len(b"{}")
"""Equal files are counted once."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    repos = {REPO: Repo(dict(MODEL), gated=True), READY: Repo(dict(ONNX), gated=True)}
    with Hub(repos) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hf"


def fetch(hub: Hub, cache: Path, needs: list[dict[str, Any]] = NEEDS, **environ: str) -> Told:
    done = subprocess.run(
        [sys.executable, "-m", "backend.models.fetch_child"],
        input=json.dumps({"needs": needs, "retry_waits_s": []}),
        cwd=ROOT,
        env=environment(hub, cache, TOKEN, **environ),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Told(done)


def test_two_repositories_are_one_download(hub: Hub, cache: Path) -> None:
    told = fetch(hub, cache)
    assert told.error is None, told.error
    first, *news = told.news
    assert [plan["repo"] for plan in first["plans"]] == [READY, REPO]
    steps = [item["step"] for item in news]
    assert steps == sorted(steps)
    assert steps[-1] == first["total"] == TOTAL
    ended = {name for item in news for name in item["ended"]}
    assert "transformer.opt/fp8/backbone.onnx_data" in ended
    assert not list(cache.rglob("*.safetensors"))
    assert (snapshot(cache) / "transformer" / "config.json").is_file()
    asked = len(hub.requests)
    offline = fetch(hub, cache, HF_HUB_OFFLINE="1")
    assert [plan["offline"] for plan in offline.result] == [True, True]
    assert len(hub.requests) == asked
    (snapshot(cache, READY) / "transformer.opt/fp8/backbone.onnx_data").unlink()
    assert fetch(hub, cache, HF_HUB_OFFLINE="1").code == Code.HUB_OFFLINE_INCOMPLETE
    more = fetch(hub, cache, [{"repo": REPO, "what": "pipeline"}], HF_HUB_OFFLINE="1")
    assert more.code == Code.HUB_OFFLINE_INCOMPLETE
    assert "vae/*.safetensors" in more.error["detail"]


def test_a_refusing_second_repository_stops_the_first(hub: Hub, cache: Path) -> None:
    hub.refused.add(REPO)
    told = fetch(hub, cache)
    assert told.code == Code.HUB_ACCESS_DENIED
    assert told.error["values"]["url"] == f"https://huggingface.co/{REPO}"
    assert not hub.sent


def test_a_disk_too_small_for_both_stops_both(hub: Hub, cache: Path) -> None:
    hub.repos[REPO].sizes["transformer/config.json"] = 10**17
    assert fetch(hub, cache).code == Code.DISK_SPACE_LOW
    assert not hub.sent


def test_a_cut_connection_is_told_and_a_retry_goes_on(hub: Hub, cache: Path) -> None:
    hub.cut_after = 1_000_000
    told = fetch(hub, cache)
    assert told.code == Code.DOWNLOAD_INTERRUPTED
    assert told.error["values"]["repo"] == READY
    kept = max(part.stat().st_size for part in cache.rglob("*.incomplete"))
    assert kept > 0
    hub.cut_after = None
    assert fetch(hub, cache).error is None
    assert f"bytes={kept}-" in {asked[2] for asked in hub.requests}


def test_a_repository_without_what_is_needed_says_what(hub: Hub, cache: Path) -> None:
    told = fetch(hub, cache, [{"repo": READY, "what": "onnx", "precision": "bf16"}])
    assert told.code == Code.HUB_FILES_NOT_FOUND
    assert told.error["values"]["files"] == "transformer.opt/bf16/model.onnx"
    assert not hub.sent


# ---- ways to ask -----------------------------------------------------------------------------


def test_the_command_tells_the_plan_or_why_there_is_none(hub: Hub, cache: Path) -> None:
    def run(*arguments: str) -> tuple[int, Any]:
        done = subprocess.run(
            [sys.executable, "app.py", "fetch", *arguments, "--json"],
            cwd=ROOT,
            env=environment(hub, cache, TOKEN, STUDIO_HOME=str(cache.parent / "home")),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, json.loads(done.stdout)

    hub.repos["black-forest-labs/FLUX.1-schnell"] = hub.repos[REPO]
    status, answer = run("--model", "flux.1-schnell", "--plan")
    assert status == 0
    assert answer["plan"]["missing_bytes"] > 2 * len(WEIGHTS)
    assert answer["plan"]["repos"][0]["problem"] is None
    status, answer = run("--model", "demo-flux")
    assert status == 1
    assert answer["error"]["code"] == Code.NOTHING_TO_FETCH
    assert not hub.sent


@pytest.fixture
def client(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(studio.settings.home))
    app = FastAPI()
    app.state.gradio = SimpleNamespace(auth=None, tokens={}, cookie_id="none")
    app.include_router(fetch_routes(studio))
    return TestClient(
        app,
        headers={PAGE_HEADER: "1", "accept-language": "ko"},
        cookies={VISITOR_COOKIE: VISITOR},
    )


def test_the_page_asks_for_a_download_and_for_what_it_would_take(
    client: TestClient, studio: Studio
) -> None:
    job_id = client.post("/studio/fetch", json={"model": "flux.1-schnell"}).json()["job"]
    assert studio.jobs.get(job_id, f"visitor:{VISITOR}").kind is JobKind.FETCH
    plan = client.post("/studio/fetch/plan", json={"model": "flux.1-schnell"}).json()
    assert plan["problem"]["code"] == Code.HUB_OFFLINE_INCOMPLETE
    assert "오프라인" in plan["problem"]["message"]
    engines = {"model": "flux.1-dev", "precision": "fp8"}
    built = client.post("/studio/fetch/plan/engine", json=engines).json()
    assert [repo["repo"] for repo in built["repos"]] == [
        "black-forest-labs/FLUX.1-dev-onnx",
        "black-forest-labs/FLUX.1-dev",
    ]
    with pytest.raises(StudioError) as refusal:
        client.post("/studio/fetch", json={"model": "nothing"})
    assert refusal.value.code is Code.MODEL_UNKNOWN
    client.cookies.clear()
    with pytest.raises(StudioError) as refusal:
        client.post("/studio/fetch/plan", json={"model": "flux.1-schnell"})
    assert refusal.value.code is Code.ACCESS_DENIED


def test_the_card_shows_bytes_speed_and_time_left() -> None:
    job = JobSnapshot(
        id="1",
        kind=JobKind.FETCH,
        state=JobState.RUNNING,
        title="FLUX.1 [dev]",
        variant="flux.1-dev/files",
        request={},
        created_at=0.0,
    )
    gib = 1024**3
    job = fold(job, JobEvent(at=1.0, phase="fetch", step=20 * gib, total=24 * gib))
    job = fold(job, JobEvent(at=2.0, phase="fetch", step=22 * gib, total=24 * gib, rate=gib / 10))
    assert job.phase in BYTE_PHASES
    assert job.eta_s == 20
    card = job_card(job, "en", now=3.0)
    for shown in ("Download 22.0 GiB / 24.0 GiB", "102.4 MiB/s", "0:20"):
        assert shown in card
    assert "다운로드" in job_card(job, "ko", now=3.0)
