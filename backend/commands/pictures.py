"""`models` and `generate`."""

import re
import shutil
from pathlib import Path
from typing import Annotated

import typer

from backend.commands.output import answer, failing_plainly, table
from backend.commands.session import follow, with_worker
from backend.contracts import GenerateRequest, GenerateResult, Precision, Runtime, VerifyRequest
from backend.errors import Code, StudioError
from backend.language import human_bytes, human_seconds
from backend.settings import load_settings
from backend.studio import Studio, random_seed

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]


def models(
    as_json: Json = False,
    verify: Annotated[
        str, typer.Option(metavar="ID", help="Check this model's files and try it once.")
    ] = "",
) -> None:
    """List the models and where each of their variants stands on this machine."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        if verify:
            with with_worker(studio):
                job = follow(studio, studio.models.verify(VerifyRequest(model=verify), None))
            answer(as_json, {"verify": job.result}, f"{verify}: all files are whole.")
            return
        found = studio.models.all()
        data = {
            "models": [
                {
                    "id": model.id,
                    "name": model.name,
                    "family": model.family,
                    "licence": model.licence,
                    "size_bytes": model.size_bytes,
                    "variants": [
                        {
                            "precision": variant.precision,
                            "runtime": variant.runtime,
                            "state": variant.state,
                            "reason": variant.reason.render(),
                        }
                        for variant in model.variants
                    ],
                }
                for model in found
            ]
        }
        rows = [
            (model.id, variant.precision, variant.runtime, variant.state, variant.reason.render())
            for model in found
            for variant in model.variants
        ]
        answer(as_json, data, table(rows))


def generate(
    prompt: Annotated[str, typer.Option(help="What the pictures should show.")],
    model: str = "demo-flux",
    precision: Precision = Precision.FP32,
    runtime: Runtime = Runtime.TORCH,
    seed: Annotated[int | None, typer.Option(help="Left out: a random one.")] = None,
    steps: Annotated[int | None, typer.Option(help="Left out: the model's own.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Left out: the model's own.")] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Left out: the model's own.")] = "",
    count: int = 1,
    out: Annotated[Path | None, typer.Option(help="Folder to copy the pictures to.")] = None,
    negative_prompt: Annotated[
        str, typer.Option(help="What they should not show; for models like SDXL.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make pictures."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        limits = studio.models.find(model).limits
        width, height = parse_size(size) if size else (limits.native_width, limits.native_height)
        request = GenerateRequest(
            model=model,
            precision=precision,
            runtime=runtime,
            prompt=prompt,
            seed=random_seed() if seed is None else seed,
            steps=limits.default_steps if steps is None else steps,
            guidance=limits.default_guidance if guidance is None else guidance,
            width=width,
            height=height,
            count=count,
            negative_prompt=negative_prompt,
        )
        studio.pictures.check(request)
        if out is not None:
            make_folder(out)
        with with_worker(studio):
            job = follow(studio, studio.pictures.generate(request, None))
        result = GenerateResult.model_validate(job.result)
        paths = [_delivered(Path(image.path), out) for image in result.images]
        images = [
            {"path": str(path), "seed": image.seed}
            for path, image in zip(paths, result.images, strict=True)
        ]
        data = {
            "job": job.id,
            "images": images,
            "metrics": result.metrics.model_dump(mode="json"),
        }
        metrics = result.metrics
        words = (
            f"{precision} through {runtime} on {metrics.device}: "
            f"{human_seconds(metrics.total_s)}, {metrics.step_ms:.0f} ms a step, "
            f"{human_bytes(metrics.peak_memory_bytes)} at the peak"
        )
        answer(as_json, data, "\n".join([*map(str, paths), words]))


def parse_size(size: str) -> tuple[int, int]:
    """Width and height of `WxH`. Raises StudioError INVALID_REQUEST."""
    match = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", size.strip())
    if match is None:
        raise StudioError(
            Code.INVALID_REQUEST, problem=f"the size {size[:40]!r} is not WIDTHxHEIGHT"
        )
    return int(match[1]), int(match[2])


def make_folder(folder: Path) -> None:
    """Raises StudioError FOLDER_NOT_WRITABLE."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudioError(Code.FOLDER_NOT_WRITABLE, str(error), path=str(folder)) from error


def _delivered(file: Path, out: Path | None) -> Path:
    if out is None:
        return file
    try:
        return Path(shutil.copy2(file, out / file.name)).absolute()
    except OSError as error:
        raise StudioError(Code.FOLDER_NOT_WRITABLE, str(error), path=str(out)) from error
