"""Work that must be killable: one child process a phase.

A child dies with its worker, is killed on cancel, and speaks to the worker in JSON lines.
"""

import ctypes
import gc
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from backend.errors import Code, ErrorInfo, StudioError
from backend.jobs.failures import explain

CHECK_INTERVAL_S = 0.1
LOG_LINES = 60
ROOT = Path(__file__).resolve().parents[2]
PARENT = "SPARK_STUDIO_PARENT_PID"

News = Callable[[dict[str, Any]], None]


def python_module(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    return os.environ | {PARENT: str(os.getpid())}


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends (prctl(2), Linux)."""
    parent = os.environ.get(PARENT)
    if parent is None or sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != int(parent):
        os._exit(1)


def run_child(
    module: str,
    arguments: dict[str, Any],
    on_news: News,
    check: Callable[[], None],
    grace_s: float = 0.0,
) -> Any:
    """Run `python -m module` with `arguments` as a line of JSON on its standard input; its result.

    `on_news` gets all that the child tells; `check` is called ten times a second and stops the
    child by raising: it is asked to stop (`stop_requested`) and killed after `grace_s`. Raises
    StudioError as the child did, or OUT_OF_MEMORY / INTERNAL with the log's tail when it died
    without a word.
    """
    child = subprocess.Popen(
        python_module("backend.jobs.child", module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=child_environment(),
        text=True,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    log: deque[str] = deque(maxlen=LOG_LINES)
    readers = [
        threading.Thread(target=_pump, args=(child.stdout, lines.put), daemon=True),
        threading.Thread(target=_pump, args=(child.stderr, log.append), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        assert child.stdin is not None
        child.stdin.write(json.dumps(arguments) + "\n")
        child.stdin.flush()
        result = _follow(lines, on_news, check)
        if result is not None:
            return result["result"]
        status = child.wait()
        for reader in readers:
            reader.join()
        detail = "\n".join(line for line in log if line)
        if status == -signal.SIGKILL:
            raise StudioError(Code.OUT_OF_MEMORY, detail or "killed by the system")
        problem = f"a child process ended with status {status}"
        raise StudioError(Code.INTERNAL, detail, problem=problem)
    finally:
        _end(child, grace_s)


def _end(child: "subprocess.Popen[str]", grace_s: float) -> None:
    """Ask the child to stop by closing its standard input, then see to it that it has."""
    assert child.stdin is not None
    with suppress(OSError):
        child.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        child.wait(grace_s)
    child.kill()
    child.wait()


def _pump(stream: IO[str], put: Callable[[str | None], None]) -> None:
    for line in stream:
        put(line.rstrip("\n"))
    put(None)


def _follow(
    lines: "queue.Queue[str | None]", on_news: News, check: Callable[[], None]
) -> dict[str, Any] | None:
    """The message that carries the child's result, or None when it ended without one."""
    while True:
        check()
        try:
            line = lines.get(timeout=CHECK_INTERVAL_S)
        except queue.Empty:
            continue
        if line is None:
            return None
        message: dict[str, Any] = json.loads(line)
        if "news" in message:
            on_news(message["news"])
        elif "error" in message:
            info = ErrorInfo.model_validate(message["error"])
            raise StudioError(info.code, info.detail, **info.values)
        else:
            return message


def child_main(work: Callable[[dict[str, Any], News], Any]) -> None:
    """Body of a child's module: read the arguments, do the work, say how it ended.

    What libraries print to standard output goes to the log. What was imported stays, so garbage is
    not looked for in it.
    """
    gc.freeze()
    gc.enable()
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(kind: str, value: Any) -> None:
        channel.write(json.dumps({kind: value}) + "\n")

    try:
        arguments = json.loads(sys.stdin.readline())
        tell("result", work(arguments, lambda values: tell("news", values)))
    except Exception as error:  # noqa: BLE001  whatever the work raises is the child's answer
        if not isinstance(error, StudioError):
            traceback.print_exc()
        tell("error", explain(error).model_dump(mode="json"))


def stop_requested() -> Callable[[], bool]:
    """In a child, once its arguments are read: whether the worker wants it to stop.

    The worker says so by closing the child's standard input, and waits a moment (`run_child`).
    """
    told = threading.Event()

    def listen() -> None:
        while os.read(0, 1):
            pass
        told.set()

    threading.Thread(target=listen, name="stop", daemon=True).start()
    return told.is_set
