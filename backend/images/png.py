"""PNG files that carry the request they were made from."""

import json
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from pydantic import ValidationError

from backend.contracts import GenerateRequest
from backend.errors import Code, StudioError

KEY = "spark_studio"
MAX_PIXELS = 64_000_000


def parameters_text(request: GenerateRequest) -> str:
    """The request as people and other tools read it, in the form that is usual for `parameters`."""
    negative = f"Negative prompt: {request.negative_prompt}\n" if request.negative_prompt else ""
    return (
        f"{request.prompt}\n{negative}"
        f"Steps: {request.steps}, CFG scale: {request.guidance}, Seed: {request.seed}, "
        f"Size: {request.width}x{request.height}, Model: {request.model}, "
        f"Precision: {request.precision}, Runtime: {request.runtime}"
    )


def save_png(image: Image.Image, file: Path, request: GenerateRequest) -> None:
    """Write losslessly under a temporary name, then rename. `request` is that of this one picture.

    Raises OSError.
    """
    info = PngInfo()
    info.add_itxt(KEY, request.model_dump_json())
    info.add_itxt("parameters", parameters_text(request))
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    try:
        image.save(unfinished, format="PNG", pnginfo=info, compress_level=1)
        unfinished.replace(file)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def read_request(file: Path) -> GenerateRequest:
    """The request in a PNG made here.

    Raises StudioError IMAGE_UNREADABLE, IMAGE_WITHOUT_SETTINGS.
    """
    try:
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise StudioError(Code.IMAGE_UNREADABLE)
            image.load()
            carried = getattr(image, "text", {}).get(KEY)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise StudioError(Code.IMAGE_UNREADABLE, repr(error)) from error
    if carried is None:
        raise StudioError(Code.IMAGE_WITHOUT_SETTINGS)
    try:
        return GenerateRequest.model_validate(json.loads(carried))
    except (ValidationError, ValueError, RecursionError) as error:
        raise StudioError(Code.IMAGE_WITHOUT_SETTINGS, str(error)) from error
