"""`compare --models`: the same prompts to several servers of language models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands.compare_run import places, run
from backend.commands.output import answer, table
from backend.compare.prompts import BUILTIN, read_list
from backend.contracts import ComparedServer, CompareTextRequest, Sampling, TextReport
from backend.language import human_bytes, human_seconds
from backend.studio import Studio

TITLES = (
    "model", "server", "precision", "first token", "tokens/s", "peak", "weights",
    "agreement", "same", "perplexity", "KL", "",
)  # fmt: skip
PANEL = "Answers of language models"


def _option(words: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=words, rich_help_panel=PANEL, **more)


Models = Annotated[
    str,
    _option(
        "Two to four, in place of --precisions: each MODEL, MODEL@transformers (or another "
        "server), MODEL@simulated or outside; the first is the reference.",
        metavar="A,B,...",
    ),
]
System = Annotated[str, _option("What stands before every prompt.")]
Temperature = Annotated[float | None, _option("Left out: 0, greedy.")]
MaxTokens = Annotated[int | None, _option("Longest answer; left out: 256.")]
Together = Annotated[bool, _option("Ask all at once, where memory allows.", "--together")]
USUAL = CompareTextRequest(variants=(), prompts=()).sampling


def asked_for(
    studio: Studio,
    models: str,
    prompts: Sequence[str],
    listed: str,
    system: str = "",
    temperature: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
    together: bool = False,
) -> CompareTextRequest:
    """The request of a command; `listed` is a file with prompts, or `builtin`.

    Raises StudioError as `CompareText.variants` does, PROMPTS_UNREADABLE.
    """
    more: tuple[str, ...] = ()
    if listed == BUILTIN:
        more = studio.compare_text.questions()
    elif listed:
        more = read_list(Path(listed))
    sampling = Sampling(
        temperature=USUAL.temperature if temperature is None else temperature,
        max_tokens=USUAL.max_tokens if max_tokens is None else max_tokens,
        seed=seed,
    )
    return CompareTextRequest(
        variants=studio.compare_text.variants(filter(None, models.split(",")), None),
        prompts=(*prompts, *more),
        system=system,
        sampling=sampling,
        together=together,
    )


def compare_text(
    studio: Studio, request: CompareTextRequest, out: Path | None, as_json: bool
) -> None:
    """Run a comparison and say what came of it. Raises StudioError as it fails."""
    studio.compare_text.check(request, None)
    report, place = run(studio, lambda: studio.compare_text.compare(request, None), out)
    assert isinstance(report, TextReport)
    data = places(report, place) | {
        "together": report.together,
        "apart_because": str(report.apart_because.code) if report.apart_because else None,
        "rows": list(studio.compare_text.rows(report)),
        "answers": [one.model_dump(mode="json") for one in report.answers],
    }
    words = [text_table(report), "", data["report"], data["html"]]
    if report.apart_because is not None:
        words.insert(1, report.apart_because.message())
    answer(as_json, data, "\n".join(words))


def text_table(report: TextReport) -> str:
    return table([TITLES, *(_line(server) for server in report.variants)])


def _line(server: ComparedServer) -> tuple[str, ...]:
    name = (server.model, str(server.kind), server.precision)
    note = "weights only, simulated" if server.simulated else ""
    if server.error is not None:
        note = f"{server.error.code}: {server.error.message()}"
    return (
        *name,
        human_seconds(server.ttft_s.median) if server.ttft_s else "-",
        f"{server.tokens_per_s.median:.1f}" if server.tokens_per_s else "-",
        human_bytes(server.peak_memory_bytes) if server.peak_memory_bytes else "-",
        human_bytes(server.weights_bytes) if server.weights_bytes else "-",
        f"{server.agreement:.1%}" if server.agreement is not None else "-",
        str(server.same) if server.same is not None else "-",
        f"{server.perplexity:.3f}" if server.perplexity is not None else "-",
        f"{server.kl_mean:.4f}" if server.kl_mean is not None else "-",
        note,
    )
