"""Comparisons of answers: what may be asked for, how far two are the same, and the figures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.compare.report import read_report
from backend.compare.text.check import MAX_ANSWERS
from backend.compare.text.figures import likeness, summarised
from backend.compare.text.ledger import open_ledger
from backend.contracts import (
    ComparedAnswer,
    ComparedServer,
    ComparedState,
    CompareTextRequest,
    Figures,
    Machine,
    Sampling,
    ServerKind,
    TextReport,
    TextVariant,
)
from backend.errors import Code, StudioError
from backend.jobs.queue import COMPARING
from backend.language import Text
from backend.settings import Settings
from backend.studio import Studio
from tests.checkpoints import make_checkpoint
from tests.support import OWNER
from tests.tiny_llama import make_tiny_llama
from ui.api.compare_text import compare_text_endpoints
from ui.api.follow import News

HERE = ServerKind.TRANSFORMERS
DONE, WAITING = ComparedState.DONE, ComparedState.WAITING


@pytest.fixture
def home(studio: Studio) -> Path:
    home = studio.settings.home
    for name in ("one", "two"):
        make_tiny_llama(home / "checkpoints" / name)
    make_checkpoint(home / "checkpoints" / "tiny-nvfp4")
    return home


def asked(*models: str, prompts: tuple[str, ...] = ("Hello",), **more: Any) -> CompareTextRequest:
    variants = tuple(TextVariant(model=name, kind=HERE) for name in models)
    return CompareTextRequest(variants=variants, prompts=prompts, **more)


def refused(code: Code, do: Callable[..., Any], *given: Any) -> StudioError:
    with pytest.raises(StudioError) as refusal:
        do(*given)
    assert refusal.value.code is code
    assert refusal.value.info.hint("ko")
    return refusal.value


def test_what_may_be_compared(studio: Studio, home: Path) -> None:
    def check(request: CompareTextRequest) -> None:
        studio.compare_text.check(request, OWNER)

    check(asked("one", "two"))
    folder = str(home / "checkpoints" / "one")
    count = refused(Code.COMPARE_VARIANTS_COUNT, check, asked("one", folder))
    assert count.info.values == {"count": 2, "least": 2, "most": 4}, "the same model by two names"
    refused(Code.COMPARE_VARIANTS_COUNT, check, asked("one"))
    refused(Code.COMPARE_VARIANTS_COUNT, check, asked("one", "two", "3", "4", "5"))
    refused(Code.COMPARE_QUESTIONS_EMPTY, check, asked("one", "two", prompts=(" ", "")))
    many = tuple(map(str, range(MAX_ANSWERS // 2 + 1)))
    refused(Code.COMPARE_TOO_MANY_ANSWERS, check, asked("one", "two", prompts=many))
    refused(Code.CHAT_MODEL_NOT_FOUND, check, asked("one", "nothing"))
    refused(Code.SERVER_UNSUITABLE, check, asked("one", "tiny-nvfp4"))
    hot = Sampling(temperature=9)
    refused(Code.SAMPLING_OUT_OF_RANGE, check, asked("one", "two", sampling=hot))
    plain = TextVariant(model="two", kind=HERE, simulated=True)
    outside = TextVariant(model="", kind=ServerKind.OUTSIDE)
    request = asked("one")
    for variant, code in (
        (plain, Code.CHECKPOINT_NOT_READABLE),
        (outside, Code.SERVER_NOT_FOUND),
    ):
        refused(code, check, request.model_copy(update={"variants": (*request.variants, variant)}))
    simulated = TextVariant(model="tiny-nvfp4", kind=HERE, simulated=True)
    check(request.model_copy(update={"variants": (*request.variants, simulated)}))


def test_the_outside_server_takes_what_openai_documents(studio: Studio, home: Path) -> None:
    studio.desk.settings = Settings(home=home, chat_url="http://127.0.0.1:9")
    [one, outside] = studio.compare_text.variants(["one", "outside"], OWNER)
    request = CompareTextRequest(variants=(one, outside), prompts=("Hello",))
    studio.compare_text.check(request, OWNER)
    narrow = request.model_copy(update={"sampling": Sampling(top_k=5)})
    refused(Code.CHAT_FIELD_UNSUPPORTED, studio.compare_text.check, narrow, OWNER)


def test_names_of_variants(studio: Studio, home: Path) -> None:
    names = ["one", "one@vllm", "tiny-nvfp4@simulated"]
    found = studio.compare_text.variants(names, OWNER)
    assert [(one.model, one.kind, one.simulated) for one in found] == [
        ("one", HERE, False),
        ("one", ServerKind.VLLM, False),
        ("tiny-nvfp4", HERE, True),
    ]
    refused(Code.SERVER_UNSUITABLE, studio.compare_text.variants, ["tiny-nvfp4"], OWNER)
    english, korean = studio.compare_text.questions("en"), studio.compare_text.questions("ko")
    assert english and korean and not set(english) & set(korean)


def test_the_typed_endpoint_asks_for_the_same(studio: Studio, home: Path) -> None:
    def follow(request: Any, submit: Callable[[str], str]) -> News:
        yield {"job_id": submit(OWNER), "state": "queued"}

    [endpoint] = compare_text_endpoints(studio, follow)
    [job] = endpoint(None, ["one", "tiny-nvfp4@simulated"], ["Hello"], seed=3, together=True)
    row = studio.desk.store.find(job["job_id"])
    assert row is not None and row.queue == COMPARING
    assert CompareTextRequest.model_validate(row.request) == CompareTextRequest(
        variants=(
            TextVariant(model="one", kind=HERE),
            TextVariant(model="tiny-nvfp4", kind=HERE, simulated=True),
        ),
        prompts=("Hello",),
        sampling=Sampling(temperature=0, max_tokens=256, seed=3),
        together=True,
    )
    again = studio.compare.repeat(row.id, OWNER)
    repeated = studio.desk.store.find(again)
    assert repeated is not None and repeated.request == row.request
    report = studio.compare.show(row.id, OWNER)
    assert report.kind == "text" and {one.state for one in report.answers} == {WAITING}


def an_answer(variant: int, text: str, reasoning: str = "", **more: Any) -> ComparedAnswer:
    values = {"variant": variant, "prompt": 0, "state": DONE} | more
    return ComparedAnswer(text=text, reasoning=reasoning, **values)


@pytest.mark.parametrize(
    ("reference", "answer", "same"),
    [
        (("Think.", "It is 84."), ("Think.", "It is 85."), 6 + 7),
        (("Think.", "It is 84."), ("Thank.", "It is 84."), 2),
        (("Think", ". It is 84."), ("Think.", " It is 84."), 5),
        (("", "안녕하세요"), ("", "안녕히"), 2),
        (("", "same"), ("", "same"), 4),
        (("", "short"), ("", "shorter"), 5),
    ],
)
def test_how_far_two_are_the_same(
    tmp_path: Path, reference: tuple[str, str], answer: tuple[str, str], same: int
) -> None:
    """The tokenizer has one token a character, Hangul too."""
    folder = make_tiny_llama(tmp_path / "tiny")
    first, second = an_answer(0, *reversed(reference)), an_answer(1, *reversed(answer))
    found = likeness(first, second, folder)
    assert found["same_characters"] == same
    assert found["tokens"] == sum(map(len, answer))
    assert likeness(first, second, None) == {"same_characters": same}
    if answer[1].isascii():
        assert found["same_tokens"] == same


def a_report(
    *answers: ComparedAnswer, temperature: float = 0.0, variants: int = 2, **more: Any
) -> TextReport:
    names = [f"model-{index}" for index in range(variants)]
    sampling = Sampling(temperature=temperature)
    return TextReport(
        id="0",
        title="Hello",
        made_at=1.0,
        request=asked(*names, prompts=("Hello", "Bye"), sampling=sampling),
        together=False,
        machine=Machine(device="CPU", system="", memory_bytes=1, versions={}),
        variants=tuple(
            ComparedServer(model=name, kind=HERE, title="", precision="BF16", state=DONE)
            for name in names
        ),
        answers=answers,
        **more,
    )


def test_figures_are_medians_of_answers_that_shared_nothing() -> None:
    times = [(0.3, True), (0.1, True), (0.2, True), (9.0, False)]
    answers = [
        an_answer(0, "a", ttft_s=ttft, tokens_per_s=10 * ttft, alone=alone, prompt=index)
        for index, (ttft, alone) in enumerate(times)
    ]
    answers.append(an_answer(1, "a", ttft_s=5.0, alone=False))
    first, second = summarised(a_report(*answers)).variants
    assert first.ttft_s and first.tokens_per_s
    found = first.ttft_s
    assert (found.median, found.low, found.high, found.count) == (0.2, 0.1, 0.3, 3)
    assert first.tokens_per_s.median == 2.0
    assert second.ttft_s and second.ttft_s.count == 1, "where none was alone, those that shared"
    assert second.tokens_per_s is None


def test_agreement_is_the_mean_share_of_greedy_answers() -> None:
    def pair(prompt: int, text: str, same: int, tokens: int | None) -> list[ComparedAnswer]:
        own = None if tokens is None else tokens - 1
        return [
            an_answer(0, "abcd", prompt=prompt, tokens=tokens),
            an_answer(1, text, prompt=prompt, same_characters=same, same_tokens=own, tokens=tokens),
        ]

    both = [*pair(0, "abxy", 2, 4), *pair(1, "abcd", 4, 2)]
    first, second = summarised(a_report(*both)).variants
    assert second.agreement == pytest.approx((3 / 4 + 1 / 2) / 2) and second.same == 1
    assert (first.agreement, first.same) == (None, None)
    without = [*pair(0, "abxy", 2, None), *pair(1, "abcd", 4, None)]
    assert summarised(a_report(*without)).variants[1].agreement == pytest.approx(3 / 4)
    drawn = summarised(a_report(*both, temperature=0.7)).variants[1]
    assert (drawn.agreement, drawn.same) == (None, None)


def test_a_job_that_goes_on_keeps_what_is_done(tmp_path: Path) -> None:
    blank = [
        ComparedAnswer(variant=variant, prompt=prompt, state=WAITING)
        for variant in range(2)
        for prompt in range(2)
    ]
    begun = a_report(*blank)
    ledger = open_ledger(tmp_path, begun)
    ledger.begin(0, 0)
    ledger.finish(0, 0, ttft_s=0.5)
    ledger.begin(0, 1)
    ledger.give_up(1, StudioError(Code.SERVER_DIED, server="x").info)
    ledger.close(0)
    ledger.save()
    old = read_report((tmp_path / "report.json").read_bytes())
    assert isinstance(old, TextReport)
    assert [one.state for one in old.variants] == [DONE, ComparedState.FAILED]
    again = open_ledger(tmp_path, begun)
    assert (again.to_ask(0), again.to_ask(1), again.ended()) == ([1], [0, 1], 1)
    assert again.report().answers[0].ttft_s == 0.5
    assert [one.error for one in again.report().variants] == [None, None]
    (tmp_path / "report.json").write_text("{")
    assert open_ledger(tmp_path, begun).ended() == 0


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"agreement": 0.9}, "variants.1.agreement"),
        ({"ttft_s": Figures(median=1, low=1, high=1, count=1)}, "variants.1.ttft_s"),
        ({"kind": ServerKind.VLLM}, "variants"),
    ],
)
def test_an_edited_report_says_where(change: dict[str, Any], place: str) -> None:
    def read(report: TextReport) -> TextReport:
        found = read_report(report.model_dump_json().encode())
        assert isinstance(found, TextReport)
        return found

    answers = (
        an_answer(0, "abcd", ttft_s=0.1),
        an_answer(1, "abxy", ttft_s=0.3, same_characters=2),
    )
    report = summarised(a_report(*answers))
    assert read(report) == report
    first, second = report.variants
    edited = report.model_copy(update={"variants": (first, second.model_copy(update=change))})
    problem = refused(Code.REPORT_UNREADABLE, read, edited).info.values["problem"]
    assert isinstance(problem, Text) and problem.values["place"] == place
    other = report.answers[1].model_copy(update={"text": "abcd"})
    changed = report.model_copy(update={"answers": (report.answers[0], other)})
    problem = refused(Code.REPORT_UNREADABLE, read, changed).info.values["problem"]
    assert isinstance(problem, Text) and problem.values["place"] == "answers.1.same_characters"
