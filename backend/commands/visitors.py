"""`visitors link / reset`."""

from typing import Annotated

import typer

from backend.commands.output import answer, failing_plainly
from backend.commands.pictures import Json
from backend.contracts import VisitorsMade
from backend.language import say
from backend.settings import Settings, load_settings
from backend.studio import Studio
from backend.studio.visitors import addresses, host_key

app = typer.Typer(help="The host's side of visitors mode (serve --visitors).", no_args_is_help=True)


@app.command()
def link(
    host: Annotated[str | None, typer.Option(help="As given to serve.")] = None,
    port: Annotated[int | None, typer.Option(help="As given to serve.")] = None,
    as_json: Json = False,
) -> None:
    """The link that makes the browser which opens it the host's, and the one for visitors."""
    with failing_plainly(as_json):
        settings = load_settings(host=host, port=port)
        answer(as_json, {"links": _links(settings)}, words(settings))


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: Json = False
) -> None:
    """Delete all pictures, conversations and votes of visitors. Says first how many that are.

    With --json and without --yes it only says so.
    """
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        made = studio.visitors.made()
        if as_json and not yes:
            answer(True, {"would_go": made.model_dump()}, "")
            return
        if not yes:
            print(_told("visitors.would_go", made))
            typer.confirm("Delete them?", abort=True)
        done = studio.visitors.reset()
        told = _told("visitors.gone", done.gone)
        if done.left.visitors:
            told += "\n" + _told("visitors.left", done.left)
        answer(as_json, done.model_dump(), told)


def words(settings: Settings) -> str:
    """The links of visitors mode, to be read."""
    lines = []
    for each in _links(settings):
        lines += [f"For visitors: {each['visitors']}", f"For the host: {each['host']}"]
    return "\n".join(lines)


def _links(settings: Settings) -> list[dict[str, str]]:
    """Both links of every address that the page has."""
    key = host_key(settings.home)
    return [{"visitors": f"{each}/", "host": f"{each}/host/{key}"} for each in addresses(settings)]


def _told(key: str, made: VisitorsMade) -> str:
    return say(key, **made.model_dump())
