"""From `make run` to a page that answers, and what the studio takes when nothing happens."""

import time

import psutil

from benchmarks.measure import Result, await_answer, made_run, median, served

STARTS = 3
IDLE_S = 15.0


def start_seconds() -> float:
    started = time.perf_counter()
    with made_run() as (address, _):
        await_answer(f"{address}/", "Spark Studio")
        return time.perf_counter() - started


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
