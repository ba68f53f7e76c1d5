"""How people type: lead-ins, politeness, case, punctuation, slips."""

from __future__ import annotations

import re
from functools import cache
from random import Random

from tools.demo_chat.grammar import PARTICLES, Language, particles
from tools.demo_chat.knowledge import load

_ASKING = re.compile(
    r"^(what|which|who|how|where|when|why|is|are|can|could|do|does|did|will|should|may|has|have|since|if|on|at|in|under)\b"
)
_ASKING_KO = re.compile(
    r"(까|까요|나요|가요|죠|지|뭐예요|뭐야|예요|이에요|이야|은|는|은요|는요|어요|아요|해요|돼요)$"
)
_PARTICLE = re.compile("(은|는|이|가|을|를|과|와|으로|로)(?![가-힣])")
LIGHT_WORDS = frozenset(
    ("the", "a", "an", "i", "do", "does", "is", "are", "to", "of", "me", "my", "it")
)
REWORDED_SHARE = 0.2
"""Of the questions."""


def reword(text: str, rng: Random, language: Language) -> str:
    """Now and then with another beginning or, in Korean, ending that asks the same."""
    pattern, ways = _ways(language)
    found = pattern.search(text) if rng.random() < REWORDED_SHARE else None
    if found is None:
        return text
    return text[: found.start()] + rng.choice(ways[found[0]]) + text[found.end() :]


@cache
def _ways(language: Language) -> tuple[re.Pattern[str], dict[str, list[str]]]:
    ways: dict[str, list[str]] = load("synonyms")["begin" if language == "en" else "end"]
    words = "|".join(map(re.escape, sorted(ways, key=len, reverse=True)))
    return re.compile(f"^({words})" if language == "en" else f"({words})$"), ways


@cache
def _others(language: Language) -> tuple[re.Pattern[str], dict[str, list[str]]]:
    """A pattern that finds any word with synonyms, longer ones first, and what may replace each."""
    others: dict[str, list[str]] = {}
    for group in load("synonyms")[language]:
        for word in group:
            others.setdefault(word, []).extend(other for other in group if other != word)
    words = "|".join(map(re.escape, sorted(others, key=len, reverse=True)))
    before, after = (r"(?<![\w'-])", r"(?![\w'-])") if language == "en" else ("", "")
    return re.compile(f"{before}({words}){after}"), others


def exchange(text: str, rng: Random, language: Language, times: int = 1) -> str:
    """With other words for up to `times` of its words."""
    pattern, others = _others(language)
    spots = list(pattern.finditer(text)) if times else []
    for found in sorted(
        rng.sample(spots, min(times, len(spots))), key=re.Match.start, reverse=True
    ):
        other, rest = rng.choice(others[found[0]]), text[found.end() :]
        if language == "ko" and (particle := _PARTICLE.match(rest)):
            pair = next(pair for pair in PARTICLES if particle[0] in pair.split("/"))
            other, rest = particles(f"{other}{pair}"), rest[particle.end() :]
        text = text[: found.start()] + other + rest
    return text


def shorten(text: str, rng: Random) -> str:
    """About two thirds of its words."""
    words = text.split(" ")
    kept = [word for word in words if rng.random() < 0.67]
    return " ".join(kept) if len(kept) > 2 else text


def slip(text: str, rng: Random) -> str:
    """One mistyped word of five letters or more: a letter lost, doubled or swapped."""
    spots = [m.span() for m in re.finditer(r"[a-z]{5,}|[가-힣]{3,}", text)]
    if not spots:
        return text
    start, end = rng.choice(spots)
    at = rng.randrange(start + 1, end - 1)
    if "가" <= text[at] <= "힣":
        return text[:at] + " " + text[at:]
    lot = rng.random()
    if lot < 0.4:
        return text[:at] + text[at + 1 :]
    if lot < 0.7:
        return text[:at] + text[at] + text[at:]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def drop_word(text: str, rng: Random) -> str:
    """Without one of the words that say least."""
    words = text.split(" ")
    short = [i for i, word in enumerate(words) if word in LIGHT_WORDS]
    if len(words) < 5 or not short:
        return text
    del words[rng.choice(short)]
    return " ".join(words)


def punctuate(text: str, rng: Random, language: Language) -> str:
    if text[-1] in "?!.=" or rng.random() < 0.3:
        return text
    asking = _ASKING.search(text) if language == "en" else _ASKING_KO.search(text)
    return text + ("?" if asking else rng.choice(("", ".", ".", "!")))


def typed(text: str, rng: Random, language: Language, slips: bool = True) -> str:
    """A question as somebody might type it, without slips where each word counts."""
    text = reword(text, rng, language)
    if slips and rng.random() < 0.08:
        text = drop_word(text, rng)
    if slips and rng.random() < 0.08:
        text = slip(text, rng)
    if len(text) > 4 and text[-1] not in "=" and rng.random() < 0.12:
        text = text.rstrip("?.!") + rng.choice(load("manners")[language]["tails"])
    text = punctuate(text, rng, language)
    if rng.random() < 0.25:
        text = rng.choice(load("manners")[language]["leads"]) + text
    lot = rng.random()
    if language == "ko":
        return text.replace(" ", "") if lot < 0.06 else text
    if lot < 0.45:
        return text[0].upper() + text[1:]
    if lot < 0.6:
        return text.lower()
    return text.upper() if lot < 0.63 else text
