"""From `make run` to a page that answers, and what the studio takes when nothing happens."""

import os
import signal
import subprocess
import time
from tempfile import TemporaryDirectory

import psutil

from benchmarks.measure import ROOT, Result, await_answer, free_port, median, served

STARTS = 3
IDLE_S = 15.0


def start_seconds() -> float:
    with TemporaryDirectory() as home:
        port = free_port()
        started = time.perf_counter()
        process = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=os.environ | {"STUDIO_HOME": home, "STUDIO_PORT": str(port)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            await_answer(f"http://127.0.0.1:{port}/", "Spark Studio")
            return time.perf_counter() - started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def cpu_seconds(processes: list[psutil.Process]) -> float:
    return sum(p.cpu_times().user + p.cpu_times().system for p in processes)


def measure() -> list[Result]:
    starts = [start_seconds() for _ in range(STARTS)]
    with served() as (_, _, process):
        family = psutil.Process(process.pid).children()
        web = next(child for child in family if "web" in child.cmdline())
        maps = {mapped.path for mapped in web.memory_maps()}
        torch_files = sum("/torch/" in path for path in maps)
        before, began = cpu_seconds(family), time.perf_counter()
        time.sleep(IDLE_S)
        idle = 100 * (cpu_seconds(family) - before) / (time.perf_counter() - began)
        resident = web.memory_info().rss / 1e6
    return [
        Result("make run to a page that answers, median", median(starts), "s", 6),
        Result("web process, resident memory", resident, "MB", 350),
        Result("torch's libraries in the web process", torch_files, "files", 0),
        Result("web and worker idle, share of one core", idle, "%", 12),
    ]
