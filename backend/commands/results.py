"""`results`: what was quantised, and what is done with it."""

import asyncio
from typing import Annotated

import typer

from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json
from backend.commands.quantize_images import quality_words
from backend.commands.session import follow, with_worker
from backend.contracts import Agreement, PicturesView, PushResult, ResultEntry, ResultView
from backend.errors import Code, StudioError
from backend.language import human_bytes, human_seconds
from backend.settings import load_settings
from backend.studio import Studio

app = typer.Typer(help="What was quantised here.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="As `results list` names it.")]
Repo = Annotated[str, typer.Option(help="Repository of the hub, owner/name.")]
Public = Annotated[bool, typer.Option("--public", help="For everybody to see.")]
Existing = Annotated[
    bool, typer.Option("--existing", help="Into a repository that has files already.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Delete without asking.")]
Server = Annotated[str | None, typer.Option(help="Key of the checkpoint's server.")]
Reference = Annotated[str | None, typer.Option(help="Key of the original's server.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All of them, the newest first."""
    with failing_plainly(as_json):
        found = Studio(load_settings()).results.list(None)
        data = [entry.model_dump(mode="json") for entry in found]
        answer(as_json, {"results": data}, table([_row(entry) for entry in found]))


@app.command()
def show(key: Key, as_json: Json = False) -> None:
    """One of them whole: sizes, quality, phases, answers, and commands to copy."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        found = studio.results.show(key, None)
        if found.entry.problem is not None:
            problem = found.entry.problem
            raise StudioError(problem.code, problem.detail, **problem.values)
        if isinstance(found, PicturesView):
            answer(as_json, {"result": found.model_dump(mode="json")}, _pictures(found))
            return
        commands = studio.results.serve_commands(key, None)
        data = found.model_dump(mode="json") | {
            "serve": [
                each.model_dump(mode="json", exclude={"reason"}) | {"reason": each.reason.render()}
                for each in commands
            ]
        }
        answer(as_json, {"result": data}, _words(found))


@app.command()
def push(
    key: Key,
    repo: Repo,
    public: Public = False,
    existing: Existing = False,
    as_json: Json = False,
) -> None:
    """Put a checkpoint on the Hugging Face hub, for yourself alone unless --public is given."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        job = studio.results.push(key, repo, None, private=not public, existing=existing)
        with with_worker(studio):
            done = follow(studio, job)
        found = PushResult.model_validate(done.result)
        answer(as_json, {"job": job, "push": found.model_dump(mode="json")}, found.url)


@app.command()
def delete(key: Key, yes: Yes = False, as_json: Json = False) -> None:
    """Delete a checkpoint."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        found = studio.results.show(key, None).entry
        size = human_bytes(found.size_bytes)
        if not yes and as_json:
            raise StudioError(Code.INVALID_REQUEST, problem="--yes is missing")
        if not yes:
            typer.confirm(f"Delete {found.path} ({size})?", abort=True)
        gone = studio.results.delete(key, None)
        data = {"name": gone.name, "freed_bytes": gone.size_bytes}
        answer(as_json, {"deleted": data}, f"{gone.name}: {size} freed")


@app.command()
def agree(
    key: Key, server: Server = None, reference: Reference = None, as_json: Json = False
) -> None:
    """Put the same prompts to running servers of a checkpoint and of its original."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        found = asyncio.run(studio.results.agree(key, None, server, reference))
        answer(as_json, {"agreement": found.model_dump(mode="json")}, _agreement(found))


def _row(entry: ResultEntry) -> tuple[str, ...]:
    if entry.size is not None and entry.pictures is not None:
        return (
            entry.key,
            entry.title,
            f"{human_bytes(entry.size.source_bytes)} -> {human_bytes(entry.size.whole_bytes)}",
            quality_words(entry.pictures),
        )
    if entry.size is None or entry.quality is None:
        problem = entry.problem.message() if entry.problem else ""
        return (entry.key, "", human_bytes(entry.size_bytes), problem)
    size, quality = entry.size, entry.quality
    scope = " (weights only)" if quality.scope == "weights_only" else ""
    return (
        entry.key,
        entry.title,
        f"{human_bytes(size.source_bytes)} -> {human_bytes(size.whole_bytes)}",
        f"perplexity {quality.perplexity_reference:.3f} -> {quality.perplexity:.3f}{scope}",
    )


def _pictures(found: PicturesView) -> str:
    assert found.manifest is not None
    lines = ["  ".join(_row(found.entry)), found.entry.path, ""]
    pairs = [
        (pair.quantised, "the same" if pair.psnr_db is None else f"{pair.psnr_db:.1f} dB",
         f"{pair.ssim:.4f}", pair.prompt)
        for pair in found.manifest.pictures
    ]  # fmt: skip
    return "\n".join([*lines, table(pairs), "", found.command or ""])


def _words(found: ResultView) -> str:
    assert found.manifest is not None
    made = found.manifest
    lines = ["  ".join(_row(found.entry)), found.entry.path, ""]
    costs = [
        (name, human_seconds(cost.seconds), human_bytes(cost.peak_memory_bytes))
        for name, cost in made.phases.items()
    ]
    lines += [table(costs), ""]
    lines += [table([(file.name, human_bytes(file.size_bytes)) for file in found.files]), ""]
    for each in made.answers.answers if made.answers else ():
        lines += [f"> {each.prompt}", f"  before: {each.before}", f"  after:  {each.after}", ""]
    if found.agreement is not None:
        lines += [_agreement(found.agreement), ""]
    lines.append(found.command or "Its request is not recorded.")
    return "\n".join(lines)


def _agreement(found: Agreement) -> str:
    tokens = "" if found.leading_tokens is None else f", {100 * found.leading_tokens:.1f} % tokens"
    return (
        f"{found.server} against {found.reference}: {found.same} of {len(found.answers)} answers "
        f"the same; {100 * found.leading_characters:.1f} % characters{tokens} before they part"
    )
