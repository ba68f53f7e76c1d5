"""Work that must be done by a process's main thread.

torch computes on the CPU with a pool of threads that belongs to the thread which calls it, and
memory that the main thread frees is kept for its next use: a picture made by any other thread
takes longer.
"""

import queue
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class MainThread:
    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()

    def call(self, work: Callable[[], T]) -> T:
        """Have the main thread do `work` in the caller's context; its result or its exception."""
        outcome: Future[T] = Future()
        context = copy_context()
        self._work.put((outcome, lambda: context.run(work)))
        return outcome.result()

    def serve(self) -> NoReturn:
        """Do what is asked for, one after the other, for ever."""
        while True:
            outcome, work = self._work.get()
            try:
                outcome.set_result(work())
            except BaseException as error:  # noqa: BLE001  it belongs to who called
                outcome.set_exception(error)
