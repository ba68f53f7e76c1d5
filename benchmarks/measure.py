"""What the benchmarks share: a studio of their own, quantiles, and results as data."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backend.contracts import GenerateRequest
from backend.settings import Settings
from backend.studio import Studio

ROOT = Path(__file__).resolve().parent.parent
OWNER = "visitor:benchmark"
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Result:
    """One figure and, where the project sets itself one, its bar."""

    name: str
    value: float
    unit: str
    at_most: float | None = None

    @property
    def kept(self) -> bool:
        return self.at_most is None or self.value <= self.at_most


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: list[float]) -> float:
    return statistics.median(values)


def native_request(studio: Studio, model: str = "demo-flux", **changes: Any) -> GenerateRequest:
    """The model's own size and steps."""
    limits = studio.models.find(model).limits
    values: dict[str, Any] = {
        "model": model,
        "prompt": "a red circle left of a blue square",
        "seed": 1,
        "steps": limits.default_steps,
        "guidance": limits.default_guidance,
        "width": limits.native_width,
        "height": limits.native_height,
    }
    return GenerateRequest(**(values | changes))


@contextmanager
def served(**more: str) -> Iterator[tuple[Studio, str, "subprocess.Popen[bytes]"]]:
    """A whole studio in a fresh home, with `more` in its environment: its facade, the page's
    address, its first process."""
    with TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STUDIO_")}
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "app.py", "serve", "--port", str(port)],
            cwd=ROOT,
            env=environment | {"STUDIO_HOME": home} | more,
            stdout=subprocess.DEVNULL,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            await_answer(f"{address}/healthz", '"ready"')
            studio = Studio(settings)
            warm_up = studio.pictures.generate(native_request(studio, steps=1), OWNER)
            studio.jobs.wait(warm_up, OWNER, PATIENCE_S)
            yield studio, address, process
            studio.close()
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def made_run() -> Iterator[tuple[str, Path]]:
    """`make run` with a new home folder, just begun: its address and that folder."""
    with TemporaryDirectory() as home:
        port = free_port()
        process = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=os.environ | {"STUDIO_HOME": home, "STUDIO_PORT": str(port)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield f"http://127.0.0.1:{port}", Path(home)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def await_answer(address: str, content: str = "") -> None:
    """Until the address answers with a page that holds `content`."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if content in answer.read().decode():
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError(address)


def line(result: Result) -> str:
    bar = "" if result.at_most is None else f"bar {result.at_most:g}"
    mark = "" if result.at_most is None else ("kept" if result.kept else "MISSED")
    return f"{result.name:<62} {result.value:>9.3f} {result.unit:<6} {bar:<10} {mark}"


def as_json(results: list[Result]) -> str:
    return json.dumps({"results": [vars(result) | {"kept": result.kept} for result in results]})
