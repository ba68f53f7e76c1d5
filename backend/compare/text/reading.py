"""Whether a report of answers is as a comparison wrote it."""

from backend.compare.figures import alike
from backend.compare.text.figures import same_characters, summarised
from backend.contracts import ComparedState, TextReport

FIGURES = ("ttft_s", "tokens_per_s", "agreement", "same")


def flaw(report: TextReport) -> tuple[str, str] | None:
    """The key of what is wrong, below `compare.problem`, and where: what the fields alone do not
    say."""
    kinds = [one.kind for one in report.variants]
    if kinds != [one.kind for one in report.request.variants]:
        return "variants", "variants"
    if not 0 <= report.reference < len(kinds):
        return "place", "reference"
    seen: set[tuple[int, int]] = set()
    for index, one in enumerate(report.answers):
        place, limits = (one.variant, one.prompt), (len(kinds), len(report.request.prompts))
        within = all(0 <= value < limit for value, limit in zip(place, limits, strict=True))
        if not within or place in seen:
            return "place", f"answers.{index}"
        seen.add(place)
    wrong = _unlike(report)
    return ("answers", wrong) if wrong else None


def _unlike(report: TextReport) -> str:
    """Where a figure does not follow from the answers; empty where nowhere."""
    references = {one.prompt: one for one in report.answers if one.variant == report.reference}
    for index, one in enumerate(report.answers):
        if one.state is ComparedState.DONE and one.same_characters is not None:
            reference = references.get(one.prompt)
            if reference is None or same_characters(reference, one) != one.same_characters:
                return f"answers.{index}.same_characters"
    counted = summarised(report).variants
    for index, (told, right) in enumerate(zip(report.variants, counted, strict=True)):
        for name in FIGURES:
            if not alike(getattr(told, name), getattr(right, name)):
                return f"variants.{index}.{name}"
    return ""
