"""Fetching models, against a hub of our own, in real child processes."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import Code
from backend.jobs.children import run_child
from tests.contract.hub_server import COMMIT, Hub, Repo, etag
from tests.support import ROOT

REPO = "painter/small"
LARGE = random.Random(1).randbytes(3_000_000)
OTHER = random.Random(2).randbytes(500_000)
FILES = {
    "model_index.json": b'{"_class_name": "FluxPipeline"}',
    "transformer/model.safetensors": LARGE,
    "vae/model.safetensors": OTHER,
    "README.md": b"# A model\n",
    "empty.txt": b"",
}
TOTAL = sum(map(len, FILES.values()))
TOKEN = "hf_good"


@pytest.fixture
def hub() -> Iterator[Hub]:
    repos = {REPO: Repo(dict(FILES)), "painter/gated": Repo(dict(FILES), gated=True)}
    with Hub(repos) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hf"


def environment(hub: Hub, cache: Path, token: str | None, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    given = {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", **more}
    return clean | given | ({} if token is None else {"HF_TOKEN": token})


class Told:
    """What a child said: news, then a result or an error; and what it logged."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.all = done.stdout + done.stderr
        self.log = done.stderr
        self.news: list[dict[str, Any]] = [line["news"] for line in lines if "news" in line]
        self.result: Any = next((line["result"] for line in lines if "result" in line), None)
        self.error: Any = next((line["error"] for line in lines if "error" in line), None)

    @property
    def code(self) -> str | None:
        return self.error["code"] if self.error else None


def fetch(
    hub: Hub,
    cache: Path,
    repo: str = REPO,
    token: str | None = None,
    env: dict[str, str] | None = None,
    **arguments: Any,
) -> Told:
    done = subprocess.run(
        [sys.executable, "-m", "backend.models.download"],
        input=json.dumps({"repo": repo, "retry_waits_s": [], **arguments}),
        cwd=ROOT,
        env=environment(hub, cache, token, **(env or {})),
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = Told(done)
    assert "Traceback" not in told.log, told.log
    return told


def snapshot(cache: Path, repo: str = REPO) -> Path:
    return cache / "hub" / f"models--{repo.replace('/', '--')}" / "snapshots" / COMMIT


def begun(cache: Path, data: bytes = LARGE) -> Path:
    return cache / "hub" / "models--painter--small" / "blobs" / f"{etag(data)}.incomplete"


def body_requests(hub: Hub) -> list[tuple[str, str, str | None]]:
    return [asked for asked in hub.requests if asked[0] == "GET" and "/resolve/" in asked[1]]


def test_a_model_arrives_whole_and_is_known_by_its_branch(hub: Hub, cache: Path) -> None:
    told = fetch(hub, cache)
    assert told.error is None, told.error
    assert told.result["folder"] == str(snapshot(cache))
    for name, data in FILES.items():
        assert (snapshot(cache) / name).read_bytes() == data
    reference = cache / "hub" / "models--painter--small" / "refs" / "main"
    assert reference.read_text() == COMMIT
    assert not list(cache.rglob("*.incomplete"))
    assert sum(hub.sent.values()) == TOTAL


def test_progress_never_goes_back_and_ends_at_the_total(hub: Hub, cache: Path) -> None:
    told = fetch(hub, cache)
    plan, *news = told.news
    assert plan["plan"]["missing_bytes"] == TOTAL
    steps = [item["step"] for item in news]
    assert steps == sorted(steps)
    assert steps[-1] == TOTAL
    assert {item["total"] for item in news} == {TOTAL}
    assert all(item["file"] in FILES and item["speed_bytes"] >= 0 for item in news)
    assert news[-1]["eta_s"] in (0, None)


def test_only_what_is_asked_for_is_fetched_and_only_once(hub: Hub, cache: Path) -> None:
    first = fetch(hub, cache, patterns=["vae/*", "model_index.json"])
    assert first.result["total_bytes"] == len(OTHER) + len(FILES["model_index.json"])
    assert not (snapshot(cache) / "transformer").exists()
    second = fetch(hub, cache)
    assert second.news[0]["step"] == first.result["total_bytes"]
    assert hub.sent["vae/model.safetensors"] == len(OTHER)
    hub.requests.clear()
    assert fetch(hub, cache).result["missing_bytes"] == 0
    assert not body_requests(hub)


def test_a_plan_fetches_nothing(hub: Hub, cache: Path) -> None:
    told = fetch(hub, cache, plan_only=True)
    assert (told.result["files"], told.result["total_bytes"]) == (len(FILES), TOTAL)
    assert not body_requests(hub)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("repo", "token", "granted", "code"),
    [
        ("painter/gated", None, True, Code.HUB_TOKEN_MISSING),
        ("painter/gated", "hf_stale_secret", True, Code.HUB_TOKEN_INVALID),
        (REPO, "hf_stale_secret", True, Code.HUB_TOKEN_INVALID),
        (REPO, "hf_sécret", True, Code.HUB_TOKEN_INVALID),
        (REPO, "hf_se\x01cret", True, Code.HUB_TOKEN_INVALID),
        ("painter/gated", TOKEN, False, Code.HUB_ACCESS_DENIED),
        ("painter/nothing", None, True, Code.HUB_REPO_NOT_FOUND),
        ("painter/nothing", TOKEN, True, Code.HUB_REPO_NOT_FOUND),
        ("not a name", None, True, Code.HUB_REPO_NOT_FOUND),
        ("painter/gated", TOKEN, True, None),
    ],
)
def test_access_is_checked_before_a_byte_is_fetched(
    hub: Hub, cache: Path, repo: str, token: str | None, granted: bool, code: Code | None
) -> None:
    hub.granted = granted
    told = fetch(hub, cache, repo, token)
    assert told.code == code, told.error
    assert token is None or token not in told.all
    assert "secret" not in told.all
    if code:
        assert not body_requests(hub)
    if code in (Code.HUB_TOKEN_MISSING, Code.HUB_ACCESS_DENIED):
        assert told.error["values"]["url"] == f"https://huggingface.co/{repo}"


def test_a_revision_or_a_file_that_is_not_there(hub: Hub, cache: Path) -> None:
    assert fetch(hub, cache, revision="v9").code == Code.HUB_REVISION_NOT_FOUND
    told = fetch(hub, cache, patterns=["vae/*", "transformer.plan"])
    assert told.code == Code.HUB_FILES_NOT_FOUND
    assert told.error["values"]["files"] == "transformer.plan"
    assert fetch(hub, cache, patterns=["*.gguf"]).code == Code.HUB_FILES_NOT_FOUND


def test_a_hub_that_does_not_answer(hub: Hub, cache: Path) -> None:
    away = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert fetch(hub, cache, env=away).code == Code.HUB_UNREACHABLE
    fetch(hub, cache)
    told = fetch(hub, cache, env=away)
    assert told.result["offline"], "the cache holds all"


def test_offline_the_cache_must_be_complete(hub: Hub, cache: Path) -> None:
    offline = {"HF_HUB_OFFLINE": "1"}
    assert fetch(hub, cache, env=offline).code == Code.HUB_OFFLINE_INCOMPLETE
    fetch(hub, cache, patterns=["vae/*"])
    assert fetch(hub, cache, env=offline).code == Code.HUB_OFFLINE_INCOMPLETE
    asked = len(hub.requests)
    told = fetch(hub, cache, env=offline, patterns=["vae/*"])
    assert told.result["folder"] == str(snapshot(cache))
    assert told.result["total_bytes"] == len(OTHER)
    assert len(hub.requests) == asked


def test_a_cut_connection_is_told_and_a_retry_goes_on(hub: Hub, cache: Path) -> None:
    hub.cut_after = 1_000_000
    told = fetch(hub, cache, token=TOKEN)
    assert told.code == Code.DOWNLOAD_INTERRUPTED
    assert told.error["values"]["total_bytes"] == TOTAL
    assert 0 < told.error["values"]["done_bytes"] < TOTAL
    assert TOKEN not in told.all
    kept = begun(cache).stat().st_size
    assert kept > 0
    hub.cut_after = None
    again = fetch(hub, cache)
    assert again.news[0]["step"] >= kept
    assert ("GET", f"/{REPO}/resolve/{COMMIT}/transformer/model.safetensors", f"bytes={kept}-") in (
        hub.requests
    )
    assert (snapshot(cache) / "transformer/model.safetensors").read_bytes() == LARGE
    assert hub.sent["transformer/model.safetensors"] < len(LARGE) * 1.5


def test_cuts_are_bridged_while_bytes_arrive(hub: Hub, cache: Path) -> None:
    hub.cut_after = 1_000_000
    told = fetch(hub, cache, retry_waits_s=[0, 0])
    assert told.error is None, told.error
    assert hub.sent["transformer/model.safetensors"] == len(LARGE)


def test_a_hub_in_trouble_is_asked_again_then_given_up(hub: Hub, cache: Path) -> None:
    hub.failing_status = 503
    told = fetch(hub, cache, retry_waits_s=[0, 0], patterns=["README.md"])
    assert told.code == Code.DOWNLOAD_INTERRUPTED
    assert told.error["values"]["problem"] == "HTTP 503"
    assert len(body_requests(hub)) == 3


def test_a_server_without_ranges_begins_anew(hub: Hub, cache: Path) -> None:
    begun(cache).parent.mkdir(parents=True)
    begun(cache).write_bytes(LARGE[:1_000_000])
    hub.ignores_ranges = True
    told = fetch(hub, cache)
    assert (snapshot(cache) / "transformer/model.safetensors").read_bytes() == LARGE
    steps = [item["step"] for item in told.news]
    assert steps == sorted(steps)


@pytest.mark.parametrize("wrong", [b"x" * 1_000_000, b"x" * len(LARGE)])
def test_a_wrong_beginning_never_becomes_a_model(hub: Hub, cache: Path, wrong: bytes) -> None:
    begun(cache).parent.mkdir(parents=True)
    begun(cache).write_bytes(wrong)
    assert fetch(hub, cache).code == Code.MODEL_FILES_CORRUPTED
    assert not begun(cache).exists()
    assert fetch(hub, cache).error is None


def test_damage_on_the_way_is_noticed(hub: Hub, cache: Path) -> None:
    hub.damaged = True
    assert fetch(hub, cache).code == Code.MODEL_FILES_CORRUPTED
    assert not (snapshot(cache) / "transformer").exists()


def test_too_little_space_is_told_before_a_byte_is_fetched(hub: Hub, cache: Path) -> None:
    hub.repos[REPO].sizes["vae/model.safetensors"] = 10**17
    told = fetch(hub, cache)
    assert told.code == Code.DISK_SPACE_LOW
    assert told.error["values"]["needed_bytes"] > 1.05 * 10**17
    assert not body_requests(hub)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(hub: Hub, cache: Path) -> None:
    begun(cache).parent.mkdir(parents=True)
    begun(cache).symlink_to("/dev/full")
    assert fetch(hub, cache, patterns=["transformer/*"]).code == Code.DISK_FULL


def test_a_cache_that_cannot_be_written(hub: Hub, cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        other = {"HF_HOME": str(cache.parent), name: str(cache)}
        told = fetch(hub, cache, env=other)
        assert told.code == Code.FOLDER_NOT_WRITABLE
        assert str(cache) in told.error["values"]["path"]


class Stopped(Exception):
    pass


def test_a_worker_can_stop_its_child_and_go_on_later(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name, value in environment(hub, cache, TOKEN).items():
        monkeypatch.setenv(name, value)
    hub.hold.clear()
    arguments = {"repo": REPO, "patterns": ["transformer/*"]}
    seen: list[dict[str, Any]] = []

    def check() -> None:
        if seen and seen[-1]["step"] > 0:
            raise Stopped

    with pytest.raises(Stopped):
        run_child("backend.models.download", arguments, seen.append, check)
    kept = begun(cache).stat().st_size
    assert 0 < kept < len(LARGE)
    hub.hold.set()
    run_child("backend.models.download", arguments, seen.append, lambda: None)
    assert (snapshot(cache) / "transformer/model.safetensors").read_bytes() == LARGE
    assert TOKEN not in json.dumps(seen)


CANCEL = """
from backend.models import download
from backend.models.download import fetch
from backend.models.hub import make_plan

class Stopped(Exception): pass
seen = []
def check():
    if seen and seen[-1]["step"] > 0:
        raise Stopped
download.READ_TIMEOUT_S = 3600.0
try:
    fetch(make_plan("painter/small", patterns=["transformer/*"]), seen.append, check)
except Stopped:
    print("stopped")
"""


def test_cancelling_does_not_wait_for_a_silent_network(hub: Hub, cache: Path) -> None:
    hub.hold.clear()
    done = subprocess.run(
        [sys.executable, "-c", CANCEL],
        cwd=ROOT,
        env=environment(hub, cache, None),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "stopped\n", done.stderr
    assert 0 < begun(cache).stat().st_size < len(LARGE)
