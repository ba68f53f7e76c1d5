"""SIGTERM and SIGINT as something to wait for.

A Python signal handler runs between any two instructions of the main thread, those of another
handler included: it must not take a lock, and it waits for native code to return. So the handlers
here do nothing, and the interpreter's wake-up descriptor tells who waits.
"""

import select
import signal
import socket
from types import FrameType


class StopSignals:
    """Catches both signals from now on. Made by the main thread."""

    def __init__(self) -> None:
        self._told, self._teller = socket.socketpair()
        self._teller.setblocking(False)
        signal.set_wakeup_fd(self._teller.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _do_nothing)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether one has come, now or within the time."""
        return bool(select.select([self._told], [], [], timeout_s)[0])


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass
