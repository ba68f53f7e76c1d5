"""What the commands of both sorts of comparisons share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from backend.commands.pictures import delivered_folder, make_folder
from backend.commands.session import follow, with_worker
from backend.contracts import Report
from backend.errors import Code, StudioError
from backend.studio import Studio


def refuse_others(context: typer.Context, why: str, takes: frozenset[str]) -> None:
    """Refuse options that were given and would change nothing. Raises StudioError
    INVALID_REQUEST."""
    given = []
    for option in context.command.params:
        source = context.get_parameter_source(option.name) if option.name else None
        if source is not None and source.name == "COMMANDLINE" and option.name not in takes:
            given.append(option.opts[0])
    if given:
        raise StudioError(Code.INVALID_REQUEST, problem=f"{why} takes no {', '.join(given)}")


def run(studio: Studio, submit: Callable[[], str], out: Path | None) -> tuple[Report, Path]:
    """Queue a comparison and follow it to its end; its report, and the folder that it is in.

    Raises StudioError as it fails, FOLDER_NOT_WRITABLE.
    """
    if out is not None:
        make_folder(out)
    with with_worker(studio):
        job = follow(studio, submit())
    folder = delivered_folder(studio.settings.outputs / job.id, out)
    return studio.compare.show(job.id, None), folder


def places(report: Report, folder: Path) -> dict[str, Any]:
    """What the answers of both begin with."""
    return {
        "job": report.id,
        "report": str(folder / "report.json"),
        "html": str(folder / "report.html"),
    }
