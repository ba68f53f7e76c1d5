"""`quantize`: a language model to a checkpoint in lower precision."""

from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands.output import answer, error_data, failing_plainly, table
from backend.commands.pictures import Json
from backend.commands.session import follow, with_worker
from backend.contracts import QuantizePlan, QuantizeRequest, QuantizeResult
from backend.language import human_bytes
from backend.quantize.language.texts import BUILT_IN, keep_rows, read_rows
from backend.settings import load_settings
from backend.studio import Studio

Model = Annotated[str, typer.Option(help="A folder, a model of the studio, or a hub repository.")]
Recipe = Annotated[str, typer.Option(help="As --list names it.")]
Kv = Annotated[str, typer.Option("--kv-cache", help="none, fp8_cast or fp8.")]
LeaveOut = Annotated[
    list[str] | None,
    typer.Option(help="Pattern of modules that stay as they are; repeatable."),
]
Calibration = Annotated[
    str, typer.Option(help="general, demo-chat, or a .jsonl or .txt file of your own.")
]
Evaluation = Annotated[
    Path | None, typer.Option(help="File to score on; left out: rows held back from the text.")
]
Samples = Annotated[int, typer.Option(min=1, max=4096, help="Sequences to calibrate on.")]
Length = Annotated[int, typer.Option(min=16, max=8192, help="Tokens of each.")]
Batch = Annotated[int, typer.Option(min=1, max=64, help="Sequences at once.")]
ScoreTokens = Annotated[int, typer.Option(min=64, help="Tokens to score at the most.")]
Bits = Annotated[
    float | None,
    typer.Option(help="Experimental: leave sensitive layers in 16 bits, up to this average."),
]
Out = Annotated[Path | None, typer.Option(help="Folder to write; left out: the studio's own.")]
Replace = Annotated[bool, typer.Option("--replace", help="Overwrite a checkpoint that is there.")]
Plan = Annotated[bool, typer.Option("--plan", help="Only say what it would take.")]
List = Annotated[bool, typer.Option("--list", help="Only list the recipes for the model.")]


def quantize(
    model: Model,
    recipe: Recipe = "nvfp4",
    kv_cache: Kv = "none",
    leave_out: LeaveOut = None,
    calibration: Calibration = "general",
    evaluation: Evaluation = None,
    samples: Samples = 128,
    length: Length = 512,
    batch: Batch = 4,
    score_tokens: ScoreTokens = 4096,
    effective_bits: Bits = None,
    out: Out = None,
    replace: Replace = False,
    plan: Plan = False,
    list_: List = False,
    as_json: Json = False,
) -> None:
    """Quantise a language model, score it on text it was not calibrated on, and write it as a
    Hugging Face checkpoint."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        name = _model(model)
        if list_:
            _list(studio, name, as_json)
            return
        request = QuantizeRequest(
            model=name,
            recipe=recipe,
            kv_cache=kv_cache,
            leave_out=tuple(leave_out or ()),
            calibration=calibration if calibration in BUILT_IN else _kept(studio, calibration),
            evaluation=None if evaluation is None else _kept(studio, str(evaluation)),
            samples=samples,
            length=length,
            batch=batch,
            evaluation_tokens=score_tokens,
            effective_bits=effective_bits,
            out=None if out is None else str(out.expanduser().absolute()),
            replace=replace,
        )
        if plan:
            found = studio.quantize.plan(request, None)
            answer(as_json, {"plan": _plan_data(found)}, _plan_words(found))
            return
        with with_worker(studio):
            job = follow(studio, studio.quantize.quantize(request, None))
        result = QuantizeResult.model_validate(job.result)
        answer(as_json, {"job": job.id, **result.model_dump(mode="json")}, _words(result))


def _model(name: str) -> str:
    """A folder by its whole path, so that the worker finds it too."""
    folder = Path(name).expanduser()
    return str(folder.absolute()) if (folder / "config.json").is_file() else name


def _kept(studio: Studio, file: str) -> str:
    return keep_rows(studio.settings.home, read_rows(Path(file)))


def _list(studio: Studio, model: str, as_json: bool) -> None:
    choices = studio.quantize.recipes(model, None)
    data = [
        choice.model_dump(mode="json", exclude={"reason", "quality"})
        | {"reason": choice.reason.render(), "quality": choice.quality.render()}
        for choice in choices
    ]
    rows = [
        (
            choice.name,
            human_bytes(choice.size.whole_bytes) if choice.size else "",
            ", ".join(choice.parts) or "-",
            choice.reason.render(),
        )
        for choice in choices
    ]
    answer(as_json, {"recipes": data}, table(rows))


def _plan_data(plan: QuantizePlan) -> dict[str, Any]:
    data = plan.model_dump(mode="json", exclude={"checks"})
    data["checks"] = [
        {"name": check.name, "status": check.status, "detail": check.detail.render()}
        | ({"error": error_data(check.error)} if check.error else {})
        for check in plan.checks
    ]
    return data


def _plan_words(plan: QuantizePlan) -> str:
    return table([(check.status, check.name, check.detail.render()) for check in plan.checks])


def _words(result: QuantizeResult) -> str:
    made, quality = result.checkpoint, result.quality
    scope = "weights only, " if quality.scope == "weights_only" else ""
    return (
        f"{made.path}\n{human_bytes(made.source_size_bytes)} -> {human_bytes(made.size_bytes)} "
        f"({made.ratio_whole:.2f}x; quantised layers {made.ratio_quantised_layers:.2f}x)\n"
        f"{scope}perplexity {quality.perplexity_reference:.3f} -> {quality.perplexity:.3f}, "
        f"KL divergence {quality.kl_mean:.4f} nats, same likeliest token in "
        f"{100 * quality.top1_agreement:.1f} % of {quality.tokens} tokens"
    )
