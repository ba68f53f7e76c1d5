"""`quantize`: a language model to a checkpoint in lower precision, a picture model to engines."""

from pathlib import Path
from typing import Annotated, Any

import typer

from backend.commands import quantize_images
from backend.commands.output import answer, error_data, failing_plainly, table
from backend.commands.pictures import Json, parse_size
from backend.commands.session import follow, with_worker
from backend.contracts import (
    QuantizeImagesRequest,
    QuantizePlan,
    QuantizeRequest,
    QuantizeResult,
    Runtime,
)
from backend.language import human_bytes
from backend.quantize.language.texts import BUILT_IN, keep_rows, read_rows
from backend.settings import load_settings
from backend.studio import Studio

LANGUAGE, PICTURES = "Language models", "Picture models"


def _option(panel: str, words: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=words, rich_help_panel=panel, **more)


Model = Annotated[str, typer.Option(help="A folder, a model of the studio, or a hub repository.")]
Recipe = Annotated[str, typer.Option(help="As --list names it.")]
Calibration = Annotated[
    str | None,
    typer.Option(
        help="Of a language model: general, demo-chat, or a .jsonl or .txt file of your own. "
        "Of a picture model: a file with a prompt a line."
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(min=1, max=4096, help="Sequences to calibrate on, or pictures to watch."),
]
Plan = Annotated[bool, typer.Option("--plan", help="Only say what it would take.")]
List = Annotated[bool, typer.Option("--list", help="Only list the recipes for the model.")]

Kv = Annotated[str | None, _option(LANGUAGE, "none, fp8_cast or fp8.", "--kv-cache")]
LeaveOut = Annotated[
    list[str] | None,
    _option(LANGUAGE, "Pattern of modules that stay as they are; repeatable."),
]
Evaluation = Annotated[
    Path | None,
    _option(LANGUAGE, "File to score on; left out: rows held back from the text."),
]
Length = Annotated[int | None, _option(LANGUAGE, "Tokens of each sequence.", min=16, max=8192)]
Batch = Annotated[int | None, _option(LANGUAGE, "Sequences at once.", min=1, max=64)]
ScoreTokens = Annotated[int | None, _option(LANGUAGE, "Tokens to score at the most.", min=64)]
Bits = Annotated[
    float | None,
    _option(LANGUAGE, "Experimental: leave sensitive layers in 16 bits, up to this average."),
]
Out = Annotated[Path | None, _option(LANGUAGE, "Folder to write; left out: the studio's own.")]
Replace = Annotated[bool, _option(LANGUAGE, "Overwrite a checkpoint that is there.", "--replace")]

Level = Annotated[float | None, _option(PICTURES, "What is quantised: 1, 2, 2.5, 3 or 4.")]
Alpha = Annotated[float | None, _option(PICTURES, "SmoothQuant (INT8), 0 to 1.")]
Percentile = Annotated[float | None, _option(PICTURES, "Of convolutions' inputs (INT8).")]
CalibrationSteps = Annotated[int | None, _option(PICTURES, "Steps of each picture to watch.")]
To = Annotated[Runtime | None, _option(PICTURES, "Left out: what fits this machine.", "--runtime")]
Target = Annotated[
    str | None, _option(PICTURES, "GPU to build for, like sm121; left out: this machine's.")
]
Prompts = Annotated[
    Path | None,
    _option(PICTURES, "Prompts to compare, one a line; left out: some not calibrated on."),
]
Count = Annotated[int | None, _option(PICTURES, "Pictures to compare.")]
Seed = Annotated[int | None, _option(PICTURES, "Of the first picture.")]
Steps = Annotated[int | None, _option(PICTURES, "Left out: the model's own.")]
Guidance = Annotated[float | None, _option(PICTURES, "Left out: the model's own.")]
Size = Annotated[str | None, _option(PICTURES, "Left out: the model's own.", metavar="WxH")]


def quantize(
    model: Model,
    recipe: Recipe = "nvfp4",
    calibration: Calibration = None,
    samples: Samples = None,
    kv_cache: Kv = None,
    leave_out: LeaveOut = None,
    evaluation: Evaluation = None,
    length: Length = None,
    batch: Batch = None,
    score_tokens: ScoreTokens = None,
    effective_bits: Bits = None,
    out: Out = None,
    replace: Replace = False,
    level: Level = None,
    alpha: Alpha = None,
    percentile: Percentile = None,
    calibration_steps: CalibrationSteps = None,
    runtime: To = None,
    target: Target = None,
    prompts: Prompts = None,
    count: Count = None,
    seed: Seed = None,
    steps: Steps = None,
    guidance: Guidance = None,
    size: Size = None,
    plan: Plan = False,
    list_: List = False,
    as_json: Json = False,
) -> None:
    """Quantise a model and measure what that costs: a language model to a Hugging Face checkpoint,
    scored on text that it was not calibrated on; a picture model to engines, whose pictures are
    compared with the reference's."""
    of_language = {
        "kv_cache": kv_cache,
        "leave_out": tuple(leave_out) if leave_out else None,
        "length": length,
        "batch": batch,
        "evaluation_tokens": score_tokens,
        "effective_bits": effective_bits,
        "out": None if out is None else str(out.expanduser().absolute()),
        "replace": replace or None,
    }
    of_pictures = {
        "level": level,
        "smoothquant_alpha": alpha,
        "percentile": percentile,
        "calibration_steps": calibration_steps,
        "runtime": runtime,
        "target": target,
        "count": count,
        "seed": seed,
        "steps": steps,
        "guidance": guidance,
    }
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        if studio.quantize_images.knows(model):
            _refuse("a picture model", of_language | {"evaluation": evaluation})
            if list_:
                quantize_images.list_recipes(studio, model, as_json)
                return
            width, height = parse_size(size) if size is not None else (None, None)
            values = _given(of_pictures) | {
                "model": model,
                "recipe": recipe,
                "samples": samples,
                "calibration": quantize_images.kept(
                    studio, None if calibration is None else Path(calibration)
                ),
                "prompts": quantize_images.kept(studio, prompts),
                "width": width,
                "height": height,
            }
            pictures = QuantizeImagesRequest.model_validate(values)
            go = quantize_images.show_plan if plan else quantize_images.run
            go(studio, pictures, as_json)
            return
        _refuse("a language model", of_pictures | {"prompts": prompts, "size": size})
        name = _model(model)
        if list_:
            _list(studio, name, as_json)
            return
        text = calibration or "general"
        values = _given(of_language | {"samples": samples}) | {
            "model": name,
            "recipe": recipe,
            "calibration": text if text in BUILT_IN else _kept(studio, text),
            "evaluation": None if evaluation is None else _kept(studio, str(evaluation)),
        }
        request = QuantizeRequest.model_validate(values)
        if plan:
            found = studio.quantize.plan(request, None)
            answer(as_json, {"plan": _plan_data(found)}, _plan_words(found))
            return
        with with_worker(studio):
            job = follow(studio, studio.quantize.quantize(request, None))
        result = QuantizeResult.model_validate(job.result)
        answer(as_json, {"job": job.id, **result.model_dump(mode="json")}, _words(result))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _refuse(kind: str, options: dict[str, Any]) -> None:
    """Refuse options that say nothing of this kind of model. Raises typer.BadParameter."""
    names = ", ".join(_given(options))
    if names:
        raise typer.BadParameter(f"{kind} has no {names}")


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
