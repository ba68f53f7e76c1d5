"""Pictures in messages: taken as data, and only what really is a picture."""

import base64
import binascii
import io

from PIL import Image, UnidentifiedImageError

from backend.errors import Code, StudioError
from backend.language import Text, text

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PICTURES = 8
MAX_BYTES = 8 * 1024**2
MAX_PIXELS = 50_000_000


def check_pictures(images: tuple[str, ...]) -> None:
    """Raises StudioError CHAT_IMAGE_REFUSED unless all are `data:image/...;base64,` URLs of PNG,
    JPEG or WebP files, not too large and not too many."""
    if len(images) > MAX_PICTURES:
        raise _refused(text("picture.too_many", count=len(images), limit=MAX_PICTURES))
    for image in images:
        _check(image)


def _check(image: str) -> None:
    head, _, body = image.partition(",")
    form = head.removeprefix("data:image/").removesuffix(";base64").upper()
    if head != f"data:image/{form.lower()};base64" or form not in FORMATS:
        raise _refused(text("picture.no_picture"))
    if len(body) > MAX_BYTES * 4 // 3 + 4:
        raise _refused(text("picture.too_large", limit_bytes=MAX_BYTES))
    try:
        with Image.open(io.BytesIO(base64.b64decode(body, validate=True)), formats=[form]) as found:
            if found.width * found.height > MAX_PIXELS:
                raise _refused(text("picture.too_many_pixels", limit=MAX_PIXELS))
            found.load()
    except (
        binascii.Error,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,
        ValueError,
    ) as error:
        raise _refused(text("picture.no_picture"), repr(error)) from error


def _refused(reason: Text, detail: str = "") -> StudioError:
    return StudioError(Code.CHAT_IMAGE_REFUSED, detail, reason=reason)
