"""Every text that a person reads, by language and key.

The catalogues are `assets/languages/<language>/*.json`, flat objects of key -> template.
A template names its values in braces. A value whose name ends in `_bytes` or `_s` is shown as a
size or a duration, so that callers pass plain numbers in base units.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

CATALOGUES = Path(__file__).resolve().parent.parent / "assets" / "languages"
LANGUAGES = ("en", "ko")


@cache
def catalogue(language: str) -> dict[str, str]:
    """All templates of one of `LANGUAGES`."""
    texts: dict[str, str] = {}
    for file in sorted((CATALOGUES / language).glob("*.json")):
        texts |= json.loads(file.read_text(encoding="utf-8"))
    return texts


def human_bytes(size: float) -> str:
    """A size in bytes in the largest binary unit that keeps it at 1 or more."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def human_seconds(seconds: float) -> str:
    """A duration in seconds as people say it: `0.42 s`, `12 s`, `3 min 05 s`, `2 h 04 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def _shown(name: str, value: "Value", language: str) -> str | int | float:
    if isinstance(value, Text):
        return value.render(language)
    if isinstance(value, str):
        return value
    if name.endswith("_bytes"):
        return human_bytes(value)
    if name.endswith("_s"):
        return human_seconds(value)
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else value


def say(key: str, language: str = "en", **values: Any) -> str:
    """The text of `key` in `language` with its values filled in.

    Raises KeyError for a key that the catalogue does not hold: a missing text is a defect,
    not something to show.
    """
    language = language if language in LANGUAGES else "en"
    shown = {name: _shown(name, value, language) for name, value in values.items()}
    return catalogue(language)[key].format(**shown)


class Text(BaseModel):
    """A text to be shown later, in whatever language its reader has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    values: dict[str, "Value"] = {}

    def render(self, language: str = "en") -> str:
        return say(self.key, language, **self.values)


Value = Text | str | int | float
Text.model_rebuild()


def text(key: str, **values: Value) -> Text:
    return Text(key=key, values=values)
