"""The score of all pictures together."""

from collections.abc import Sequence
from statistics import median

from backend.contracts import PicturePair, PictureQuality, Precision, Runtime, Spread


def summary(
    pairs: Sequence[PicturePair], *, simulated: bool, runtime: Runtime, reference: Precision
) -> PictureQuality:
    """Pictures that are the same count as better than any other in the median of the PSNR."""
    decibels = [pair.psnr_db for pair in pairs]
    differing = [value for value in decibels if value is not None]
    middle = median(float("inf") if value is None else value for value in decibels)
    alike = [pair.ssim for pair in pairs]
    return PictureQuality(
        psnr_db=None if middle == float("inf") else middle,
        ssim=median(alike),
        psnr_spread=_spread(differing) if differing else None,
        ssim_spread=_spread(alike),
        pictures=len(pairs),
        identical=len(decibels) - len(differing),
        simulated=simulated,
        runtime=runtime,
        reference=reference,
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median=median(values), worst=min(values), best=max(values))
