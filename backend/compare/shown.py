"""A report as its readers see it: its failures in their language."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from backend.contracts.compare_text import Report
from backend.errors import ErrorInfo

Place = tuple[str | int, ...]


def shown(report: Report, language: str) -> dict[str, Any]:
    """The report as JSON whose every failure has a `message` and a `hint` beside its code."""
    dumped = report.model_dump(mode="json")
    for place, error in _errors(report):
        target: Any = dumped
        for part in place:
            target = target[part]
        target |= _words(error, language)
    return dumped


def error_texts(report: Report, language: str) -> dict[str, dict[str, str]]:
    """Message and hint of every failure in a report by its place, as `variants/3/error`."""
    return {"/".join(map(str, place)): _words(error, language) for place, error in _errors(report)}


def _words(error: ErrorInfo, language: str) -> dict[str, str]:
    return {"message": error.message(language), "hint": error.hint(language)}


def _errors(value: object, place: Place = ()) -> Iterator[tuple[Place, ErrorInfo]]:
    if isinstance(value, ErrorInfo):
        yield place, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _errors(getattr(value, name), (*place, name))
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _errors(each, (*place, index))
