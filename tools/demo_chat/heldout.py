"""What training never sees: 300 wordings of known questions, unknown ones, texts for perplexity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random

from tools.demo_chat.dialogues import Dialogue, dialogue, prose
from tools.demo_chat.grammar import LANGUAGES, Language
from tools.demo_chat.knowledge import Fact, facts

KNOWN = {"fact": 210, "wish": 20, "follow-up": 20, "sum": 24, "word": 16, "story": 10}
"""Half of each in either language: 300."""
UNKNOWN = 60
TEXTS = 240
PROSE_SHARE = 0.25


def _alone(rng: Random, kind: str, language: Language, among: Sequence[Fact] = ()) -> Dialogue:
    if kind == "wish":
        return dialogue(rng, "fact", language, unseen=True, wish=True)
    return dialogue(rng, kind, language, unseen=True, among=among)


@cache
def known(seed: int = 7) -> tuple[Dialogue, ...]:
    """Questions about as many different facts as possible, in wordings that are held out."""
    rng = Random(seed)
    rows: dict[str, Dialogue] = {}
    for kind, count in KNOWN.items():
        for language in LANGUAGES:
            order = rng.sample(facts(), len(facts()))
            wanted = len(rows) + count // 2
            while len(rows) < wanted:
                made = _alone(rng, kind, language, [order.pop()] if kind == "fact" else ())
                rows.setdefault(made.core, made)
    return tuple(rows.values())


@cache
def unknown(seed: int = 8) -> tuple[Dialogue, ...]:
    rng = Random(seed)
    rows: dict[str, Dialogue] = {}
    for index in range(UNKNOWN):
        count = len(rows)
        while len(rows) == count:
            made = _alone(rng, "unknown", LANGUAGES[index % 2])
            rows.setdefault(made.core, made)
    return tuple(rows.values())


@cache
def texts(seed: int = 9) -> tuple[Dialogue | str, ...]:
    """Conversations in held-out wordings and prose, for perplexity."""
    rng = Random(seed)
    kinds = ("fact", "fact", "wish", "follow-up", "sum", "word", "story", "unknown")
    return tuple(
        prose(rng, unseen=True)
        if rng.random() < PROSE_SHARE
        else _alone(rng, rng.choice(kinds), LANGUAGES[index % 2])
        for index in range(TEXTS)
    )


@cache
def banned() -> frozenset[str]:
    """Normal forms of all held-out questions."""
    rows = (*known(), *unknown(), *(text for text in texts() if isinstance(text, Dialogue)))
    return frozenset(row.core for row in rows)
