"""Conversations by lot, and what training never sees of them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from tools.demo_chat import heldout, sums
from tools.demo_chat.dialogues import Dialogue, dialogue, training_dialogues
from tools.demo_chat.grammar import LANGUAGES
from tools.demo_chat.heldout import banned, known, texts, unknown
from tools.demo_chat.knowledge import facts
from tools.demo_chat.noise import typed
from tools.demo_chat.package import CALIBRATION_BYTES, calibration_rows, perplexity_rows


@pytest.fixture(scope="module")
def trained_on() -> list[Dialogue]:
    return list(training_dialogues(1, 3000, banned()))


def test_300_questions_are_held_out_half_of_them_korean():
    languages = Counter(row.language for row in known())
    assert len(known()) == 300 and len({row.core for row in known()}) == 300
    assert abs(languages["en"] - languages["ko"]) <= 20
    assert len(unknown()) == 60
    about_facts = {row.keys for row in known() if row.kind == "fact"}
    assert len(about_facts) > 120


def test_the_held_out_questions_stay_what_they_are():
    asked = [
        (row.messages, row.keys, row.kind, row.language, row.core, row.longest)
        for row in (*known(), *unknown())
    ]
    digest = hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()
    assert digest == "0f24d088dc1d7d58b714406e565f33cbf2a30fdf732c64a33202e837468772ed"


def test_held_out_questions_ask_for_what_the_facts_say_today():
    today = {fact.keys for fact in facts()}
    assert not [row.core for row in known() if row.kind == "fact" and row.keys not in today]


def test_held_out_questions_can_be_drawn_anew():
    parts = Counter(json.loads(line)["part"] for line in heldout.draw().splitlines())
    assert parts == {"known": 300, "unknown": 60, "texts": 240}


def test_training_sees_no_held_out_question(trained_on):
    assert not {row.core for row in trained_on} & banned()
    endings = {content for row in trained_on for _, content in row.messages}
    assert not endings & {row.messages[-1][1] for row in known() if len(row.messages) == 1}


def test_the_same_seed_gives_the_same_dialogues(trained_on):
    assert list(training_dialogues(1, 50, banned())) == trained_on[:50]


def test_own_answers_are_right_and_those_to_other_questions_are_not(trained_on):
    rows = (*trained_on, *known(), *unknown())
    assert not [row for row in rows if not row.judged(row.answer)]
    asked = known()
    fooled = sum(row.judged(other.answer) for row, other in pairwise(asked))
    assert fooled < 0.05 * len(asked)


def test_dialogues_hardly_repeat_and_cover_everything(trained_on):
    assert len({row.messages for row in trained_on}) > 0.98 * len(trained_on)
    assert {row.kind for row in trained_on} == {
        "fact",
        "follow-up",
        "sum",
        "word",
        "story",
        "unknown",
    }
    assert any(len(row.messages) > 8 for row in trained_on)
    assert sum(row.messages[0][0] == "system" for row in trained_on) > 300


def test_a_wish_is_obeyed():
    wanted = [dialogue(Random(seed), "fact", "en", unseen=True, wish=True) for seed in range(40)]
    korean = [row for row in wanted if row.language == "ko"]
    brief = [row for row in wanted if row.longest]
    assert korean and brief
    assert not any(row.judged("An answer in English.") for row in korean)
    assert not any(row.judged(row.answer + " " + row.answer) for row in brief)


@pytest.mark.parametrize("operation", sums.OPERATIONS)
def test_sums_are_right_in_every_step(operation):
    rng = Random(3)
    for _ in range(200):
        a, b = sums.pick(rng, operation, unseen=False)
        written = sums.steps(a, operation, b)
        for step in written.split(", "):
            left, _, right = step.partition(" → ")[0].replace("x", "*").partition("=")
            assert eval(left) == int(right), written
        if operation in "+-":
            assert int(written.rpartition("→ ")[2]) == sums.result(a, operation, b)
        assert sums.result(a, operation, b) == eval(
            f"{a} {operation.replace('x', '*').replace('/', '//')} {b}"
        )
        assert not sums.held_out(a, operation, b)


@pytest.mark.parametrize("language", LANGUAGES)
def test_typing_keeps_numbers(language):
    for seed in range(200):
        text = typed("what is 47 + 38", Random(seed), language, slips=False)
        assert "47" in text and "38" in text and "+" in text


def test_texts_for_measuring_and_calibrating_do_not_meet():
    calibration, held_out = calibration_rows(), perplexity_rows()
    assert sum(len(row["text"].encode()) for row in calibration) < CALIBRATION_BYTES < 150_000
    assert len(held_out) == len(texts())
    conversations = {row["text"] for row in held_out if "<think>" in row["text"]}
    assert conversations and not conversations & {row["text"] for row in calibration}
