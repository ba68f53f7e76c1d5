"""What models write becomes safe HTML, whole or half."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from backend.contracts import (
    AnswerMetrics,
    AnswerNews,
    AnswerState,
    Author,
    ServerKind,
    Turn,
)
from backend.language import Text
from ui.chat_stream import AnswerDrawing
from ui.parts.chat_figures import figures, live_figures
from ui.parts.chat_picker import meter
from ui.parts.markdown import in_divs, markdown
from ui.parts.markdown_draft import SHARE, Draft, mended
from ui.parts.mathml import ATTRIBUTES, ELEMENTS, formula

SAMPLE = """# A format

It is a **4-bit** float with `E2M1` values and *two* scales; see [docs](https://example.org/a_b).

1. First, a block of 16
2. Then a scale $s = \\frac{m}{6}$ for $5 or $10

- a
- b
  - c

Formula:
$$
E = mc^2
$$
and \\(a<b\\), then \\[x^2\\]

| a | b |
|---|---|
| 1 | **2** |

```python
def f(x: int) -> str:
    return f"{x}" # - no list, **no bold**

| no table
```

> quoted <b>x</b>

Line one
line two ~~gone~~

***

```
never closed
"""
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1)) [y](data:text/html,x) [z](vbscript:x) [w](//evil.example)",
    "![cat](https://evil.example/cat.png)",
    '![a" onerror="alert(1)](https://evil.example/x)',
    '[t](https://evil.example/"onmouseover="alert(1))',
    "<https://evil.example/<script>>",
    '```html"><script>alert(1)</script>\n<script>\n```',
    r"$\href{javascript:alert(1)}{x}$ $$\text{<script>alert(1)</script>}$$",
    r"\(\text{&lt;img src=x onerror=alert(1)&gt;}\) $\style{background:url(//evil)}{y}$",
    r"$\class{x}{y}$ $\unicode{x3c}$ $\text{&#60;script&#62;}$",
    "| <script> |\n|---|\n| <svg onload=alert(1)> |",
    "[ref]: javascript:alert(1)\n\n[ref]",
]
TAG = re.compile(r"<([a-z0-9]+)((?: [^<>]*)?)>")
NAME = re.compile(r' ([a-z-]+)="')


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_an_answer_runs_or_loads_anything(text: str) -> None:
    html = markdown(text, "en")
    tags = TAG.findall(re.sub(r"<svg.*?</svg>", "", html))
    assert not {"script", "img", "svg", "iframe", "style", "object"} & {tag for tag, _ in tags}
    for _, attributes in tags:
        names = set(NAME.findall(attributes))
        assert not [name for name in names if name.startswith("on") or name in ("style", "src")]
    for link in re.findall(r"<a[^>]*>", html):
        assert re.match(r'<a href="https://', link)
        assert 'rel="noopener noreferrer"' in link
        assert 'target="_blank"' in link


def test_a_picture_is_shown_as_a_link_to_it() -> None:
    html = markdown("![a cat](https://example.org/cat.png)", "en")
    assert '<a href="https://example.org/cat.png"' in html
    assert ">a cat</a>" in html


def test_code_is_highlighted_in_the_language_that_is_named_and_in_no_other() -> None:
    html = markdown("```python\ndef f(): pass\n```\n\n```klingon\ndef f(): pass\n```", "en")
    known, unknown = html.split('<div class="c-code">')[1:]
    assert '<span class="h-k">def</span>' in known
    assert "def f(): pass" in unknown
    assert "복사" in markdown("```\nx\n```", "ko")


@pytest.mark.parametrize(
    ("latex", "told"),
    [
        (r"\frac{a}{b}", "<mfrac>"),
        (r"x < y", "<mo>&lt;</mo>"),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", "<mtr>"),
        (r"\text{a&b}", "<mtext>a&amp;b</mtext>"),
        (r"\boxed{x}", "<menclose"),
    ],
)
def test_formulas_become_mathml(latex: str, told: str) -> None:
    html = formula(latex, True)
    assert told in html
    assert html.startswith('<math display="block">')
    for node in ET.fromstring(html).iter():
        assert node.tag in ELEMENTS
        assert set(node.attrib) <= ATTRIBUTES | {"display"}


@pytest.mark.parametrize(
    "latex",
    [
        r"\nosuchcommand{x}",
        r"\def\a{\a\a}\a",
        r"\newcommand{\b}{\b}\b",
        "x_",
        "{" * 3000,
        r"\sqrt" * 1000,
        r"\frac{1}{" * 300,
        "x" * 5000,
    ],
)
def test_latex_that_cannot_be_read_is_shown_as_it_was_written(latex: str) -> None:
    assert formula(latex, False).startswith('<code class="c-math-source">')


def test_money_is_no_formula() -> None:
    assert "<math" not in markdown("It costs $5 and then $10-$20, or $ 3 $.", "en")
    assert markdown("so $x$ and \\$y\\$", "en").count("<math") == 1


def written(text: str, step: int) -> tuple[Draft, list[str], list[dict[int, str]]]:
    """A draft that grew by `step` characters; what it shows, and all changes it told."""
    draft, shown, told = Draft("en"), dict[int, str](), list[dict[int, str]]()
    for end in range(step, len(text) + step, step):
        told.append(draft.update(text[:end]))
        shown.update(told[-1])
        shown = {place: html for place, html in shown.items() if place < draft.count}
    return draft, [shown[place] for place in sorted(shown)], told


@pytest.mark.parametrize("step", [1, 3, 17])
def test_a_growing_text_ends_as_the_whole_one(step: int) -> None:
    _, shown, _ = written(SAMPLE, step)
    assert in_divs(shown) == markdown(SAMPLE, "en")


def test_a_finished_block_is_told_no_more() -> None:
    text = "".join(f"Paragraph {number} with **words**.\n\n" for number in range(20))
    _, _, told = written(text, 1)
    last = {place: number for number, changes in enumerate(told) for place in changes}
    assert list(last.values()) == sorted(last.values())
    assert last[0] <= text.index("Paragraph 2")


@pytest.mark.parametrize(
    "unit",
    ["word **bold** `code` ", "- an item\n", "a paragraph\n\n", "| a | b |\n|---|---|\n"],
)
def test_the_work_on_a_text_is_proportional_to_its_length(unit: str) -> None:
    for size in (600, 2400):
        text = unit * (size // len(unit))
        draft, _, _ = written(text, 3)
        assert draft.worked < (SHARE + 2) * len(text)


def test_a_text_that_turns_out_to_be_reasoning_is_taken_back() -> None:
    draft = Draft("en")
    assert draft.update("one\n\ntwo")
    assert draft.count == 2
    assert draft.update("") == {}
    assert draft.count == 0
    assert draft.update("other") == {0: "<p>other</p>\n"}


@pytest.mark.parametrize(
    ("half", "whole"),
    [
        ("so **bo", "so **bo**"),
        ("so **", "so "),
        ("run `ls", "run `ls`"),
        ("see [the docs](https://exa", "see the docs"),
        ("text\n-", "text"),
        ("text\n##", "text"),
        ("| a | b |", ""),
        ("| a | b |\n|--", ""),
        ("so \\(x", "so "),
        ("4.", "4\\."),
        ("```python\nx = **", "```python\nx = **"),
        ("done.", "done."),
    ],
)
def test_halves_of_markdown_are_not_shown_as_something_else(half: str, whole: str) -> None:
    assert mended(half) == whole


AUTHOR = Author(model="tiny", precision="NVFP4", server="tiny/vllm", kind=ServerKind.VLLM)


def turn(**changes: object) -> Turn:
    values: dict[str, object] = {
        "id": "t",
        "parent": "q",
        "role": "assistant",
        "content": "Hello.",
        "created_at": 0.0,
        "versions": ("t",),
        "state": AnswerState.WRITING,
        "author": AUTHOR,
    }
    return Turn.model_validate(values | changes)


def test_figures_leave_out_what_is_unknown_and_mark_what_is_a_guess() -> None:
    metrics = AnswerMetrics(
        ttft_s=0.21, tokens_per_s=34.27, total_s=2.0, completion_tokens=60, counted="chunks"
    )
    html = figures(turn(state="done", metrics=metrics), "en")
    for words in ("tiny", "NVFP4", "vLLM", "0.21 s", "about 60", "about 34.3 tok/s"):
        assert words in html
    for words in ("Prompt tokens", "Peak memory", "End", "simulated"):
        assert words not in html
    counted = metrics.model_copy(update={"counted": "server", "prompt_tokens": 1200})
    simulated = AUTHOR.model_copy(update={"simulated": True})
    done = turn(state="done", metrics=counted, author=simulated, peak_memory_bytes=2 * 1024**3)
    html = figures(done, "en")
    for words in ("1,200", "<dd>60</dd>", "2.0 GiB", "weights only, simulated"):
        assert words in html
    waiting = AnswerNews(turn=turn(content=""), elapsed_s=1.44, tokens=0)
    assert "1.4 s" in live_figures(waiting, "en")


def test_an_answer_is_told_as_what_changed() -> None:
    drawing = AnswerDrawing("c", "en")
    thinking = AnswerNews(
        turn=turn(content="", reasoning="Let me see."), elapsed_s=1.0, tokens=3, ttft_s=0.5
    )
    news = drawing.changes(thinking)
    assert news["thinking"]
    assert news["thought"] == "Thinking…"
    assert news["reasoning"] == {"blocks": {0: "<p>Let me see.</p>\n"}, "count": 1}
    text = turn(content="One.\n\nTwo", reasoning="Let me see.")
    news = drawing.changes(AnswerNews(turn=text, elapsed_s=2.6, tokens=9, reasoning_s=2.1))
    assert not news["thinking"]
    assert news["thought"] == "Thought for 2.10 s"
    assert news["reasoning"]["blocks"] == {}
    assert list(news["text"]["blocks"]) == [0, 1]
    waits = AnswerNews(turn=text, elapsed_s=0, tokens=0, waiting=Text(key="waiting.beside"))
    assert "Waits for the answer beside it" in drawing.changes(waits)["line"]
    metrics = AnswerMetrics(total_s=3.0, reasoning_s=2.0, finish_reason="stop")
    ended = text.model_copy(update={"state": AnswerState.DONE, "metrics": metrics})
    news = drawing.changes(AnswerNews(turn=ended, elapsed_s=3.0, tokens=9))
    assert "Thought for 2.00 s" in news["end"]
    assert news["said"] == "One.\n\nTwo"
    assert json.dumps(news)


def test_the_context_meter_warns_before_the_limit() -> None:
    assert meter(None, None, "en") == ""
    assert "up to 8,192 tokens" in meter(None, 8192, "en")
    assert 'data-state="free"' in meter(4000, 8192, "en")
    assert "nearly full" in meter(7000, 8192, "en")
    assert "Hardly any room" in meter(9000, 8192, "en")
