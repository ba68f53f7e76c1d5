"""The watched process, with the stand-in as its server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from backend.chat.models import read_language_model
from backend.chat.servers.commands import Launch
from backend.chat.servers.house import Servers, serve
from backend.chat.servers.plan import Plan, make_plan
from backend.chat.servers.process import ServerProcess
from backend.contracts import ServeRequest, ServerKind, ServerPhase, ServerStatus
from backend.errors import Code, StudioError
from backend.jobs.context import JobCancelled, JobContext
from backend.models.pool import ModelPool
from backend.settings import Settings
from tests.chat_server import LOADING
from tests.support import PATIENCE_S, ROOT, until
from tests.tiny_llama import make_tiny_llama

Make = Callable[..., ServerProcess]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    model = read_language_model(make_tiny_llama(tmp_path / "tiny"))
    request = ServeRequest(model="tiny", kind=ServerKind.VLLM)
    return make_plan(Settings(home=tmp_path), request, model, 2**34)


@pytest.fixture
def start(tmp_path: Path, plan: Plan) -> Iterator[Make]:
    started: list[ServerProcess] = []

    def make(*arguments: str, file: Path | None = None, **settings: float) -> ServerProcess:
        def launch(port: int) -> Launch:
            argv = [sys.executable, "-m", "tests.chat_server", "--port", str(port), *arguments]
            return Launch(tuple(argv), {"A": "b"}, None, {file: "x"} if file else {})

        chosen = Settings(**({"home": tmp_path, "stop_grace_s": 2.0} | settings))
        server = ServerProcess(chosen, plan, launch, "/v1/completions")
        started.append(server)
        server.start()
        return server

    yield make
    for server in started:
        server.stop()


def settled(server: ServerProcess) -> ServerStatus:
    status = server.wait(PATIENCE_S)
    assert status.phase is ServerPhase.READY or not status.phase.is_live, status.phase
    return status


def test_from_start_to_ready_to_gone(start: Make, tmp_path: Path) -> None:
    file = tmp_path / "servers" / "limits.yaml"
    server = start("--companion", file=file)
    status = settled(server)
    assert status.phase is ServerPhase.READY, status.error
    assert status.endpoint.model_id == "stand-in"
    assert status.endpoint.url.startswith("http://127.0.0.1:")
    assert status.ready_s and status.memory_bytes > 0 and status.memory
    assert LOADING in status.log
    assert file.read_text() == "x"
    pids = server.pids()
    assert len(pids) == 2, "the server and its companion"
    server.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids), "the companion left its session"
    assert server.status().phase is ServerPhase.STOPPED
    assert not file.exists()


@pytest.mark.parametrize(
    ("death", "code"),
    [
        ("memory", Code.SERVER_OUT_OF_MEMORY),
        ("architecture", Code.ARCHITECTURE_UNSUPPORTED),
        ("driver", Code.SERVER_DRIVER_MISMATCH),
        ("other", Code.SERVER_START_FAILED),
    ],
)
def test_a_server_that_does_not_start_says_why(start: Make, death: str, code: Code) -> None:
    status = settled(start("--death", death))
    assert status.phase is ServerPhase.FAILED
    assert status.error and status.error.code is code
    assert status.restarts == 0, "it would die of the same again"


def test_a_port_that_was_taken_meanwhile_is_tried_anew(start: Make, tmp_path: Path) -> None:
    status = settled(start("--death", "port", "--once", str(tmp_path / "died")))
    assert (status.phase, status.restarts) == (ServerPhase.READY, 1)
    assert status.error is None


def test_a_ready_server_that_dies_is_started_once_more(start: Make) -> None:
    server = start()
    assert settled(server).phase is ServerPhase.READY
    os.kill(server.pids()[0], signal.SIGTERM)
    until(lambda: server.status().restarts, "the restart")
    assert settled(server).phase is ServerPhase.READY
    os.kill(server.pids()[0], signal.SIGTERM)
    until(lambda: not server.status().phase.is_live, "the end")
    status = server.status()
    assert status.phase is ServerPhase.FAILED
    assert status.error and status.error.code is Code.SERVER_DIED
    assert server.pids() == ()


def test_a_gate_that_does_not_open_is_a_failure(start: Make) -> None:
    status = settled(start("--gate-fails"))
    assert status.phase is ServerPhase.FAILED
    assert status.error and status.error.code is Code.NOT_A_SERVER


def test_a_server_that_never_gets_ready_is_given_up(start: Make) -> None:
    server = start("--never-ready", server_start_s=0.3)
    status = settled(server)
    assert status.error and status.error.code is Code.SERVER_TOO_SLOW_TO_START
    assert server.pids() == ()


def test_a_server_can_be_stopped_while_it_loads(start: Make) -> None:
    server = start("--never-ready")
    until(lambda: server.status().phase is ServerPhase.LOADING, "loading")
    server.stop()
    assert server.status().phase is ServerPhase.STOPPED
    assert server.pids() == ()


def test_secrets_stay_with_the_studio(start: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "STUDIO_CHAT_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "secret")
    server = start("--never-ready")
    until(server.pids, "the process")
    until(lambda: server.status().phase is ServerPhase.LOADING, "loading")
    environment = psutil.Process(server.pids()[0]).environ()
    assert "secret" not in environment.values()
    assert environment["A"] == "b"


class Context:
    """As much of a job's context as starting a server needs."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.row = SimpleNamespace(request={"model": "tiny", "kind": "transformers"})
        self.check = check
        self.phases: set[str] = set()

    def report(self, phase: str, **news: object) -> None:
        self.phases.add(phase)

    def memory(
        self, pool: ModelPool, name: str, needed_bytes: int
    ) -> AbstractContextManager[object]:
        return pool.reserve(name, needed_bytes)


def test_a_servers_memory_is_set_aside_until_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(settings: Settings, plan: Plan, port: int, name: str) -> Launch:
        argv = [sys.executable, "-m", "tests.chat_server", "--port", str(port), "--kind", plan.kind]
        return Launch(tuple(argv), {}, "stand-in")

    def ending(reason: type[BaseException]) -> Callable[[], None]:
        def check() -> None:
            if house.pids():
                raise reason

        return check

    monkeypatch.setattr("backend.chat.servers.kinds.launch", launch)
    settings = Settings(home=tmp_path)
    make_tiny_llama(tmp_path / "checkpoints" / "tiny")
    pool = ModelPool(2**32, lambda: 0, lambda: None)
    house = Servers(settings)
    brought = {"model": "tiny"}
    context = Context(lambda: None)
    done = serve(cast(JobContext, context), settings, pool, house, brought)
    status = ServerStatus.model_validate(done)
    assert status.phase is ServerPhase.READY
    assert pool.holders() == (status.key,) == ("tiny/transformers",)
    assert pool.free_bytes() == 2**32 - status.estimate_bytes
    assert "server_starting" in context.phases
    with pytest.raises(StudioError) as refusal:
        serve(cast(JobContext, context), settings, pool, house, brought)
    assert refusal.value.code is Code.SERVER_RUNNING_ALREADY
    assert pool.holders() == (status.key,), "the one that runs keeps its memory"
    house.stop(status.key)
    assert pool.free_bytes() == 2**32
    assert house.statuses() == ()
    for reason in (JobCancelled, OSError):
        with pytest.raises(reason):
            serve(cast(JobContext, Context(ending(reason))), settings, pool, house, brought)
        assert pool.free_bytes() == 2**32
        assert house.pids() == ()
    small = ModelPool(2**20, lambda: 0, lambda: None)
    with pytest.raises(StudioError) as refusal:
        serve(cast(JobContext, Context(lambda: None)), settings, small, house, brought)
    assert refusal.value.code is Code.MODEL_TOO_LARGE


OWNER = """
import json, subprocess, sys
guard = subprocess.Popen([sys.executable, "-m", "backend.chat.servers.guard"], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
guard.stdin.write(sys.argv[1] + "\\n")
guard.stdin.flush()
for line in guard.stdout:
    print(line, end="", flush=True)
"""


def test_all_goes_when_the_studio_is_killed(tmp_path: Path) -> None:
    cleaned = tmp_path / "cleaned"
    spawn = (
        "import os, subprocess, sys, time; "
        "companion = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True); print(os.getpid(), companion.pid, flush=True); time.sleep(600)"
    )
    orders = {
        "command": [sys.executable, "-c", spawn],
        "environment": {},
        "cleanup": ["touch", str(cleaned)],
        "grace_s": 0.5,
    }
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, json.dumps(orders)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    assert all(psutil.pid_exists(pid) for pid in pids)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "the end of both")
    until(cleaned.exists, "the cleanup")
