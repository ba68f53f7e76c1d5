"""`serve`, `worker`, `doctor` and `settings`."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json
from backend.errors import Code, StudioError
from backend.jobs.children import ROOT
from backend.jobs.supervisor import Charge, listen, supervise, worker_command, worker_names
from backend.settings import PREFIX, Settings, load_settings

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
    auth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Lines of name:password.")
    ] = None,
    visitors: Annotated[
        bool | None,
        typer.Option("--visitors", help="Lock everything but pictures, chat and votes."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start the studio: the page, and a worker for each GPU."""
    from backend.hardware.gpu import visible_gpus

    with failing_plainly(as_json):
        settings = load_settings(host=host, port=port, auth=auth, visitors=visitors)
        locked = settings.auth is not None or settings.visitors
        if settings.host not in LOOPBACK and not locked:
            raise StudioError(Code.ADDRESS_NOT_LOCAL, host=settings.host)
        _check_auth_file(settings)
        listener = listen(settings.host, settings.port)
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        os.environ |= _as_environment(settings)
        if settings.visitors:
            from backend.commands.visitors import words

            print(words(settings), flush=True)
        descriptor = listener.fileno()
        door = [sys.executable, str(ROOT / "app.py"), "web", str(descriptor)]
        web = Charge("web", door, inherited=(descriptor,))
        workers = [
            Charge(name, worker_command(name, index))
            for name, index in worker_names(visible_gpus())
        ]
        supervise([web, *workers], settings.stop_grace_s)


def _check_auth_file(settings: Settings) -> None:
    if settings.auth is None:
        return
    try:
        lines = settings.auth.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StudioError(Code.SETTING_INVALID, name="auth", problem=str(error)) from error
    if not any(":" in line for line in lines):
        problem = f"{settings.auth} holds no line of name:password"
        raise StudioError(Code.SETTING_INVALID, name="auth", problem=problem)


def _as_environment(settings: Settings) -> dict[str, str]:
    """What the processes of the studio must agree on, whoever set it."""
    given = {"HOME": str(settings.home), "HOST": settings.host, "PORT": str(settings.port)}
    if settings.visitors:
        given["VISITORS"] = "true"
    if settings.auth is not None:
        given["AUTH"] = str(settings.auth.absolute())
    return {PREFIX + name: value for name, value in given.items()}


def worker(name: str = "", gpu: int = 0) -> None:
    """Start one more worker on the same database."""
    from backend.jobs.worker import run

    with failing_plainly(False):
        run(load_settings(), name or f"{socket.gethostname()}-{os.getpid()}", gpu)


def doctor(
    as_json: Json = False,
    hub: Annotated[bool, typer.Option(help="Ask the hub about gated models too.")] = False,
    report: Annotated[bool, typer.Option(help="All facts for a bug report, as JSON.")] = False,
) -> None:
    """Look at everything that the studio needs, and say what to do where something is amiss."""
    from backend.hardware import doctor as examination

    with failing_plainly(as_json):
        settings = load_settings()
        checks = examination.run(settings, hub)
        data = {
            "checks": [
                {"name": c.name, "status": str(c.status), "detail": c.detail, "hint": c.hint}
                for c in checks
            ]
        }
        if report:
            answer(True, examination.report(settings.home, checks), "")
            return
        rows = []
        for check in checks:
            rows.append((str(check.status).upper(), check.name, check.detail))
            if check.hint:
                rows.append(("", "", f"→ {check.hint}"))
        answer(as_json, data, table(rows))
        if any(str(check.status) == "fail" for check in checks):
            sys.exit(1)


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="startup, first_token, latency, cancel, overhead, loop, viewers, page, "
            "precisions, chat, quantize, compare, votes"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the studio on this machine, side by side with the plain libraries."""
    import benchmarks
    from benchmarks import measure

    unknown = set(names or ()) - set(benchmarks.NAMES)
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: there are {', '.join(benchmarks.NAMES)}"
        )
    results = []
    for result in benchmarks.run(names or []):
        results.append(result)
        if not as_json:
            print(measure.line(result), flush=True)
    if as_json:
        print(measure.as_json(results))
    if not all(result.kept for result in results):
        raise typer.Exit(1)


def settings(as_json: Json = False) -> None:
    """List every setting, its value and what it means."""
    with failing_plainly(as_json):
        current = load_settings()
        documented = Settings.model_fields
        values = current.model_dump(mode="json")
        data = {
            "settings": {
                name: {
                    "value": values[name],
                    "variable": PREFIX + name.upper(),
                    "meaning": field.description,
                }
                for name, field in documented.items()
            }
        }
        rows = [
            (PREFIX + name.upper(), str(values[name]), field.description or "")
            for name, field in documented.items()
        ]
        token = "set" if os.environ.get("HF_TOKEN") else "not set"
        rows.append(("HF_TOKEN", token, "Read by huggingface_hub; never stored by the studio."))
        answer(as_json, data, table(rows))
