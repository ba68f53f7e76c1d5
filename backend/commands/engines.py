"""`engine build / list / inspect / delete`, and those of backend/commands/networks.py."""

from collections import Counter
from typing import Annotated

import typer

from backend.commands import networks
from backend.commands.engine_build import build
from backend.commands.engine_words import as_data, rows_of
from backend.commands.networks import EngineId
from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json
from backend.commands.session import follow, with_worker
from backend.contracts import EngineView
from backend.language import human_bytes
from backend.settings import load_settings
from backend.studio import Studio

app = typer.Typer(help="Engines: build, list, look inside, delete.", no_args_is_help=True)
for command in (
    build,
    networks.look,
    networks.run,
    networks.text,
    networks.export_language_model,
):
    app.command()(command)


@app.command("list")
def list_engines(as_json: Json = False) -> None:
    """Every engine, and where it stands on this machine."""
    with failing_plainly(as_json):
        found = Studio(load_settings()).engines.all()
        data = {"engines": [as_data(engine) for engine in found]}
        answer(as_json, data, table(rows_of(found)))


@app.command()
def inspect(
    engine_id: EngineId,
    times: Annotated[bool, typer.Option("--times", help="Measure each layer first.")] = False,
    as_json: Json = False,
) -> None:
    """The layers of an engine, what precision each has, and how long each takes."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        if times:
            with with_worker(studio):
                follow(studio, studio.engines.time_layers(engine_id, None))
        view = studio.engines.inspect(engine_id)
        layers = [layer.model_dump(mode="json") for layer in view.layers]
        data = {
            "engine": as_data(view.engine) | {"layers": layers},
            "source": view.source,
            "fused": [layer.model_dump(mode="json") for layer in view.fused],
            "command": view.command,
        }
        answer(as_json, data, _layer_table(view))


def _layer_table(view: EngineView) -> str:
    """The layers before fusion by kind and precision, and how many are left after it."""
    counts = Counter((layer.kind, layer.precision) for layer in view.layers)
    sizes: Counter[tuple[str, str]] = Counter()
    for layer in view.layers:
        sizes[layer.kind, layer.precision] += layer.bytes
    rows = [
        (kind, precision, str(count), human_bytes(sizes[kind, precision]))
        for (kind, precision), count in counts.most_common()
    ]
    words = table([("kind", "precision", "layers", "weights"), *rows])
    if not view.fused:
        return words
    return f"{words}\n\n{len(view.layers)} layers before fusion, {len(view.fused)} after it."


@app.command()
def delete(
    engine_id: EngineId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete an engine."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        size = studio.engines.inspect(engine_id).engine.manifest.size_bytes
        if not yes and not as_json:
            typer.confirm(f"Delete {engine_id} ({human_bytes(size)})?", abort=True)
        freed = studio.engines.delete(engine_id)
        answer(as_json, {"freed_bytes": freed}, f"{human_bytes(freed)} freed.")
