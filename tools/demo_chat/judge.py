"""Whether an answer holds the key facts."""

from __future__ import annotations

import re
from functools import cache

from tools.demo_chat.grammar import Language
from tools.demo_chat.knowledge import Keys

_HANGUL = re.compile("[가-힣]")


def plain(text: str) -> str:
    """Case, hyphens, quotation marks and runs of spaces do not count."""
    return re.sub(r"[\s\-‐–*_`]+", " ", text.casefold()).replace(",", "").strip()


@cache
def _pattern(key: str) -> re.Pattern[str]:
    words = r"\s*".join(map(re.escape, plain(key).split()))
    before = r"(?<![\d.])" if key[0].isdigit() else ""
    after = r"(?!\.?\d)" if key[-1].isdigit() else ""
    return re.compile(before + words + after)


def found(answer: str, group: tuple[str, ...]) -> str | None:
    """The first of the alternatives that the answer holds; a number only as a whole."""
    text = plain(answer)
    return next((key for key in group if _pattern(key).search(text)), None)


def right(answer: str, keys: Keys) -> bool:
    return all(found(answer, group) for group in keys)


def in_language(answer: str, language: Language) -> bool:
    """Korean has Hangul; English has none."""
    return bool(_HANGUL.search(answer)) == (language == "ko")
