"""How the studio itself stands: `Studio.machine`."""

from functools import cache
from importlib.metadata import version

from backend.contracts import Health, JobState, StudioStatus
from backend.studio.desk import Desk

PACKAGE = "spark-studio"


@cache
def studio_version() -> str:
    return version(PACKAGE)


class Machine:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def status(self) -> StudioStatus:
        """The workers, and how many jobs run and wait."""
        board = self._desk.board.read()
        running = sum(row.state is JobState.RUNNING for row in board.live)
        return StudioStatus(
            version=studio_version(),
            workers=board.workers,
            waiting=len(board.live) - running,
            running=running,
        )

    def health(self) -> Health:
        workers = self._desk.board.read().workers
        worker = "ready" if any(w.alive for w in workers) else "missing"
        return Health(status="ok", version=studio_version(), worker=worker)
