"""What variants are called in votes and in presentations."""

from collections.abc import Sequence

from backend.contracts import ComparedServer, ComparedVariant, PictureReport, Poll, Report
from ui.i18n import t
from ui.parts.metrics_line import variant_name


def polled_names(poll: Poll, language: str) -> list[str]:
    """Of pictures without the model, which is the same for all."""
    return [_name(one.key, poll.pictures, one.simulated, language) for one in poll.variants]


def report_names(report: Report, language: str) -> list[str]:
    pictures = isinstance(report, PictureReport)
    return [
        _name(key, pictures, simulated, language)
        for key, simulated in zip(_keys(report), _simulated(report), strict=True)
    ]


def _keys(report: Report) -> list[str]:
    if isinstance(report, PictureReport):
        model = report.request.model
        return [f"{model}/{one.precision}/{one.runtime}" for one in report.request.variants]
    return [f"{one.model}/{one.kind}" for one in report.request.variants]


def _simulated(report: Report) -> list[bool]:
    sides: Sequence[ComparedVariant | ComparedServer] = report.variants
    return [one.simulated for one in sides]


def _name(key: str, pictures: bool, simulated: bool, language: str) -> str:
    name = variant_name(key)
    name = name.partition(" · ")[2] if pictures else name
    return t("vote.simulated", language, name=name) if simulated else name
