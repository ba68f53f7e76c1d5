"""The worker process: runs the jobs of one device and says once a second how it is.

python -m backend.jobs.worker --name NAME [--gpu INDEX]
"""

import argparse
import fcntl
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import psutil
from dbos import DBOS, DBOSConfig

from backend.chat.servers.house import Servers
from backend.contracts import GpuSample, WorkerStatus
from backend.errors import StudioError
from backend.hardware import heap, memory
from backend.hardware.gpu import list_gpus
from backend.jobs.children import die_with_parent
from backend.jobs.database import JsonSerializer, open_engine
from backend.jobs.main_thread import MainThread
from backend.jobs.phases import Resources
from backend.jobs.queue import (
    APPLICATION,
    APPLICATION_VERSION,
    BUILD,
    COMPARING,
    INTERACTIVE,
    SERVING,
    JobQueue,
)
from backend.jobs.reclaim import reclaim, reclaim_lost
from backend.jobs.retention import sweep
from backend.jobs.stop_signals import StopSignals
from backend.jobs.store import Store
from backend.jobs.workflows import Shift, register_workflow
from backend.models.pool import ModelPool
from backend.settings import Settings, load_settings

TELEMETRY_INTERVAL_S = 1.0
SWEEP_INTERVAL_S = 3600.0
INTERACTIVE_POLL_S = 0.03
BUILD_POLL_S = 0.5
TAKEN_S = 0.1
"""By then a job that was just being taken when the taking was stopped is in hand."""
SWITCH_INTERVAL_S = 0.0005
"""How long the denoising thread waits at the most for a polling one to hand over the interpreter
(Python's default is 5 ms)."""
BUDGET_SHARE = 0.8
"""Of the memory that was free at the start: the rest is for activations and everybody else."""


def memory_budget(settings: Settings, gpu: int) -> int:
    """What models may hold on this device, in bytes."""
    if settings.memory_budget_bytes:
        return settings.memory_budget_bytes
    now = memory.sample(gpu_index=gpu)
    return int((now.total_bytes - now.used_bytes) * BUDGET_SHARE)


def make_pool(settings: Settings, gpu: int) -> ModelPool:
    def held_bytes() -> int:
        from backend.images import device

        return device.held_bytes(device.pick_device())

    def collect() -> None:
        from backend.images import device

        device.collect(device.pick_device())

    return ModelPool(memory_budget(settings, gpu), held_bytes, collect)


def gpu_sample(index: int) -> GpuSample | None:
    """How busy, hot and hungry the GPU is; None without one."""
    gpu = next((gpu for gpu in list_gpus() if gpu.index == index), None)
    if gpu is None:
        return None
    return GpuSample(
        utilisation_percent=gpu.utilisation_percent,
        power_w=gpu.power_w,
        temperature_c=gpu.temperature_c,
    )


class Telemetry(threading.Thread):
    """Reports the worker once a second, takes unload requests, and sweeps once an hour."""

    def __init__(
        self,
        name: str,
        gpu: int,
        settings: Settings,
        store: Store,
        queue: JobQueue,
        pool: ModelPool,
        servers: Servers,
    ) -> None:
        super().__init__(name="telemetry", daemon=True)
        self.worker, self.gpu = name, gpu
        self.settings, self.store, self.queue = settings, store, queue
        self.pool, self.servers = pool, servers
        gpus = list_gpus()
        self.device = gpus[gpu].name if gpu < len(gpus) else "CPU"
        self._swept_at = 0.0

    def run(self) -> None:
        while True:
            started = time.monotonic()
            try:
                self.beat()
            except Exception:
                logging.getLogger(__name__).exception("telemetry")
            time.sleep(max(0.05, TELEMETRY_INTERVAL_S - (time.monotonic() - started)))

    def beat(self) -> None:
        for key in self.store.take_unloads(self.worker):
            try:
                if not self.servers.stop(key, wait=False):
                    self.pool.unload(key)
            except StudioError as error:
                logging.getLogger(__name__).warning("%s", error)
        self.store.report_worker(
            WorkerStatus(
                name=self.worker,
                pid=os.getpid(),
                device=self.device,
                alive=True,
                budget_bytes=self.pool.budget_bytes,
                memory=memory.sample([os.getpid(), *self.servers.pids()], self.gpu),
                gpu=gpu_sample(self.gpu),
                resident=self.pool.resident(),
                servers=self.servers.statuses(),
                seen_at=time.time(),
            )
        )
        reclaim_lost(self.settings.worker_lost_s, self.store, self.queue)
        self.queue.release()
        if time.monotonic() - self._swept_at > SWEEP_INTERVAL_S:
            sweep(self.settings, self.store, self.queue)
            self._swept_at = time.monotonic()


def launch_dbos(name: str, store: Store) -> Callable[[], None]:
    """Begin to take jobs from the queues, resumable ones of this worker's last life first.

    Returns what stops the taking; jobs in hand are not touched by it.
    """
    config: DBOSConfig = {
        "name": APPLICATION,
        "application_version": APPLICATION_VERSION,
        "executor_id": name,
        "system_database_engine": store.engine,
        "serializer": JsonSerializer(),
        "enable_otlp": False,
        "log_level": "WARNING",
    }
    dbos = DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(INTERACTIVE, worker_concurrency=1, polling_interval_sec=INTERACTIVE_POLL_S)
    for name in (BUILD, SERVING, COMPARING):
        DBOS.register_queue(name, worker_concurrency=1, polling_interval_sec=BUILD_POLL_S)

    def stop_taking() -> None:
        for poller in dbos.background_thread_stop_events:
            poller.set()
        time.sleep(TAKEN_S)

    return stop_taking


def preload() -> None:
    """Import what every picture needs, before the first one asks for it.

    Looking for garbage meanwhile takes a tenth of the time and finds none.
    """
    gc.disable()
    import backend.images.generate  # noqa: F401

    gc.freeze()
    gc.enable()


@contextmanager
def only_one(home: Path, name: str) -> Iterator[None]:
    """Wait until no other worker of this name runs on this home; then be the one."""
    file = home / "workers" / f"{name}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cpu_environment(settings: Settings) -> dict[str, str]:
    """How a worker's torch uses the CPU.

    OpenMP threads that wait for each other by spinning lose many times their speed as soon as
    anything else wants a core (docs/notes.md): so one core is left to the page and the system, and
    threads that wait sleep.
    """
    threads = settings.threads or max(1, (psutil.cpu_count() or 1) - 1)
    return {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


def prepare_process(settings: Settings, gpu: int) -> None:
    """What must be set before torch is imported."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for library in ("TRANSFORMERS", "DIFFUSERS"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    os.environ |= cpu_environment(settings) | os.environ
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ["CUDA_VISIBLE_DEVICES"] = str(gpu)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    heap.keep_freed()


def run(settings: Settings, name: str, gpu: int) -> NoReturn:
    """Work until SIGTERM; then put jobs down within `stop_grace_s` and leave.

    A second worker of the same name waits, and takes over when the first has gone.
    """
    prepare_process(settings, gpu)
    with only_one(settings.home, name):
        _work(settings, name, gpu)


def _work(settings: Settings, name: str, gpu: int) -> NoReturn:
    store = Store(open_engine(settings))
    queue = JobQueue(store)
    pool = make_pool(settings, gpu)
    servers = Servers(settings, gpu)
    main_thread = MainThread()
    shift = Shift()

    signals = StopSignals()

    def leave_when_told() -> None:
        signals.wait()
        stop_taking()
        for job_id in shift.end(settings.stop_grace_s):
            row = store.find(job_id)
            if row is not None:
                queue.requeue(row)
        servers.stop_all()
        store.forget_worker(name)
        os._exit(0)

    reclaim(name, store, queue)
    register_workflow(name, store, queue, Resources(settings, pool, main_thread, servers), shift)
    telemetry = Telemetry(name, gpu, settings, store, queue, pool, servers)
    telemetry.beat()
    stop_taking = launch_dbos(name, store)
    threading.Thread(target=leave_when_told, name="leave", daemon=True).start()
    telemetry.start()
    preload()
    main_thread.serve()


def main() -> None:
    parser = argparse.ArgumentParser(prog="backend.jobs.worker")
    parser.add_argument("--name", required=True)
    parser.add_argument("--gpu", type=int, default=0)
    arguments = parser.parse_args()
    die_with_parent()
    run(load_settings(), arguments.name, arguments.gpu)


if __name__ == "__main__":
    main()
