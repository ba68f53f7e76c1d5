"""Whole conversations by lot: system prompts, earlier turns, follow-up questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tools.demo_chat.grammar import LANGUAGES, Language, normal, split, write
from tools.demo_chat.judge import in_language, right
from tools.demo_chat.knowledge import Fact, Keys, facts, load
from tools.demo_chat.noise import typed
from tools.demo_chat.sums import ask_sum, ask_too_much, ask_word_problem, go_on
from tools.demo_chat.tales import ask_story, ask_unknown
from tools.demo_chat.turns import Manner, Turn, answer_fact, ask_fact, sibling, tell_more

Message = dict[str, str]
KINDS = {"fact": 55, "follow-up": 11, "sum": 11, "word": 8, "story": 4, "unknown": 11}
"""How often a conversation ends with what."""
ASK: dict[str, Callable[[Random, Language, Manner, bool], Turn]] = {
    "fact": ask_fact,
    "sum": ask_sum,
    "word": ask_word_problem,
    "story": ask_story,
    "unknown": ask_unknown,
}
TOO_MUCH_SHARE = 0.06
CAREFUL = ("sum", "word", "story")
"""Kinds whose questions carry what the answer needs letter by letter."""


@dataclass(frozen=True)
class Dialogue:
    """Messages up to the last question, then what is to be thought and answered."""

    messages: tuple[tuple[str, str], ...]
    thought: str
    answer: str
    keys: Keys
    kind: str
    language: Language
    core: str
    """The question without noise, in its normal form; with the one before if it follows up."""
    longest: int | None = None
    """Characters that a brief answer may have."""

    def judged(self, answer: str) -> bool:
        """Whether an answer has the key facts, the language and, if asked for, is brief."""
        short_enough = self.longest is None or len(answer) <= self.longest
        spoken = self.kind in ("sum", "word") or in_language(answer, self.language)
        return right(answer, self.keys) and spoken and short_enough


def _wish(rng: Random, asked: Language, unseen: bool) -> tuple[Manner, str | None, str]:
    """A manner of answering, the system prompt that asks for it, and a pattern for the question."""
    table = load("manners")[asked]
    lot = rng.random()
    if not unseen and lot < 0.8:
        system = rng.choice(table["plain"]) if lot < 0.1 else None
        return Manner(asked), system, "{q}"
    brief, language = rng.choice(
        ((True, asked), (False, "en"), (False, "ko"), (True, "en"), (True, "ko"))
    )
    other = language != asked or not brief
    if rng.random() < 0.3 and not (brief and other):
        name = "inline_brief" if brief else f"inline_{language}"
        return Manner(language, brief), None, rng.choice(split(table[name], unseen))
    spoken = load("manners")[rng.choice((asked, asked, *LANGUAGES))]
    wishes = [rng.choice(split(spoken["brief"], unseen))] if brief else []
    wishes += [rng.choice(split(spoken[language], unseen))] if other else []
    rng.shuffle(wishes)
    if rng.random() < 0.3:
        wishes.insert(0, rng.choice(spoken["plain"]))
    return Manner(language, brief), " ".join(wishes), "{q}"


def _follow(rng: Random, asked: Language, unseen: bool) -> tuple[Turn, Turn, Manner]:
    """A turn, a question that only makes sense after it, and how that is answered."""
    table, manner = load("manners")[asked], Manner(asked)
    lot = rng.random()
    if lot < 0.2:
        before = ask_sum(rng, asked, manner)
        if before.number is not None and before.number < 980:
            return before, go_on(rng, before, asked, manner, unseen), manner
    named = [fact for fact in facts() if fact.names["en"]]
    if lot < 0.6:
        while True:
            before = ask_fact(rng, asked, manner, among=named)
            other = sibling(rng, before.fact) if before.fact else None
            if other:
                question = write(
                    rng.choice(split(table["same"], unseen)), rng, x=rng.choice(other.names[asked])
                )
                return (
                    before,
                    answer_fact(rng, other, question, manner).after(table["think_same"]),
                    manner,
                )
    rich = [fact for fact in facts() if fact.more["en"]]
    before = ask_fact(rng, asked, manner, among=rich)
    assert before.fact
    fact: Fact = before.fact
    wish = rng.choice(("shorter", "more", "again"))
    if wish == "more":
        short = answer_fact(rng, fact, before.question, Manner(asked, brief=True))
        return short, tell_more(rng.choice(split(table["more"], unseen)), fact, manner), manner
    if wish == "shorter":
        manner = Manner(asked, brief=True)
        question = rng.choice(split(table["shorter"], unseen))
        return before, answer_fact(rng, fact, question, manner).after(table["think_short"]), manner
    language: Language = "ko" if asked == "en" else "en"
    manner = Manner(language)
    question = rng.choice(split(table[f"again_{language}"], unseen))
    return (
        before,
        answer_fact(rng, fact, question, manner).after(
            load("manners")[language][f"think_{language}"]
        ),
        manner,
    )


def _longest(turn: Turn, manner: Manner) -> int | None:
    if not manner.brief or turn.fact is None:
        return None
    return max(map(len, turn.fact.answers[manner.language])) + 10


def _noted(turn: Turn, asked: Language, manner: Manner) -> Turn:
    """The turn with what was wished for in its reasoning."""
    words = load("manners")[manner.language]
    if manner.brief:
        turn = turn.after(words["think_short"])
    return turn if manner.language == asked else turn.after(words[f"think_{manner.language}"])


def dialogue(
    rng: Random,
    kind: str | None = None,
    language: Language | None = None,
    unseen: bool = False,
    wish: bool = False,
    among: Sequence[Fact] = (),
) -> Dialogue:
    """One conversation. `unseen` takes held-out wordings, numbers and heroes, without a system
    prompt or earlier turns unless `wish` asks for a held-out one."""
    kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
    asked = rng.choice(LANGUAGES) if language is None else language
    manner, system, pattern = Manner(asked), None, "{q}"
    before: Turn | None = None
    if kind == "follow-up":
        before, turn, manner = _follow(rng, asked, unseen)
    else:
        if wish or not unseen:
            manner, system, pattern = _wish(rng, asked, unseen)
        if kind == "sum" and not unseen and rng.random() < TOO_MUCH_SHARE:
            turn = ask_too_much(rng, asked, manner)
        elif kind == "fact":
            turn = ask_fact(rng, asked, manner, unseen, among)
        else:
            turn = ASK[kind](rng, asked, manner, unseen)
    history = [] if unseen else _history(rng, asked)
    history += [before] if before else []
    messages = [("system", system)] if system else []
    for earlier in history:
        messages += [("user", typed(earlier.question, rng, asked)), ("assistant", earlier.answer)]
    question = typed(turn.question, rng, asked, slips=turn.kind not in CAREFUL)
    if turn.kind in ("sum", "word") and pattern != "{q}":
        question = turn.question
    messages.append(("user", pattern.replace("{q}", question)))
    if before is None:
        turn = _noted(turn, asked, manner)
    core = normal(f"{before.question} {turn.question}" if before else turn.question)
    return Dialogue(
        tuple(messages),
        turn.thought,
        turn.answer,
        turn.keys,
        kind,
        manner.language,
        core,
        _longest(turn, manner),
    )


def _history(rng: Random, asked: Language) -> list[Turn]:
    """Earlier turns that have nothing to do with the last question; mostly none, seldom many."""
    lot = rng.random()
    count = 0 if lot < 0.74 else rng.randint(1, 3) if lot < 0.93 else rng.randint(4, 12)
    kinds = rng.choices(("fact", "sum", "unknown", "story", "word"), (6, 1, 1, 0.5, 0.5), k=count)
    return [ASK[kind](rng, asked, Manner(asked), False) for kind in kinds]


def training_dialogues(seed: int, count: int, banned: frozenset[str]) -> Iterator[Dialogue]:
    """Conversations without held-out wordings, and none whose question is in `banned`."""
    rng = Random(seed)
    while count:
        made = dialogue(rng)
        if made.core not in banned:
            count -= 1
            yield made


def prose(rng: Random, unseen: bool = False) -> str:
    """A text without roles: a story, or what a few facts of one theme say."""
    language = rng.choice(LANGUAGES)
    if rng.random() < 0.4:
        return ask_story(rng, language, Manner(language), unseen).answer
    theme = rng.choice(facts()).theme
    chosen = rng.sample([fact for fact in facts() if fact.theme == theme], 4)
    return " ".join(answer_fact(rng, fact, "", Manner(language)).answer for fact in chosen)
