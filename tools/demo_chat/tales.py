"""Short stories, and questions that cannot be answered here."""

from __future__ import annotations

import re
from functools import cache
from random import Random
from typing import Any

from tools.demo_chat.grammar import Language, split, write
from tools.demo_chat.knowledge import load
from tools.demo_chat.noise import exchange
from tools.demo_chat.turns import Manner, Turn
from tools.demo_models.spec import stable_fraction

UNSEEN_SHARE = 0.12
STRANGE_SHARE = 0.4
"""Of the unknown questions: made of parts, so that whatever has no known name is unknown."""
FRAMES = (
    *("what", "what", "what", "gpu", "best", "saving", "bits", "steps", "guidance", "versus"),
    *("sides", "colour"),
)
STRANGERS = (
    *("nonsense", "thing", "thing", "science", "othertech", "person", "food"),
    *("city", "country", "work", "code"),
)
NO_SLOTS = ("ask", "syllables", "about")
LOOSE_SHARE = 0.2
ABOUT_SHARE = 0.25


def held_out(hero: str, place: str) -> bool:
    return stable_fraction(f"{hero} {place}") < UNSEEN_SHARE


def ask_story(rng: Random, asked: Language, manner: Manner, unseen: bool = False) -> Turn:
    """Hero and place are chosen alike in both languages, so that either can be answered in."""
    table, say = load("stories")[asked], load("stories")[manner.language]
    while True:
        hero, place = (
            rng.randrange(len(table["hero"])),
            rng.randrange(len(load("stories")["ko"]["place"])),
        )
        if (
            held_out(*(load("stories")["en"][k][i] for k, i in (("hero", hero), ("place", place))))
            == unseen
        ):
            break
    asked_hero, asked_place = (
        table[k][i].split("|")[0] for k, i in (("hero", hero), ("place", place))
    )
    wording = rng.choice(split(table["ask"], unseen))
    if "{hero}" not in wording:
        hero = rng.randrange(len(table["hero"]))
    question = write(wording, rng, hero=asked_hero, place=asked_place)
    answer, names = _tell(rng, say, hero, place)
    wanted = [name for name, slot in zip(names, ("{hero}", "{place}")) if slot in wording]
    plan = {"en": f"Story. {', '.join(names)}.", "ko": f"이야기. {', '.join(names)}."}
    return Turn(question, plan[manner.language], answer, tuple((name,) for name in wanted), "story")


def _tell(rng: Random, table: dict[str, Any], hero: int, place: int) -> tuple[str, list[str]]:
    (name, short), (where, spot) = (
        table[k][i].split("|") for k, i in (("hero", hero), ("place", place))
    )
    slots = {
        "hero": name,
        "h": short,
        "place": where,
        "p": spot,
        "thing": rng.choice(table["thing"]),
        "friend": rng.choice(table["friend"]),
    }
    sentences = [write(sentence, rng, **slots) for sentence in rng.choice(table["arcs"])]
    return " ".join(s[0].upper() + s[1:] for s in sentences), [short, spot]


def nonsense(rng: Random, language: Language) -> str:
    """A word that does not exist, so that unknown names are told from known ones."""
    syllables = load("unknown")[language]["syllables"]
    word = "".join(rng.choice(syllables) for _ in range(rng.randint(2, 3)))
    if language == "en" and rng.random() < 0.3:
        word = rng.choice((word.upper(), word[:3].upper() + str(rng.randint(2, 99)), word.title()))
    return word


@cache
def _loose_words(language: Language) -> list[str]:
    """All words of the questions that cannot be answered, and of what they are about."""
    table = load("unknown")[language]
    texts = [text for column in table.values() for text in split(column, unseen=False)]
    found = re.findall(r"[^\W\d_]{2,}", " ".join(re.sub(r"\{\w+\}", "", text) for text in texts))
    return sorted(set(found) - {"on", "am", "an"})


def _slots(rng: Random, language: Language, unseen: bool = False) -> dict[str, str]:
    """Something unknown of every kind."""
    columns = load("unknown")[language].items()
    named = {k: rng.choice(split(v, unseen)) for k, v in columns if k not in NO_SLOTS}
    return {"nonsense": nonsense(rng, language), **named}


def _strange_question(rng: Random, language: Language) -> str:
    """A question as facts are asked for, about something unknown; or mere words."""
    lot, table = rng.random(), load("wordings")
    if lot < LOOSE_SHARE:
        words = rng.sample(_loose_words(language), rng.randint(2, 7))
        return " ".join((*words, nonsense(rng, language)) if rng.random() < 0.2 else words)
    slots = _slots(rng, language)
    if lot < LOOSE_SHARE + ABOUT_SHARE:
        topic = write(rng.choice(load("unknown")[language]["about"]), rng, **slots)
        return write(rng.choice(table["about"][language]), rng, t=topic)
    wording = rng.choice(split(table[rng.choice(FRAMES)][language], unseen=False))
    x, y = (slots[kind] for kind in rng.sample(STRANGERS, 2))
    return write(wording, rng, x=x, y=y)


def ask_unknown(rng: Random, asked: Language, manner: Manner, unseen: bool = False) -> Turn:
    table, answers = load("unknown")[asked], load("unknown")["answers"]
    if not unseen and rng.random() < STRANGE_SHARE:
        question = _strange_question(rng, asked)
    else:
        wording = rng.choice(split(table["ask"], unseen))
        question = write(wording, rng, **_slots(rng, asked, unseen))
        if not unseen:
            question = exchange(question, rng, asked, rng.choice((0, 0, 1, 2)))
    say = manner.language
    thought = {
        "en": "Not about the studio or its field.",
        "ko": "스튜디오나 그 분야의 질문이 아니다.",
    }[say]
    answer = answers[say][0] if manner.brief else rng.choice(answers[say])
    return Turn(question, thought, answer, ((answers[f"key_{say}"],),), "unknown")
