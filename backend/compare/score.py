"""How far each picture is from the reference's: PSNR, SSIM, and a learned measure where there is
one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.contracts import ComparedPicture, PictureReport
from backend.errors import Code, ErrorInfo
from backend.images.quality import Pixels, fits_window, psnr, ssim
from backend.models.hub_cache import snapshot_of
from backend.settings import Settings

THREADS = 2
Score = dict[str, Any]
"""The fields of a `ComparedPicture` that compare it."""


def score(file: Path, reference: Path) -> Score:
    """A picture against the reference's, both as the files have them. Raises OSError."""
    one, other = _pixels(file), _pixels(reference)
    if one.shape != other.shape:
        sizes = {"width": one.shape[1], "height": one.shape[0]}
        sizes |= {"reference_width": other.shape[1], "reference_height": other.shape[0]}
        return {"unscored": ErrorInfo(code=Code.PICTURES_UNEQUAL, values=sizes)}
    if np.array_equal(one, other):
        return {"identical": True, "ssim": 1.0}
    return {"psnr_db": psnr(one, other), "ssim": ssim(one, other) if fits_window(one) else None}


def unscored(report: PictureReport) -> list[tuple[ComparedPicture, ComparedPicture]]:
    """Pictures that were not compared yet, each with the reference's."""
    reference = {
        (one.prompt, one.seed): one for one in report.pictures if one.variant == report.reference
    }
    return [
        (one, reference[one.prompt, one.seed])
        for one in report.pictures
        if one.variant != report.reference
        and (one.prompt, one.seed) in reference
        and not (one.identical or one.unscored or one.psnr_db is not None)
    ]


class Scorer:
    """Scores pictures of a folder on threads of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="score")
        self._begun: dict[str, Future[Score]] = {}

    def begin(self, report: PictureReport) -> None:
        """Have all that can be scored by now scored, each once."""
        for one, other in unscored(report):
            if one.file not in self._begun:
                files = (self._folder / one.file, self._folder / other.file)
                self._begun[one.file] = self._threads.submit(score, *files)

    def finished(self) -> dict[str, Score]:
        """The scores by file of all that are."""
        return {file: one.result() for file, one in self._begun.items() if one.done()}

    def finish(self, on_progress: Callable[[int, int], None]) -> dict[str, Score]:
        """All scores, once they are there."""
        for index, one in enumerate(self._begun.values()):
            on_progress(index, len(self._begun))
            one.result()
        return self.finished()

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)


def similarity_folder(settings: Settings) -> Path | None:
    """Where the weights of the learned measure are; None where they are not on this machine."""
    name = settings.similarity_model
    if not name:
        return None
    local = Path(name).expanduser()
    folder = local if local.is_dir() else snapshot_of(name)
    if folder is None or not (folder / "config.json").is_file():
        return None
    return folder if any(folder.glob("*.safetensors")) else None


def _pixels(file: Path) -> Pixels:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))
