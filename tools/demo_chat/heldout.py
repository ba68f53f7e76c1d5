"""What training never sees: 300 wordings of known questions, unknown ones, texts for perplexity.

They are kept in heldout.jsonl, so that scores stay comparable when wordings of training change.
`python -m tools.demo_chat.heldout` draws them anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from random import Random
from typing import Any

from tools.demo_chat.dialogues import Dialogue, dialogue, prose
from tools.demo_chat.grammar import LANGUAGES, Language
from tools.demo_chat.knowledge import FOLDER, Fact, facts

FILE = FOLDER / "heldout.jsonl"
KNOWN = {"fact": 210, "wish": 20, "follow-up": 20, "sum": 24, "word": 16, "story": 10}
"""Half of each in either language: 300."""
UNKNOWN = 60
TEXTS = 240
PROSE_SHARE = 0.25


@cache
def known() -> tuple[Dialogue, ...]:
    """Questions about as many different facts as possible, in wordings that are held out."""
    return tuple(_dialogue(row) for row in _rows("known"))


@cache
def unknown() -> tuple[Dialogue, ...]:
    return tuple(_dialogue(row) for row in _rows("unknown"))


@cache
def texts() -> tuple[Dialogue | str, ...]:
    """Conversations in held-out wordings and prose, for perplexity."""
    return tuple(row["prose"] if "prose" in row else _dialogue(row) for row in _rows("texts"))


@cache
def banned() -> frozenset[str]:
    """Normal forms of all held-out questions."""
    rows = (*known(), *unknown(), *(text for text in texts() if isinstance(text, Dialogue)))
    return frozenset(row.core for row in rows)


def _rows(part: str) -> list[dict[str, Any]]:
    rows = map(json.loads, FILE.read_text(encoding="utf-8").splitlines())
    return [{k: v for k, v in row.items() if k != "part"} for row in rows if row["part"] == part]


def _dialogue(row: dict[str, Any]) -> Dialogue:
    messages = tuple((role, content) for role, content in row["messages"])
    return Dialogue(**{**row, "messages": messages, "keys": tuple(map(tuple, row["keys"]))})


def _alone(rng: Random, kind: str, language: Language, among: Sequence[Fact] = ()) -> Dialogue:
    if kind == "wish":
        return dialogue(rng, "fact", language, unseen=True, wish=True)
    return dialogue(rng, kind, language, unseen=True, among=among)


def _draw_known(rng: Random) -> list[Dialogue]:
    rows: dict[str, Dialogue] = {}
    for kind, count in KNOWN.items():
        for language in LANGUAGES:
            order = rng.sample(facts(), len(facts()))
            wanted = len(rows) + count // 2
            while len(rows) < wanted:
                made = _alone(rng, kind, language, [order.pop()] if kind == "fact" else ())
                rows.setdefault(made.core, made)
    return list(rows.values())


def _draw_unknown(rng: Random) -> list[Dialogue]:
    rows: dict[str, Dialogue] = {}
    for index in range(UNKNOWN):
        count = len(rows)
        while len(rows) == count:
            made = _alone(rng, "unknown", LANGUAGES[index % 2])
            rows.setdefault(made.core, made)
    return list(rows.values())


def _draw_texts(rng: Random) -> list[Dialogue | str]:
    kinds = ("fact", "fact", "wish", "follow-up", "sum", "word", "story", "unknown")
    return [
        prose(rng, unseen=True)
        if rng.random() < PROSE_SHARE
        else _alone(rng, rng.choice(kinds), LANGUAGES[index % 2])
        for index in range(TEXTS)
    ]


def draw() -> str:
    """The file's text, drawn anew: other questions as soon as any wording has changed."""
    parts: dict[str, Sequence[Dialogue | str]] = {
        "known": _draw_known(Random(7)),
        "unknown": _draw_unknown(Random(8)),
        "texts": _draw_texts(Random(9)),
    }
    return "".join(line(part, row) for part, rows in parts.items() for row in rows)


def line(part: str, row: Dialogue | str) -> str:
    content = {"prose": row} if isinstance(row, str) else asdict(row)
    return json.dumps({"part": part, **content}, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")
