"""What demo-chat is taught: complete, in both languages, without contradiction."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest

from tools.demo_chat.grammar import LANGUAGES, normal, parse, particles, split, write
from tools.demo_chat.judge import found, in_language, right
from tools.demo_chat.knowledge import facts, load


def test_every_answer_has_its_key_facts():
    wrong = [
        (fact.id, answer)
        for fact in facts()
        for answers in fact.answers.values()
        for answer in answers
        if not right(answer, fact.keys)
    ]
    assert len(facts()) > 250 and not wrong


def test_every_fact_is_asked_in_both_languages_and_has_wordings_held_out():
    poor = [
        (fact.id, language, unseen)
        for fact in facts()
        for language in LANGUAGES
        for unseen in (False, True)
        if len(fact.wordings(language, unseen)) < (1 if unseen else 2)
    ]
    assert not poor


def test_answers_are_in_their_language_and_more_is_said_in_both_or_neither():
    for fact in facts():
        assert all(in_language(text, "ko") for text in fact.answers["ko"]), fact.id
        assert all(in_language(text, "en") for text in fact.answers["en"]), fact.id
        assert (fact.more["en"] is None) == (fact.more["ko"] is None), fact.id


def test_no_question_is_about_two_facts():
    about = defaultdict(set)
    for fact in facts():
        for language in LANGUAGES:
            for unseen in (False, True):
                for seed in range(12):
                    question = normal(fact.question(Random(seed), language, unseen))
                    about[question].add((fact.aspect, fact.labels["en"]))
    assert not {question: found for question, found in about.items() if len(found) > 1}


def test_questions_leave_no_mark_of_the_grammar():
    for fact in facts():
        for language in LANGUAGES:
            for wording in fact.wordings(language, False) + fact.wordings(language, True):
                text = write(wording, Random(1), **fact.slots(Random(1), language))
                assert not set("{}|*") & set(text), text
                assert text == particles(text)


@pytest.mark.parametrize("name", ["unknown", "stories", "sums"])
def test_every_table_has_wordings_held_out(name):
    for language in LANGUAGES:
        table = load(name)[language]
        lists = [table["ask"]] if "ask" in table else [table[op] for op in "+-x/"]
        for wordings in lists:
            assert split(wordings, unseen=True) and split(wordings, unseen=False)
            assert all(parse(wording) for wording in wordings)


def test_nothing_unknown_is_both_held_out_and_trained_on():
    for language in LANGUAGES:
        table = load("unknown")[language]
        held_out = {normal(text) for texts in table.values() for text in split(texts, unseen=True)}
        trained = {normal(text) for texts in table.values() for text in split(texts, unseen=False)}
        assert not held_out & trained


def test_what_is_unknown_is_no_name_of_a_fact():
    named = {normal(name) for fact in facts() for names in fact.names.values() for name in names}
    for language in LANGUAGES:
        for kind, texts in load("unknown")[language].items():
            assert kind in ("ask", "syllables") or not named & set(map(normal, texts)), kind


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("엔진을/를", "엔진을"),
        ("FP8을/를", "FP8을"),
        ("NVFP4이/가", "NVFP4가"),
        ("INT8으로/로", "INT8로"),
        ("BF16으로/로", "BF16으로"),
        ("TensorRT은/는 ONNX과/와", "TensorRT는 ONNX와"),
        ("서울으로/로", "서울로"),
        ("토큰이란/란", "토큰이란"),
        ("캐시이란/란", "캐시란"),
        ("30을/를 7으로/로", "30을 7로"),
        ("Q/DQ 노드", "Q/DQ 노드"),
    ],
)
def test_particles_follow_the_sound_before_them(written, read):
    assert particles(written) == read


def test_alternatives_nest_and_brackets_must_match():
    texts = {write("a (b|c (d|e))", Random(seed)) for seed in range(40)}
    assert texts == {"a b", "a c d", "a c e"}
    with pytest.raises(ValueError, match="unmatched"):
        parse("a (b|c")


def test_numbers_count_as_a_whole():
    assert found("It is 85.", ("85",)) and not found("It is 850 or 1.85", ("85",))
    assert found("a 4-bit format", ("4 bit",)) and not found("a 14-bit format", ("4 bit",))
    assert found("128GB", ("128",))


def test_held_out_wordings_are_not_nearly_those_of_training():
    near = []
    for fact in facts():
        for language in LANGUAGES:
            seen = [set(bare(wording)) for wording in fact.wordings(language, unseen=False)]
            for wording in fact.wordings(language, unseen=True):
                words = set(bare(wording))
                alike = max(len(words & other) / len(words | other) for other in seen)
                if alike >= 0.75:
                    near.append((fact.id, wording))
    assert not near


def bare(wording: str) -> list[str]:
    """A wording's words with the first of all alternatives."""
    return write(wording, FIRST).split()


class First(Random):
    def choice(self, seq):
        return seq[0]


FIRST = First()
