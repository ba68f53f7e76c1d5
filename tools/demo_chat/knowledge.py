"""The facts: read from facts/*.toml, each with its questions, answers and key facts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from tools.demo_chat.grammar import LANGUAGES, Language, particles, split, write

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent
Keys = tuple[tuple[str, ...], ...]
"""Groups of alternatives, of each of which a right answer contains one."""
PLAIN_THEMES = ("talk",)
"""Whose topics say nothing worth thinking or asking about."""
ABOUT_SHARE = 0.08
"""Of the questions: they only name the topic."""


@cache
def load(name: str) -> dict[str, Any]:
    """A .toml file of this folder."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Fact:
    """One thing to know about one topic, in both languages."""

    thing: str
    aspect: str
    theme: str
    names: dict[Language, list[str]]
    pairs: dict[Language, list[str]] | None
    asks: dict[Language, list[str]]
    """Wordings of its own; those of its aspect come on top where it has names."""
    answers: dict[Language, list[str]]
    more: dict[Language, str | None]
    keys: Keys
    labels: dict[Language, str]

    @property
    def id(self) -> str:
        return f"{self.thing}.{self.aspect}"

    def wordings(self, language: Language, unseen: bool) -> list[str]:
        shared = load("wordings").get(self.aspect, {}).get(language, [])
        named = self.names[language] or self.pairs
        return split(self.asks[language] + (shared if named else []), unseen)

    def question(self, rng: Random, language: Language, unseen: bool) -> str:
        """One of its questions, by lot. IndexError if none is held out and `unseen` is asked."""
        if not unseen and self.theme not in PLAIN_THEMES and rng.random() < ABOUT_SHARE:
            wording = rng.choice(load("wordings")["about"][language])
            return write(wording, rng, t=self.labels[language])
        wording = rng.choice(self.wordings(language, unseen))
        return write(wording, rng, **self.slots(rng, language))

    def slots(self, rng: Random, language: Language) -> dict[str, str]:
        if self.pairs:
            x, y = rng.sample(self.pairs[language], 2)
            return {"x": x, "y": y}
        return {"x": rng.choice(self.names[language])} if self.names[language] else {}


def _both(english: Any, korean: Any) -> dict[Language, Any]:
    return dict(zip(LANGUAGES, (english, korean)))


def _label(
    table: dict[str, Any], names: dict[Language, list[str]], aspect: str
) -> dict[Language, str]:
    pairs = table.get("pair")
    labels = {}
    for index, language in enumerate(LANGUAGES):
        template = (table.get("topic") or load("wordings")[aspect]["label"])[index]
        x, y = pairs[index] if pairs else ((names[language] or [""])[0], "")
        labels[language] = particles(template.replace("{x}", x).replace("{y}", y))
    return labels


def _fact(theme: str, thing: str, aspect: str, thing_table: dict[str, Any]) -> Fact:
    table = thing_table[aspect]
    names = _both(thing_table.get("en", []), thing_table.get("ko", []))
    pair = table.get("pair")
    return Fact(
        thing,
        aspect,
        theme,
        names,
        _both(*pair) if pair else None,
        _both(table.get("ask_en", []), table.get("ask_ko", [])),
        _both(table["en"], [particles(text) for text in table["ko"]]),
        _both(table.get("more_en"), table.get("more_ko")),
        tuple(tuple(group.split("|")) for group in table["key"]),
        _label(table, names, aspect),
    )


@cache
def facts() -> tuple[Fact, ...]:
    found = []
    for path in sorted((FOLDER / "facts").glob("*.toml")):
        for thing, things in load(f"facts/{path.stem}").items():
            if isinstance(things, dict):
                aspects = [aspect for aspect, value in things.items() if isinstance(value, dict)]
                found += [_fact(path.stem, thing, aspect, things) for aspect in aspects]
    return tuple(found)


@cache
def by_id() -> dict[str, Fact]:
    return {fact.id: fact for fact in facts()}


@cache
def siblings(aspect: str) -> Sequence[Fact]:
    """Facts of one aspect about different things, for follow-up questions."""
    return [fact for fact in facts() if fact.aspect == aspect and fact.names["en"]]
