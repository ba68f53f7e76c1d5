"""However a text is cut into pieces, the same comes out."""

from itertools import combinations, pairwise

import pytest

from backend.chat.client.thinking import StopCutter, ThinkSplitter
from backend.chat.template import opens_thinking


def split(pieces: list[str], opened: bool) -> tuple[str, str]:
    """Reasoning and text."""
    splitter = ThinkSplitter(opened)
    parts = [part for piece in pieces for part in splitter.feed(piece)] + splitter.end()
    reasoning, text = "", ""
    for kind, value in parts:
        if kind == "moved":
            reasoning, text = text, ""
        elif kind == "reasoning":
            reasoning += value
        else:
            text += value
    return reasoning, text


def cuttings(text: str, most: int = 2) -> list[list[str]]:
    """The text in one, two and three pieces, cut everywhere."""
    found = []
    for count in range(most + 1):
        for places in combinations(range(1, len(text)), count):
            ends = [0, *places, len(text)]
            found.append([text[a:b] for a, b in pairwise(ends)])
    return [*found, list(text)]


@pytest.mark.parametrize(
    ("text", "opened", "wanted"),
    [
        ("<think>\nHm</think>\n\nYes", False, ("Hm", "Yes")),
        ("Hm</think>Yes", True, ("Hm", "Yes")),
        ("<think>Hm</think>Yes", True, ("Hm", "Yes")),
        ("Hm</think>Yes", False, ("Hm", "Yes")),
        ("Hm, that is all", True, ("Hm, that is all", "")),
        ("No tags <b> here", False, ("", "No tags <b> here")),
        ("Write <think> so", False, ("", "Write <think> so")),
        ("<think>a</think>b</think>c", False, ("a", "b</think>c")),
        ("<think></think>Yes", False, ("", "Yes")),
        ("a <thi", False, ("", "a <thi")),
    ],
)
def test_reasoning_is_told_from_text(text: str, opened: bool, wanted: tuple[str, str]) -> None:
    for pieces in cuttings(text):
        assert split(pieces, opened) == wanted, pieces


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("One END two", "One "), ("One EN two", "One EN two"), ("STOP", ""), ("EEND", "E")],
)
def test_a_text_ends_before_its_stop_string(text: str, wanted: str) -> None:
    for pieces in cuttings(text):
        cutter = StopCutter(("END", "STOP"))
        told = "".join(cutter.feed(piece) for piece in pieces) + cutter.end()
        assert told == wanted, pieces


@pytest.mark.parametrize(
    ("template", "opens"),
    [
        ("{% if add_generation_prompt %}{{ '<|assistant|><think>\\n' }}{% endif %}", True),
        ("{{ messages[0].content }}<think>", True),
        ("{{ '<think>\n\n</think>\n\n' }}", False),
        ("{% if enable_thinking is defined %}<think>{% endif %}", False),
        ("{{ raise_exception('no') }}<think>", False),
        ("{% broken", False),
        ("{{ ''.__class__.__mro__ }}<think>", False),
        ("", False),
    ],
)
def test_a_template_that_opens_the_reasoning_itself(template: str, opens: bool) -> None:
    assert opens_thinking(template) is opens
