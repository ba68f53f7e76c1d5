"""A server as a watched process of the worker."""

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import IO

import psutil

from backend.chat.servers import gate
from backend.chat.servers.commands import HOST, Launch
from backend.chat.servers.gate import Health
from backend.chat.servers.plan import Plan, endpoint_of
from backend.chat.servers.spawn import free_port, spawn
from backend.chat.servers.troubles import why_it_died
from backend.contracts import Endpoint, ServerPhase, ServerStatus
from backend.errors import Code, ErrorInfo, StudioError
from backend.hardware import memory
from backend.settings import Settings

LOG_LINES, LOG_SHOWN, LINE_CHARACTERS = 300, 30, 300
MEMORY_SECONDS = 120
LOOK_INTERVAL_S = 0.1
MEMORY_INTERVAL_S = 1.0
GUARD_MARGIN_S = 30.0
RESTARTS = 1
MakeLaunch = Callable[[int], Launch]
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class ServerProcess:
    """Starts a server, follows it to ready, starts it again once when it dies, and ends it.

    One thread keeps it; all else may be called from any thread.
    """

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        make_launch: MakeLaunch,
        gate_path: str,
        gpu: int = 0,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`make_launch` gives the process to start at a port; `on_end` is called once, when the
        server has gone for good."""
        self.plan = plan
        self._settings, self._make_launch, self._gate = settings, make_launch, gate_path
        self._gpu, self._on_end = gpu, on_end
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._memory: deque[tuple[float, int]] = deque(maxlen=MEMORY_SECONDS)
        self._guard: subprocess.Popen[str] | None = None
        self._was_ready = False
        self._started_at = time.time()
        self._started = time.monotonic()
        self._status = ServerStatus(
            key=plan.key,
            phase=ServerPhase.STARTING,
            endpoint=self._endpoint(0, ""),
            command="",
            pid=None,
            started_at=self._started_at,
            estimate_bytes=plan.total_bytes,
        )
        self._thread = threading.Thread(target=self._keep, name=f"serve {plan.key}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def status(self) -> ServerStatus:
        with self._changed:
            return self._status.model_copy(
                update={"log": tuple(self._log)[-LOG_SHOWN:], "memory": tuple(self._memory)}
            )

    def pids(self) -> tuple[int, ...]:
        """The server's processes."""
        guard = self._guard
        if guard is None:
            return ()
        try:
            return tuple(child.pid for child in psutil.Process(guard.pid).children(recursive=True))
        except psutil.Error:
            return ()

    def wait(self, timeout_s: float, beyond: ServerPhase | None = None) -> ServerStatus:
        """The status once it is ready or has ended, or is in another phase than `beyond`, or when
        the time is up."""

        def reached() -> bool:
            phase = self._status.phase
            settled = phase is ServerPhase.READY or not phase.is_live
            return settled or (beyond is not None and phase is not beyond)

        with self._changed:
            self._changed.wait_for(reached, timeout_s)
        return self.status()

    def stop(self, wait: bool = True) -> None:
        """End it and all its processes; with `wait`, they have gone on return."""
        self._stop.set()
        if self._guard is not None and self._guard.stdin is not None:
            with suppress(OSError, ValueError):
                self._guard.stdin.close()
        if wait and self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    # ---- the thread that keeps it ------------------------------------------------------------

    def _keep(self) -> None:
        error: ErrorInfo | None = None
        try:
            error = self._live_again()
        except StudioError as failure:
            error = failure.info
        except Exception as failure:  # noqa: BLE001  whatever it is, the server must not stay
            problem = f"{type(failure).__name__}: {failure}"
            error = StudioError(Code.SERVER_START_FAILED, problem=problem).info
        finally:
            phase = ServerPhase.FAILED if error else ServerPhase.STOPPED
            self._on_end()
            self._tell(phase=phase, error=error, pid=None, memory_bytes=0)

    def _live_again(self) -> ErrorInfo | None:
        """Live, and once more after a death; why it ended for good, or None when it was told to."""
        while True:
            error = self._live()
            if error is None:
                return None
            again = self._was_ready or error.code is Code.SERVER_PORT_TAKEN
            if not again or self._status.restarts >= RESTARTS:
                return error
            self._tell(phase=ServerPhase.STARTING, restarts=self._status.restarts + 1, error=error)

    def _live(self) -> ErrorInfo | None:
        """One process from start to end; None when it was told to stop."""
        self._was_ready = False
        port = free_port()
        launch = self._make_launch(port)
        for file, content in launch.files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        if self._stop.is_set():
            return None
        self._started = time.monotonic()
        self._log.clear()
        self._memory.clear()
        guard = spawn(launch, self._settings.stop_grace_s)
        self._guard = guard
        assert guard.stdout is not None
        reader = threading.Thread(target=self._read, args=(guard.stdout,), daemon=True)
        reader.start()
        self._tell(pid=guard.pid, command=" ".join(launch.argv), endpoint=self._endpoint(port, ""))
        try:
            told = self._follow(guard, port, launch)
        finally:
            self._end(guard)
            reader.join(GUARD_MARGIN_S)
            for file in launch.files:
                file.unlink(missing_ok=True)
        if self._stop.is_set():
            return None
        if told is not None:
            return told
        why = why_it_died(list(self._log), guard.returncode, self.plan.model, port)
        if self._was_ready and why.code is Code.SERVER_START_FAILED:
            server = self._status.endpoint.url
            return ErrorInfo(code=Code.SERVER_DIED, values={"server": server}, detail=why.detail)
        return why

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            words = COLOURS.sub("", line).rstrip()
            if words:
                with self._changed:
                    self._log.append(words[:LINE_CHARACTERS])

    def _follow(
        self, guard: "subprocess.Popen[str]", port: int, launch: Launch
    ) -> ErrorInfo | None:
        """Look until it dies or is to stop. What it fails of otherwise is returned."""
        deadline = time.monotonic() + self._settings.server_start_s
        measured = 0.0
        while guard.poll() is None and not self._stop.wait(LOOK_INTERVAL_S):
            if time.monotonic() - measured >= MEMORY_INTERVAL_S:
                measured = time.monotonic()
                self._measure()
            if self._was_ready:
                continue
            if time.monotonic() > deadline:
                limit = self._settings.server_start_s
                return StudioError(
                    Code.SERVER_TOO_SLOW_TO_START, "\n".join(self._log), limit_s=limit
                ).info
            if self._status.phase is ServerPhase.STARTING and self._log:
                self._tell(phase=ServerPhase.LOADING)
            if gate.health(port) is Health.UP:
                problem = self._warm(port, launch)
                if problem is not None:
                    return problem
        return None

    def _warm(self, port: int, launch: Launch) -> ErrorInfo | None:
        """It is up: learn its model's name, and have it write a token."""
        self._tell(phase=ServerPhase.WARMING)
        model_id = launch.model_id or gate.listed_model(port)
        if model_id is None:
            return StudioError(Code.NOT_A_SERVER, server=f"http://{HOST}:{port}").info
        try:
            said = gate.can_generate(port, self._gate, model_id)
        except (OSError, HTTPException):
            return None
        if said is None:
            self._was_ready = True
            self._measure()
            self._tell(
                phase=ServerPhase.READY,
                endpoint=self._endpoint(port, model_id),
                ready_s=time.monotonic() - self._started,
                error=None,
            )
            return None
        with self._changed:
            self._log.append(said)
            return why_it_died(list(self._log), None, self.plan.model, port)

    def _end(self, guard: "subprocess.Popen[str]") -> None:
        """Have the guard end all, and see to it that it has."""
        assert guard.stdin is not None
        with suppress(OSError):
            guard.stdin.close()
        try:
            guard.wait(self._settings.stop_grace_s + GUARD_MARGIN_S)
        except subprocess.TimeoutExpired:
            for pid in self.pids():
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            guard.kill()
            guard.wait()

    # ---- what is known of it -------------------------------------------------------------------

    def _measure(self) -> None:
        held = memory.sample(self.pids(), self._gpu).process_bytes
        with self._changed:
            self._memory.append((round(time.monotonic() - self._started, 1), held))
        self._tell(memory_bytes=held, peak_memory_bytes=max(held, self._status.peak_memory_bytes))

    def _tell(self, **changes: object) -> None:
        with self._changed:
            self._status = self._status.model_copy(update=changes)
            self._changed.notify_all()

    def _endpoint(self, port: int, model_id: str) -> Endpoint:
        return endpoint_of(self.plan, f"http://{HOST}:{port}", model_id)
