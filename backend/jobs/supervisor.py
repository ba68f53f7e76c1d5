"""Keeps the studio's processes running: the web process and one worker per GPU.

The supervisor itself does nothing that could kill it. It holds the listening socket, so that a page
that calls while the web process is being restarted waits instead of being refused.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field

from backend.errors import Code, StudioError
from backend.jobs.children import ROOT, child_environment, python_module
from backend.jobs.stop_signals import StopSignals

POLL_S = 0.1
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 30.0
SETTLED_S = 60.0
"""A process that ran this long is restarted at once when it dies; others wait ever longer."""
STOP_MARGIN_S = 4.0


def worker_names(gpus: tuple[int, ...]) -> list[tuple[str, int]]:
    """Name and GPU of each worker, the same at every start of this machine."""
    host = socket.gethostname()
    return [(f"{host}-gpu{index}", index) for index in gpus] or [(f"{host}-cpu", 0)]


def worker_command(name: str, gpu: int) -> list[str]:
    return python_module("backend.jobs.worker", "--name", name, "--gpu", str(gpu))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises StudioError PORT_TAKEN."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(256)
    except (OSError, OverflowError) as error:
        listener.close()
        raise StudioError(Code.PORT_TAKEN, repr(error), host=host, port=port) from error
    listener.set_inheritable(True)
    return listener


@dataclass
class Charge:
    """A process to keep running."""

    name: str
    command: list[str]
    inherited: tuple[int, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    failures: int = 0
    start_at: float = 0.0

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=child_environment() | self.environment,
            pass_fds=self.inherited,
            start_new_session=True,
        )

    def look_after(self, now: float) -> None:
        """Start it when it is due; note when it died and when to start it again."""
        if self.process is None:
            if now >= self.start_at:
                self.start()
        elif self.process.poll() is not None:
            settled = now - self.started_at >= SETTLED_S
            self.failures = 1 if settled else self.failures + 1
            delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (self.failures - 1))
            print(
                f"{self.name} ended with status {self.process.returncode}; "
                f"starting it again in {delay:.2g} s",
                file=sys.stderr,
            )
            self.process, self.start_at = None, now + delay


def supervise(charges: list[Charge], grace_s: float) -> None:
    """Run all charges until SIGTERM or SIGINT, then end them: asked first, killed in the end."""
    signals = StopSignals()
    for charge in charges:
        charge.start()
    while not signals.wait(POLL_S):
        for charge in charges:
            charge.look_after(time.monotonic())
    end(charges, grace_s + STOP_MARGIN_S)


def end(charges: list[Charge], patience_s: float) -> None:
    running = [charge.process for charge in charges if charge.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + patience_s
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
