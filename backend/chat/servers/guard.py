"""Stands between the worker and a server: when the worker ends it, or dies, every process of the
server goes, however many it started.

python -m backend.chat.servers.guard, with one line of JSON on standard input: `command`,
`environment`, `cleanup` (a command, or empty), `grace_s`. The server is ended when standard input
is closed.
Nothing heavy is imported here: one guard runs beside each server.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLEANUP_S = 20.0
SIGNALLED = 128
"""Added to the number of the signal that ended the server, as shells do."""


def main() -> int:
    orders = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(SIGNALLED + number))
    _control(PR_SET_CHILD_SUBREAPER, 1)
    server = subprocess.Popen(
        orders["command"],
        env=os.environ | orders["environment"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: _control(PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    try:
        status = _watch(server)
        if status is None:
            _end_group(server, orders["grace_s"])
            status = 0
    finally:
        _kill_all()
        if orders["cleanup"]:
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(orders["cleanup"], capture_output=True, timeout=CLEANUP_S)
    return SIGNALLED - status if status < 0 else status


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _watch(server: "subprocess.Popen[bytes]") -> int | None:
    """The server's status when it ends by itself; None when it is to be ended."""
    ended, tell = os.pipe()

    def wait() -> None:
        server.wait()
        os.close(tell)

    threading.Thread(target=wait, daemon=True).start()
    while True:
        ready, _, _ = select.select([0, ended], [], [])
        if ended in ready:
            return server.wait()
        if not os.read(0, 1):
            return None


def _end_group(server: "subprocess.Popen[bytes]", grace_s: float) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(grace_s)


def _kill_all() -> None:
    """Every descendant: those whose parent went are ours, as their reaper."""
    while True:
        rest = psutil.Process().children(recursive=True)
        if not rest:
            return
        for process in rest:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(rest, timeout=1.0)


if __name__ == "__main__":
    sys.exit(main())
