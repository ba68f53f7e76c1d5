"""The figures of a variant from its pictures: medians and spread."""

from collections.abc import Iterable, Sequence
from math import isclose
from statistics import median
from typing import Any

from backend.contracts import ComparedPicture, ComparedVariant, Figures, PictureReport

TIMES = ("total_s", "step_ms", "decode_ms", "energy_j")
SCORES = ("psnr_db", "ssim", "similarity")


def figures(values: Iterable[float | None]) -> Figures | None:
    """Of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Figures(median=median(known), low=min(known), high=max(known), count=len(known))


def summarised(report: PictureReport) -> PictureReport:
    """The report with every variant's figures anew from its pictures."""
    sides = [
        [one for one in report.pictures if one.variant == index]
        for index in range(len(report.variants))
    ]
    reference = sides[report.reference]
    variants = tuple(
        variant.model_copy(update=_summary(variant, pictures, reference))
        for variant, pictures in zip(report.variants, sides, strict=True)
    )
    return report.model_copy(update={"variants": variants})


def _summary(
    variant: ComparedVariant,
    pictures: Sequence[ComparedPicture],
    reference: Sequence[ComparedPicture],
) -> dict[str, Any]:
    warm = [one for one in pictures if one.warm]
    first = next((one.total_s for one in pictures if not one.warm), None)
    times = {name: figures(getattr(one, name) for one in warm or pictures) for name in TIMES}
    scores = {name: figures(getattr(one, name) for one in pictures) for name in SCORES}
    return {
        **times,
        **scores,
        "text_encode_ms": figures(one.text_encode_ms for one in pictures),
        "first_s": None if variant.load_s is None else first,
        "warm": bool(warm),
        "speed_up": _speed_up(pictures, reference),
        "identical": sum(one.identical for one in pictures),
        "pictures": len(pictures),
    }


def _speed_up(
    pictures: Sequence[ComparedPicture], reference: Sequence[ComparedPicture]
) -> float | None:
    """Of warm pictures where both have some, else of first ones."""
    for warm in (True, False):
        own, other = (
            figures(one.total_s for one in side if one.warm is warm)
            for side in (pictures, reference)
        )
        if own and other and own.median > 0:
            return other.median / own.median
    return None


def unlike(one: PictureReport, other: PictureReport) -> str:
    """Where the figures of two reports differ by more than rounding; empty where nowhere."""
    for index, (left, right) in enumerate(zip(one.variants, other.variants, strict=True)):
        for name in (*TIMES, *SCORES, "text_encode_ms", "first_s", "warm", "speed_up", "identical"):
            if not _alike(getattr(left, name), getattr(right, name)):
                return f"variants.{index}.{name}"
    return ""


def _alike(left: Figures | float | None, right: Figures | float | None) -> bool:
    if isinstance(left, Figures) and isinstance(right, Figures):
        pairs = zip(left.model_dump().values(), right.model_dump().values(), strict=True)
        return all(isclose(a, b, rel_tol=1e-9) for a, b in pairs)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return isclose(left, right, rel_tol=1e-9)
    return left is right


def row(variant: ComparedVariant) -> dict[str, Any]:
    """A variant's figures as plain numbers: medians."""

    def middle(name: str) -> float | None:
        found: Figures | None = getattr(variant, name)
        return None if found is None else found.median

    return {
        "precision": str(variant.precision),
        "runtime": str(variant.runtime),
        "state": str(variant.state),
        "simulated": variant.simulated,
        "warm": variant.warm,
        "pictures": variant.pictures,
        **{name: middle(name) for name in (*TIMES, "text_encode_ms", *SCORES)},
        "identical": variant.identical,
        "speed_up": variant.speed_up,
        "load_s": variant.load_s,
        "first_s": variant.first_s,
        "peak_memory_bytes": variant.peak_memory_bytes,
        "memory_kind": variant.memory_kind,
        "engine_bytes": variant.engine_bytes,
        "weights_bytes": variant.weights_bytes,
        "error": variant.error
        and {
            "code": str(variant.error.code),
            "message": variant.error.message(),
            "hint": variant.error.hint(),
        },
    }
