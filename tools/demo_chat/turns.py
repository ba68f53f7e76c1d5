"""One question with its reasoning and answer, about a fact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from tools.demo_chat.grammar import Language
from tools.demo_chat.judge import found
from tools.demo_chat.knowledge import PLAIN_THEMES, Fact, Keys, facts, siblings
from tools.demo_chat.noise import exchange, shorten


@dataclass(frozen=True)
class Manner:
    """How to answer: in which language, and whether in few words."""

    language: Language
    brief: bool = False


@dataclass(frozen=True)
class Turn:
    """`keys` are what a right answer holds; `fact` what a follow-up question can go on with."""

    question: str
    thought: str
    answer: str
    keys: Keys
    kind: str
    fact: Fact | None = None
    number: int | None = None

    def after(self, note: str) -> Turn:
        """The same with a first word in its reasoning."""
        return replace(self, thought=f"{note} {self.thought}")


WORDS = {
    "en": {"topic": "Topic", "key": "Key", "more": "More is asked."},
    "ko": {"topic": "주제", "key": "핵심", "more": "더 알고 싶어 한다."},
}
MORE_SHARE = 0.6
SHORTENED_SHARE = 0.15


def answer_fact(rng: Random, fact: Fact, question: str, manner: Manner) -> Turn:
    """The answer is a short one, often with a sentence more."""
    language = manner.language
    short = rng.choice(fact.answers[language])
    words = WORDS[language]
    thought = f"{words['topic']}: {fact.labels[language]}."
    if fact.theme not in PLAIN_THEMES:
        keys = [found(short, group) or group[0] for group in fact.keys]
        thought += f" {words['key']}: {', '.join(keys)}."
    more = fact.more[language]
    answer = f"{short} {more}" if more and not manner.brief and rng.random() < MORE_SHARE else short
    return Turn(question, thought, answer, fact.keys, "fact", fact)


def tell_more(question: str, fact: Fact, manner: Manner) -> Turn:
    """What a fact has beyond its short answer."""
    words, more = WORDS[manner.language], fact.more[manner.language] or ""
    thought = f"{words['more']} {words['topic']}: {fact.labels[manner.language]}."
    return Turn(question, thought, more, ((more,),), "follow-up", fact)


def ask_fact(
    rng: Random, asked: Language, manner: Manner, unseen: bool = False, among: Sequence[Fact] = ()
) -> Turn:
    fact = rng.choice(among or facts())
    question = fact.question(rng, asked, unseen)
    if not unseen:
        question = _varied(rng, fact, question, asked)
    return answer_fact(rng, fact, question, manner)


def _varied(rng: Random, fact: Fact, question: str, language: Language) -> str:
    """A training question in other words; names stay what they are."""
    question = exchange(question, rng, language, rng.choice((0, 0, 1, 1, 2, 3)))
    own = not fact.names["en"] and not fact.pairs
    return shorten(question, rng) if own and rng.random() < SHORTENED_SHARE else question


def sibling(rng: Random, fact: Fact) -> Fact | None:
    """Another thing of which the same can be asked."""
    if not fact.names["en"]:
        return None
    others = [
        other for other in siblings(fact.aspect) if other.theme == fact.theme and other != fact
    ]
    return rng.choice(others) if others else None
