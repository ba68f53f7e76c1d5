"""`compare`: the same pictures by several variants of a model, side by side."""

from pathlib import Path
from typing import Annotated

import typer

from backend.commands import compare_text
from backend.commands.compare_run import places, refuse_others, run
from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json, parse_size
from backend.compare.order import MAX_PICTURES
from backend.compare.prompts import BUILTIN, BUILTIN_COUNT, read_list
from backend.compare.report import MAX_REPORT_BYTES
from backend.contracts import ComparedVariant, CompareRequest, PictureReport, Report, TextReport
from backend.errors import Code, StudioError
from backend.language import human_bytes, human_seconds
from backend.settings import load_settings
from backend.studio import Studio

MODEL = "demo-flux"
Precisions = Annotated[
    str,
    typer.Option(
        metavar="A,B,...",
        help="Two to six, each like fp8 or fp8/onnxruntime; the first is the reference.",
    ),
]
Prompt = Annotated[list[str] | None, typer.Option(help="Repeatable.")]
Prompts = Annotated[
    str,
    typer.Option(
        metavar="FILE|builtin", help="A .txt with one a line, a .jsonl, or the studio's own."
    ),
]
Seed = Annotated[list[int] | None, typer.Option(help="Repeatable; left out: 0.")]
Seeds = Annotated[
    int, typer.Option(min=1, max=MAX_PICTURES, help="That many, counting up from the last --seed.")
]
From = Annotated[
    Path | None,
    typer.Option("--from", help="A report.json or report.html: do just that on this machine."),
]
Steps = Annotated[int | None, typer.Option(help="Left out: the model's own.")]
Guidance = Annotated[float | None, typer.Option(help="Left out: the model's own.")]
Size = Annotated[str, typer.Option(metavar="WxH", help="Left out: the model's own.")]
Negative = Annotated[str, typer.Option(help="What they should not show; for models like SDXL.")]
EncodeEach = Annotated[
    bool, typer.Option("--encode-each", help="Each variant encodes the prompts for itself.")
]
KeepLoaded = Annotated[
    bool, typer.Option("--keep-loaded", help="Leave the variants in memory; no peak is measured.")
]
Out = Annotated[Path | None, typer.Option(help="Folder to copy report and pictures to.")]
OF_BOTH = frozenset({"out", "as_json"})
OF_TEXT = frozenset(
    {"models", "prompt", "prompts", "seed", "system", "temperature", "max_tokens", "together"}
)
OF_PICTURES = frozenset(
    {"model", "precisions", "prompt", "prompts", "seed", "seeds", "steps", "guidance", "size"}
    | {"negative_prompt", "encode_each", "keep_loaded"}
)
"""Names of this command's options."""


def compare(
    context: typer.Context,
    model: str = MODEL,
    precisions: Precisions = "",
    prompt: Prompt = None,
    prompts: Prompts = "",
    seed: Seed = None,
    seeds: Seeds = 1,
    steps: Steps = None,
    guidance: Guidance = None,
    size: Size = "",
    negative_prompt: Negative = "",
    encode_each: EncodeEach = False,
    keep_loaded: KeepLoaded = False,
    models: compare_text.Models = "",
    system: compare_text.System = "",
    temperature: compare_text.Temperature = None,
    max_tokens: compare_text.MaxTokens = None,
    together: compare_text.Together = False,
    from_: From = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Lay variants of a model side by side: the same pictures, what they took, how far they are."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        if from_ is not None:
            refuse_others(context, "--from", OF_BOTH | {"from_"})
            report = read_file(studio, from_)
            if isinstance(report, TextReport):
                compare_text.compare_text(studio, report.request, out, as_json)
            else:
                _pictures(studio, report.request, out, as_json, report)
            return
        if models:
            refuse_others(context, "--models", OF_BOTH | OF_TEXT)
            answers = compare_text.asked_for(
                studio, models, prompt or (), prompts, system, temperature, max_tokens,
                _one(seed), together,
            )  # fmt: skip
            compare_text.compare_text(studio, answers, out, as_json)
            return
        refuse_others(context, "a comparison of pictures", OF_BOTH | OF_PICTURES)
        limits = studio.models.find(model).limits
        width, height = parse_size(size) if size else (limits.native_width, limits.native_height)
        first = seed or [0]
        request = CompareRequest(
            model=model,
            variants=studio.compare.variants(filter(None, precisions.split(",")), model),
            prompts=(*(prompt or ()), *_listed(studio, prompts, model)),
            negative_prompt=negative_prompt,
            seeds=(*first, *range(first[-1] + 1, first[-1] + seeds)),
            steps=limits.default_steps if steps is None else steps,
            guidance=limits.default_guidance if guidance is None else guidance,
            width=width,
            height=height,
            share_embeddings=not encode_each,
            keep_loaded=keep_loaded,
        )
        _pictures(studio, request, out, as_json)


def read_file(studio: Studio, file: Path) -> Report:
    """Raises StudioError REPORT_UNREADABLE, REPORT_NEWER, INVALID_REQUEST."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_REPORT_BYTES + 1)
    except OSError as error:
        problem = f"{file} cannot be read"
        raise StudioError(Code.INVALID_REQUEST, str(error), problem=problem) from error
    return studio.compare.read(content)


def _pictures(
    studio: Studio,
    request: CompareRequest,
    out: Path | None,
    as_json: bool,
    repeated: PictureReport | None = None,
) -> None:
    studio.compare.check(request)
    report, place = run(studio, lambda: studio.compare.compare(request, None), out)
    assert isinstance(report, PictureReport)
    data = places(report, place) | {
        "rows": list(studio.compare.rows(report)),
        "images": [str(place / picture.file) for picture in report.pictures],
    }
    words = [picture_table(report), "", data["report"], data["html"]]
    if repeated is not None:
        same = repeated.fingerprint == report.fingerprint
        data["repeats"] = {
            "id": repeated.id,
            "device": repeated.machine.device,
            "same_weights": same,
        }
        if not same:
            words.append("The repeated report was made with other weights of this model.")
    answer(as_json, data, "\n".join(words))


def picture_table(report: PictureReport) -> str:
    titles = ("variant", "total", "step", "speed-up", "peak", "files", "PSNR", "SSIM", "")
    return table([titles, *(_line(variant) for variant in report.variants)])


def _line(variant: ComparedVariant) -> tuple[str, ...]:
    name = f"{variant.precision}/{variant.runtime}"
    if variant.error is not None:
        return (name, *[""] * 7, f"{variant.error.code}: {variant.error.message()}")
    files = variant.engine_bytes or variant.weights_bytes
    notes = [
        "simulated" if variant.simulated else "",
        "" if variant.warm else "first run",
        f"{variant.identical} of {variant.pictures} identical" if variant.identical else "",
    ]
    return (
        name,
        human_seconds(variant.total_s.median) if variant.total_s else "-",
        f"{variant.step_ms.median:.1f} ms" if variant.step_ms else "-",
        f"{variant.speed_up:.2f}x" if variant.speed_up else "-",
        human_bytes(variant.peak_memory_bytes) if variant.peak_memory_bytes else "-",
        human_bytes(files) if files else "-",
        f"{variant.psnr_db.median:.2f} dB" if variant.psnr_db else "-",
        f"{variant.ssim.median:.4f}" if variant.ssim else "-",
        ", ".join(filter(None, notes)),
    )


def _one(seeds: list[int] | None) -> int | None:
    """Raises StudioError INVALID_REQUEST: answers have one seed."""
    if seeds is not None and len(seeds) > 1:
        raise StudioError(Code.INVALID_REQUEST, problem="--models takes one --seed")
    return seeds[0] if seeds else None


def _listed(studio: Studio, prompts: str, model: str) -> tuple[str, ...]:
    if not prompts:
        return ()
    if prompts == BUILTIN:
        return studio.compare.builtin_prompts(model)[:BUILTIN_COUNT]
    return read_list(Path(prompts))
