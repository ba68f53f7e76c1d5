"""`comparisons`: past ones."""

from typing import Annotated

import typer

from backend.commands.compare import picture_table
from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json
from backend.contracts import ComparisonEntry, PictureReport
from backend.errors import Code, StudioError
from backend.language import human_bytes
from backend.settings import load_settings
from backend.studio import Studio

app = typer.Typer(help="Comparisons that were made here.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="As `comparisons list` names it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Delete without asking.")]


@app.command("list")
def list_(
    search: Annotated[str, typer.Option(help="In title, prompts, model or variants.")] = "",
    limit: Annotated[int, typer.Option(min=1)] = 30,
    as_json: Json = False,
) -> None:
    """All of them, the newest first."""
    with failing_plainly(as_json):
        found = Studio(load_settings()).compare.list(None, search, limit)
        data = [entry.model_dump(mode="json") for entry in found]
        answer(as_json, {"comparisons": data}, table([_row(entry) for entry in found]))


@app.command()
def show(comparison: Id, as_json: Json = False) -> None:
    """One of them: every figure."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        report = studio.compare.show(comparison, None)
        words = [report.title, str(studio.settings.outputs / comparison)]
        if isinstance(report, PictureReport):
            words += ["", picture_table(report)]
        answer(as_json, {"report": report.model_dump(mode="json")}, "\n".join(words))


@app.command()
def delete(comparison: Id, yes: Yes = False, as_json: Json = False) -> None:
    """Delete one with its pictures."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        report = studio.compare.show(comparison, None)
        if not yes and as_json:
            raise StudioError(Code.INVALID_REQUEST, problem="--yes is missing")
        if not yes:
            typer.confirm(f"Delete “{report.title}”?", abort=True)
        studio.compare.delete(comparison, None)
        answer(as_json, {"deleted": comparison}, f"{report.title}: deleted")


def _row(entry: ComparisonEntry) -> tuple[str, ...]:
    return (
        entry.id,
        entry.state,
        entry.subject,
        ", ".join(entry.variants),
        human_bytes(entry.size_bytes),
        entry.problem.message() if entry.problem else entry.title[:60],
    )
