"""`serve`: processes that die come back, and a stop ends them all."""

import contextlib
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from backend.contracts import JobState
from backend.settings import Settings
from backend.studio import Studio
from tests.conftest import free_port
from tests.support import LONG, OWNER, PATIENCE_S, ROOT, await_phase, environment, request, until


class Served:
    """A whole studio, as `make run` starts it."""

    def __init__(self, settings: Settings) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "app.py", "serve", "--port", str(self.port)],
            cwd=ROOT,
            env=environment(settings),
        )

    def get(self, path: str) -> str | None:
        """A page's text, or None while it cannot be had."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return None

    def health(self) -> dict[str, str]:
        answer: dict[str, str] = json.loads(self.get("/healthz") or "{}")
        return answer

    def is_ready(self) -> bool:
        return self.health().get("worker") == "ready"

    def child(self, word: str) -> psutil.Process | None:
        """The child whose command holds this word."""
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if word in child.cmdline():
                    return child
        return None

    def killed(self, word: str) -> psutil.Process:
        """Kill that child; the one that takes its place."""
        first = until(lambda: self.child(word), word)
        first.kill()
        killed = first.pid

        def successor() -> psutil.Process | None:
            child = self.child(word)
            return child if child is not None and child.pid != killed else None

        return until(successor, "a new one")


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    served = Served(settings)
    try:
        until(served.is_ready, "the studio")
        yield served
    finally:
        served.process.kill()
        served.process.wait()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The home of all tests here."""
    return Settings(home=tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def served(settings: Settings) -> Iterator[Served]:
    """The studio of the tests that leave one behind."""
    with serving(settings) as served:
        yield served


@pytest.fixture(scope="module")
def studio(settings: Settings) -> Iterator[Studio]:
    studio = Studio(settings)
    yield studio
    studio.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Served, Studio]]:
    """A studio that may be ended, and a look at its jobs."""
    settings = Settings(home=tmp_path)
    studio = Studio(settings)
    with serving(settings) as served:
        yield served, studio
    studio.close()


def test_the_page_answers_and_everything_listens_on_loopback_only(served: Served) -> None:
    assert served.health() | {"version": ""} == {"status": "ok", "version": "", "worker": "ready"}
    assert "Spark Studio" in (served.get("/") or "")
    first = psutil.Process(served.process.pid)
    family = [first, *first.children(recursive=True)]
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", served.port)}


def test_a_killed_web_process_comes_back_while_the_job_goes_on(
    served: Served, studio: Studio
) -> None:
    job_id = studio.pictures.generate(request(**LONG), OWNER)
    await_phase(studio, job_id, "denoise", 3)
    served.killed("web")
    assert until(served.is_ready, "the page to be back")
    assert studio.jobs.get(job_id, OWNER).state is JobState.RUNNING
    studio.jobs.cancel(job_id, OWNER)
    assert studio.jobs.wait(job_id, OWNER, PATIENCE_S).state is JobState.CANCELLED


def test_a_killed_worker_comes_back_and_takes_the_next_job(served: Served, studio: Studio) -> None:
    job_id = studio.pictures.generate(request(**LONG), OWNER)
    next_id = studio.pictures.generate(request(steps=2), OWNER)
    await_phase(studio, job_id, "denoise", 3)
    served.killed("backend.jobs.worker")
    assert studio.jobs.wait(next_id, OWNER, PATIENCE_S).state is JobState.SUCCEEDED
    assert studio.jobs.get(job_id, OWNER).state is JobState.INTERRUPTED


def test_a_taken_port_is_said_at_once(served: Served, settings: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "app.py", "serve", "--port", str(served.port), "--json"],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "PORT_TAKEN"


def test_a_second_studio_on_the_same_home_leaves_the_worker_alone(
    served: Served, settings: Settings, studio: Studio
) -> None:
    with serving(settings):
        job_id = studio.pictures.generate(request(steps=20), OWNER)
        assert studio.jobs.wait(job_id, OWNER, PATIENCE_S).state is JobState.SUCCEEDED
        assert len(studio.machine.status().workers) == 1


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def stop_over_and_over(process: subprocess.Popen[bytes]) -> None:
    """Ctrl+C reaches `make run` and the studio, and make passes it on. (One that comes when Python
    itself is leaving ends it with that signal's status.)"""

    def ended() -> bool:
        for number in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        return process.poll() is not None

    until(ended, "the studio's end")


@pytest.mark.parametrize("tell", [stop, stop_over_and_over])
def test_a_stop_ends_every_process_and_keeps_the_job(
    own: tuple[Served, Studio], tell: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    served, studio = own
    job_id = studio.pictures.generate(request(**LONG), OWNER)
    await_phase(studio, job_id, "denoise", 3)
    family = psutil.Process(served.process.pid).children(recursive=True)
    tell(served.process)
    assert not [process for process in family if process.is_running()]
    assert studio.jobs.get(job_id, OWNER).state is JobState.QUEUED


def test_no_process_outlives_a_killed_supervisor(own: tuple[Served, Studio]) -> None:
    served, _ = own
    family = psutil.Process(served.process.pid).children(recursive=True)
    served.process.kill()
    served.process.wait()
    until(lambda: not any(process.is_running() for process in family), "them to end")
