"""A picture through queue and worker against the bare diffusers call, turn by turn.

The bare call gets the CPU settings of a worker, so that the ratio is the cost of queue and worker
alone. What torch's own settings (as many spinning threads as cores) give while no studio runs is
measured too, before.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

import numpy as np
from PIL import Image

from backend.contracts import GenerateRequest
from backend.jobs.worker import cpu_environment
from backend.settings import Settings
from benchmarks.measure import OWNER, PATIENCE_S, ROOT, Result, median, native_request, served

TURNS = 25


class Bare:
    """A plain diffusers script that waits for requests."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def picture(self, request: GenerateRequest) -> tuple[float, str]:
        """Seconds of the call, and the digest of its pixels."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(request.model_dump_json() + "\n")
        self._process.stdin.flush()
        seconds, digest = self._process.stdout.readline().split()
        return float(seconds), digest


@contextmanager
def bare(environment: dict[str, str]) -> Iterator[Bare]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare"],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Bare(process)
    finally:
        process.terminate()
        process.wait()


def measure() -> list[Result]:
    with served() as (studio, _, _):
        requests = [  # a prompt of its own for each: the studio keeps what it has encoded
            native_request(studio, seed=seed, prompt=f"a red circle, number {seed}")
            for seed in range(TURNS)
        ]
    with bare({}) as plain:
        own_s = [plain.picture(request)[0] for request in requests][1:]
    queued_s, bare_s, same = [], [], 0
    with served() as (studio, _, _), bare(cpu_environment(Settings())) as plain:
        plain.picture(requests[0])
        for request in requests:
            seconds, digest = plain.picture(request)
            bare_s.append(seconds)
            started = time.perf_counter()
            job = studio.jobs.wait(studio.pictures.generate(request, OWNER), OWNER, PATIENCE_S)
            queued_s.append(time.perf_counter() - started)
            pixels = np.asarray(Image.open(job.images[0].path)).tobytes()
            same += sha256(pixels).hexdigest() == digest
    ratios = [queued / own for queued, own in zip(queued_s, bare_s, strict=True)]
    return [
        Result("bare diffusers call, torch's own threads, no studio", median(own_s), "s"),
        Result("bare diffusers call, a worker's threads", median(bare_s), "s"),
        Result("the same through queue and worker", median(queued_s), "s"),
        Result("queue and worker over the bare call, turn by turn", median(ratios), "x", 1.05),
        Result("pictures that differ in any bit", len(requests) - same, "", 0),
    ]
