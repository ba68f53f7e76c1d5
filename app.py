"""Spark Studio's door: `spark-studio`, or `python app.py`. `serve` is the default command."""

import logging
import os
import socket
import sys

import typer

from backend.commands import (
    chat,
    compare,
    comparisons,
    engines,
    fetch,
    jobs,
    machine,
    pictures,
    quantize,
    results,
    storage,
    visitors,
)

app = typer.Typer(
    help="Make pictures on an NVIDIA DGX Spark, an RTX GPU, or no GPU at all.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    machine.serve, machine.worker, machine.doctor, machine.settings, machine.bench,
    pictures.models, pictures.generate, chat.chat, fetch.fetch, quantize.quantize,
    compare.compare, storage.storage, storage.clean,
):  # fmt: skip
    app.command()(command)
app.add_typer(engines.app, name="engine")
app.add_typer(jobs.app, name="jobs")
app.add_typer(chat.app, name="servers")
app.add_typer(results.app, name="results")
app.add_typer(comparisons.app, name="comparisons")
app.add_typer(visitors.app, name="visitors")


@app.command(hidden=True)
def web(descriptor: int) -> None:
    """The web process of `serve`, on a socket that is already listening."""
    import uvicorn

    from backend.jobs.children import die_with_parent
    from backend.settings import load_settings
    from backend.studio import Studio
    from ui.app import create_app

    die_with_parent()
    studio = Studio(load_settings())
    config = uvicorn.Config(
        create_app(studio), log_level="warning", timeout_graceful_shutdown=2, lifespan="on"
    )
    listener = socket.socket(fileno=descriptor)
    host, port = listener.getsockname()[:2]
    print(f"Spark Studio is at http://{host}:{port}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])
    studio.close()


def main() -> None:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] != "--help"):
        arguments = ["serve", *arguments]
    app(arguments, prog_name="spark-studio")


if __name__ == "__main__":
    main()
