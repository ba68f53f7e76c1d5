"""Wordings: alternatives in brackets, slots in braces, Korean particles that follow their word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Literal

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, Language] = ("en", "ko")
HELD_OUT = "* "
"""Begins a wording that training never sees."""

Part = str | tuple["Choice", ...]
Choice = tuple[Part, ...]

# after a consonant / after a vowel
PARTICLES = (
    "이라는/라는",
    "이라면/라면",
    "이라고/라고",
    "이란/란",
    "이었/였",
    "이에요/예요",
    "이면/면",
    "으로/로",
    "은/는",
    "이/가",
    "을/를",
    "과/와",
)
_PARTICLE = re.compile(rf"(.)({'|'.join(PARTICLES)})(?![/가-힣]*/)")
_CLOSED_DIGITS = frozenset("013678")
_CLOSED_LETTERS = frozenset("lmnrLMNR")
_OPEN_TO_RO = frozenset("178lrLR")


def split(wordings: Sequence[str], unseen: bool) -> list[str]:
    """The wordings that are held out, or the others."""
    marked = [text.removeprefix(HELD_OUT) for text in wordings if text.startswith(HELD_OUT)]
    return marked if unseen else [text for text in wordings if not text.startswith(HELD_OUT)]


@cache
def parse(wording: str) -> Choice:
    """ "a (b|c) d" as a tree. Raises ValueError when brackets do not match."""
    choice, rest = _parse_choice(wording, 0)
    if rest != len(wording):
        raise ValueError(f"unmatched bracket in {wording!r}")
    return choice


def _parse_choice(text: str, at: int) -> tuple[Choice, int]:
    """Parts until the end, a bar or a closing bracket."""
    parts: list[Part] = []
    literal = at
    while at < len(text) and text[at] not in "|)":
        if text[at] != "(":
            at += 1
            continue
        parts.append(text[literal:at])
        choices = []
        while True:
            choice, at = _parse_choice(text, at + 1)
            choices.append(choice)
            if at >= len(text):
                raise ValueError(f"unmatched bracket in {text!r}")
            if text[at] == ")":
                break
        parts.append(tuple(choices))
        at = literal = at + 1
    parts.append(text[literal:at])
    return tuple(parts), at


def write(wording: str, rng: Random, **slots: object) -> str:
    """One text of a wording, by lot, with slots filled and particles chosen."""
    text = _write(parse(wording), rng)
    for name, value in slots.items():
        text = text.replace(f"{{{name}}}", str(value))
    return particles(text)


def _write(choice: Choice, rng: Random) -> str:
    return "".join(
        part if isinstance(part, str) else _write(rng.choice(part), rng) for part in choice
    )


def particles(text: str) -> str:
    """ "엔진을/를" as "엔진을", "FP8을/를" as "FP8을": the form that fits the sound before it."""
    return _PARTICLE.sub(_particle, text) if "/" in text else text


def _particle(found: re.Match[str]) -> str:
    before, pair = found.groups()
    closed_form, open_form = pair.split("/")
    if "가" <= before <= "힣":
        coda = (ord(before) - ord("가")) % 28
        closed, liquid = coda > 0, coda == 8
    else:
        closed = before in _CLOSED_DIGITS or before in _CLOSED_LETTERS
        liquid = before in _OPEN_TO_RO
    if closed and liquid and pair == "으로/로":
        closed = False
    return before + (closed_form if closed else open_form)


def normal(text: str) -> str:
    """A text without case, spaces and punctuation: equal for wordings that hardly differ."""
    return "".join(c for c in text.casefold() if c.isalnum() or c in "+-*/÷")
