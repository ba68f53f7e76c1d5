"""How a command answers: in words, or with one JSON object on standard output for programs."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from backend.errors import ErrorInfo, StudioError


def answer(as_json: bool, data: dict[str, Any], words: str) -> None:
    """Say the outcome: `data` as JSON, or `words`."""
    print(json.dumps(data, ensure_ascii=False) if as_json else words)


@contextmanager
def failing_plainly(as_json: bool) -> Iterator[None]:
    """End the command with status 1 and the error in words (and as JSON) on a StudioError."""
    try:
        yield
    except StudioError as error:
        fail(as_json, error.info)


def fail(as_json: bool, info: ErrorInfo) -> NoReturn:
    if as_json:
        print(json.dumps({"error": error_data(info)}, ensure_ascii=False))
    print(f"{info.code}: {info.message()}\n{info.hint()}", file=sys.stderr)
    raise typer.Exit(1)


def error_data(info: ErrorInfo) -> dict[str, str]:
    return {"code": str(info.code), "message": info.message(), "hint": info.hint()}


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as left-aligned columns."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
