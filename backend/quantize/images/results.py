"""What was found in a finished job's folder, and the command that asks for the same."""

import shlex
from pathlib import Path

from backend.contracts import (
    ImageQuantizeManifest,
    QuantizeImagesRequest,
    ResultEntry,
)
from backend.errors import Code, StudioError
from backend.jobs.store import JobRow
from backend.quantize.images.phases import read_manifest
from backend.quantize.prompts import prompts_folder
from backend.quantize.results import files_of, option_words

PICTURES = "pictures:"
OPTIONS = (
    *(("level", "--level"), ("smoothquant_alpha", "--alpha"), ("percentile", "--percentile")),
    *(("samples", "--samples"), ("calibration_steps", "--calibration-steps")),
    *(("runtime", "--runtime"), ("target", "--target")),
    *(("count", "--count"), ("seed", "--seed"), ("steps", "--steps"), ("guidance", "--guidance")),
)


def made_manifest(row: JobRow, folder: Path) -> ImageQuantizeManifest:
    """Raises StudioError CHECKPOINT_MANIFEST_BROKEN."""
    try:
        return read_manifest(folder)
    except (OSError, ValueError) as error:
        name = row.title
        raise StudioError(Code.CHECKPOINT_MANIFEST_BROKEN, str(error)[:4000], name=name) from error


def pictures_entry(row: JobRow, folder: Path) -> ResultEntry:
    """What a list shows; of one whose manifest cannot be read, why."""
    entry = ResultEntry(
        key=f"{PICTURES}{row.id}",
        name=row.title,
        path=str(folder),
        made_at=row.finished_at or row.created_at,
        size_bytes=sum(file.size_bytes for file in files_of(folder)),
        mine=True,
    )
    try:
        manifest = made_manifest(row, folder)
    except StudioError as error:
        return entry.model_copy(update={"problem": error.info})
    told = {
        "made_at": manifest.made_at,
        "source": manifest.request.model,
        "recipe": manifest.request.recipe,
        "title": manifest.request.recipe.upper(),
        "size": manifest.size,
        "pictures": manifest.quality,
    }
    return entry.model_copy(update=told)


def command_of(request: QuantizeImagesRequest, home: Path) -> str:
    """The line that asks for just this at a shell; what is as it is by default is left out."""
    words = ["spark-studio", "quantize", "--model", request.model, "--recipe", request.recipe]
    plain = QuantizeImagesRequest(model=request.model)
    words += option_words(request, plain, OPTIONS)
    if request.width and request.height:
        words += ["--size", f"{request.width}x{request.height}"]
    for digest, option in ((request.calibration, "--calibration"), (request.prompts, "--prompts")):
        if digest is not None:
            words += [option, str(prompts_folder(home) / f"{digest}.txt")]
    return shlex.join(words)
