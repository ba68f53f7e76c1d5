"""Blind votes: what voters see tells nothing, every vote counts once, and floods are refused."""

import io
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from backend.contracts import PictureReport, VoteQuestion
from backend.errors import Code, StudioError
from backend.images.png import KEY, read_request
from backend.studio import Studio, votes
from backend.votes.blind import LETTERS, new_code, order_for, pixels_alone, read_code
from backend.votes.pace import Pace
from backend.votes.statistics import shares, wilson
from tests.compared import PRECISIONS, make_comparison, make_text_comparison
from tests.support import OWNER
from ui.app import create_app

VOTER = "visitor:somebody"


@contextmanager
def refused(code: Code) -> Iterator[None]:
    with pytest.raises(StudioError) as caught:
        yield
    assert caught.value.code is code


def opened(studio: Studio, question=VoteQuestion.PREFER, variants=(0, 1, 2), **more) -> str:
    return studio.votes.open(make_comparison(studio).id, question, variants, OWNER, **more)


# ---- statistics ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_that_of_the_literature(successes, trials, low, high) -> None:
    """Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17
    (1998), table I, method 3."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_wilson_at_its_ends() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    z2 = 1.959963984540054**2
    assert wilson(0, 7) == pytest.approx((0.0, z2 / (7 + z2)), abs=1e-15)
    assert wilson(7, 7) == pytest.approx((7 / (7 + z2), 1.0), abs=1e-15)
    first, second, third = shares({4: 3, 9: 1}, (4, 5, 9))
    assert (first.votes, second.votes, third.votes) == (3, 0, 1)
    assert (first.share, second.share, third.share) == (0.75, 0.0, 0.25)
    assert (first.low, first.high) == wilson(3, 4)


# ---- blindness ----------------------------------------------------------------------------------


def test_orders_are_every_order_equally_often_and_the_same_again() -> None:
    people = [f"visitor:{number}" for number in range(1200)]
    orders = [tuple(order_for("secret", one, 0, 3)) for one in people]
    assert orders == [tuple(order_for("secret", one, 0, 3)) for one in people]
    counts = Counter(orders)
    assert set(counts) == set(permutations(range(3)))
    expected = len(people) / 6
    chi2 = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi2 < 20.5, "beyond the 0.999 quantile for five degrees of freedom"
    assert orders != [tuple(order_for("another", one, 0, 3)) for one in people]
    assert orders != [tuple(order_for("secret", one, 1, 3)) for one in people]


def test_a_picture_goes_out_with_its_pixels_alone(studio: Studio) -> None:
    report = make_comparison(studio)
    code = studio.votes.open(report.id, VoteQuestion.REFERENCE, (0, 1, 2), OWNER)
    folder = studio.settings.outputs / report.id
    whole = {number: (folder / f"v{number}-p0-s0.png").read_bytes() for number in range(3)}
    shown = (studio.votes.option(code, VOTER, 0, option) for option in range(3))
    sent = [picture for picture in shown if isinstance(picture, bytes)]
    assert len(sent) == 3
    for picture in sent:
        for told in (KEY, "fp32", "int8", "fp8", "onnx", "parameters", "demo", "circle"):
            assert told.encode() not in picture.lower()
        assert Image.open(io.BytesIO(picture)).info == {}
    assert read_request(folder / "v1-p0-s0.png").precision == "int8"
    data = {number: idat(png) for number, png in whole.items()}
    assert sorted(map(idat, sent)) == sorted(data.values())
    assert len({len(picture) - len(idat(picture)) for picture in sent}) == 1
    for broken in (b"", b"GIF89a", whole[0][:-20]):
        with pytest.raises(ValueError, match="PNG"):
            pixels_alone(broken)


def idat(png: bytes) -> bytes:
    """The compressed pixels, read by Pillow's own parser of chunks."""
    from PIL.PngImagePlugin import ChunkStream

    file = io.BytesIO(png)
    file.seek(8)
    stream, found = ChunkStream(file), b""
    while True:
        kind, _, length = stream.read()
        content = file.read(length)
        stream.crc(kind, content)
        found += content if kind == b"IDAT" else b""
        if kind == b"IEND":
            return found


def test_codes_are_typed_as_people_type() -> None:
    code = new_code()
    assert read_code(f" {code[:4].lower()}-{code[4:]} ") == code
    for wrong in ("", "1" * LETTERS, code[1:], code + "A", "../../etc", "A" * 1000):
        assert read_code(wrong) is None
    assert len({new_code() for _ in range(1000)}) == 1000


# ---- voting -------------------------------------------------------------------------------------


def test_a_vote_is_counted_once_and_the_last_one_counts(any_studio: Studio) -> None:
    code = opened(any_studio, VoteQuestion.REFERENCE)
    items = any_studio.votes.items(code.lower(), VOTER)
    assert [item.voted for item in items] == [None] * 4
    assert {(item.prompt, item.options) for item in items} == {
        (prompt, 3) for prompt in make_comparison(any_studio).request.prompts
    }
    for option in (0, 1, 2, 1):
        any_studio.votes.vote(code, VOTER, 2, option)
    assert [item.voted for item in any_studio.votes.items(code, VOTER)] == [None, None, 1, None]
    any_studio.votes.vote(code, "visitor:else", 2, 0)
    result = any_studio.votes.result(code, OWNER)
    assert (result.votes, result.voters, result.chance) == (2, 2, 1 / 3)
    secret = any_studio.votes._store.find(code)["secret"]
    taken = [order_for(secret, VOTER, 2, 3)[1], order_for(secret, "visitor:else", 2, 3)[0]]
    assert [share.votes for share in result.shares] == [taken.count(n) for n in range(3)]
    any_studio.votes.reset(code, OWNER)
    assert any_studio.votes.result(code, OWNER).votes == 0
    any_studio.votes.delete(code, OWNER)
    with refused(Code.POLL_NOT_FOUND):
        any_studio.votes.items(code, VOTER)


def test_a_crowd_at_once_loses_no_vote(any_studio: Studio) -> None:
    """Fifty people with four votes each, and one who changes a vote a few times meanwhile."""
    code = opened(any_studio)
    start = threading.Barrier(50)

    def person(number: int) -> None:
        start.wait()
        for item in range(4):
            any_studio.votes.vote(code, f"visitor:{number}", item, (number + item) % 3)
        if number == 0:
            for option in (0, 1, 2):
                any_studio.votes.vote(code, "visitor:0", 0, option)

    with ThreadPoolExecutor(50) as crowd:
        list(crowd.map(person, range(50)))
    result = any_studio.votes.result(code, OWNER)
    assert (result.votes, result.voters) == (200, 50)
    assert sum(share.votes for share in result.shares) == 200


def test_the_result_is_hidden_until_it_may_be_seen(studio: Studio) -> None:
    late, early = opened(studio, early=False), opened(studio, early=True)
    for code in (late, early):
        for item in range(4):
            assert studio.votes.result_for(code, VOTER) is None
            studio.votes.vote(code, VOTER, item, 0)
    assert studio.votes.result_for(late, VOTER) is None
    assert studio.votes.result_for(early, "visitor:else") is None
    assert studio.votes.result_for(early, VOTER) == studio.votes.result(early, OWNER)
    studio.votes.close(late, OWNER)
    assert studio.votes.result_for(late, "visitor:else") == studio.votes.result(late, OWNER)
    with refused(Code.VOTING_CLOSED):
        studio.votes.vote(late, VOTER, 0, 1)
    with refused(Code.VOTING_CLOSED):  # closed between the look and the writing
        studio.votes._store.cast(late, VOTER, 0, 1, 10)
    assert studio.votes.result(late, OWNER).votes == 4


def test_answers_are_put_to_the_vote_where_all_have_finished(studio: Studio) -> None:
    report = make_text_comparison(studio)
    code = studio.votes.open(report.id, VoteQuestion.PREFER, (0, 1), OWNER)
    [item] = studio.votes.items(code, VOTER)
    assert item.prompt == "Who is the fox?"
    shown = {studio.votes.option(code, VOTER, 0, option) for option in range(2)}
    assert shown == {"transformers on 0", "vllm on 0"}


# ---- what is refused ----------------------------------------------------------------------------


def test_what_cannot_be_put_to_the_vote(studio: Studio) -> None:
    report = make_comparison(studio)
    for question, variants in (
        (VoteQuestion.PREFER, (1,)),
        (VoteQuestion.PREFER, (1, 1)),
        (VoteQuestion.PREFER, (0, 3)),
        (VoteQuestion.REFERENCE, (1, 2)),
    ):
        with refused(Code.POLL_VARIANTS_INVALID):
            studio.votes.open(report.id, question, variants, OWNER)
    with refused(Code.COMPARISON_NOT_FOUND):
        studio.votes.open(report.id, VoteQuestion.PREFER, (0, 1), "visitor:else")
    part = report.model_copy(update={"pictures": report.pictures[: len(report.pictures) // 3]})
    assert {picture.variant for picture in part.pictures} == {0}
    assert votes.poll_items(part, (0, 1)) == ()


def test_only_its_owner_rules_a_vote_and_only_its_options_can_be_taken(studio: Studio) -> None:
    code = opened(studio)
    for act in (studio.votes.result, studio.votes.close, studio.votes.reset, studio.votes.delete):
        with refused(Code.POLL_NOT_FOUND):
            act(code, "visitor:else")
    for item, option in ((4, 0), (-1, 0), (0, 3), (0, -1)):
        with refused(Code.VOTE_INVALID):
            studio.votes.vote(code, VOTER, item, option)
        with refused(Code.VOTE_INVALID):
            studio.votes.option(code, VOTER, item, option)
    with refused(Code.POLL_NOT_FOUND):
        studio.votes.vote(new_code(), VOTER, 0, 0)


def test_a_flood_is_refused_and_the_votes_before_it_stay(
    any_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    any_studio.votes._voter_pace = Pace(1.0, 15, lambda: clock[0])
    monkeypatch.setattr(votes, "MOST_VOTERS", 3)
    code = opened(any_studio)
    for number in range(15):
        any_studio.votes.vote(code, VOTER, 0, number % 3)
    with refused(Code.VOTES_TOO_FAST):
        any_studio.votes.vote(code, VOTER, 0, 2)
    any_studio.votes.vote(code, "visitor:else", 0, 0)
    clock[0] = 2.0
    any_studio.votes.vote(code, VOTER, 1, 0)
    any_studio.votes.vote(code, "visitor:third", 0, 0)
    with refused(Code.POLL_FULL):
        any_studio.votes.vote(code, "visitor:fourth", 0, 0)
    any_studio.votes.vote(code, VOTER, 1, 1)
    result = any_studio.votes.result(code, OWNER)
    assert (result.votes, result.voters) == (4, 3)


def test_pace_forgets_who_has_rested(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    pace = Pace(1.0, 2, lambda: clock[0])
    monkeypatch.setattr("backend.votes.pace.MOST_NAMES", 3)
    assert [pace.allows("a") for _ in range(3)] == [True, True, False]
    clock[0] = 1.5
    assert pace.allows("b") and pace.allows("c") and pace.allows("d")
    assert "a" in pace._left
    clock[0] = 100.0
    assert pace.allows("e")
    assert set(pace._left) == {"e"}


def test_votes_go_with_their_comparison(any_studio: Studio) -> None:
    code = opened(any_studio)
    any_studio.votes.vote(code, VOTER, 0, 0)
    any_studio.compare.delete(any_studio.votes.poll(code).report, OWNER)
    with refused(Code.POLL_NOT_FOUND):
        any_studio.votes.poll(code)
    assert any_studio.votes._store.tally(code) == ({}, 0)


def test_voters_need_no_account_and_get_nothing_else(studio: Studio, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts"
    accounts.write_text("anna:secret\n")
    code, report = opened(studio), studio.compare.list(OWNER)[0].id
    studio.settings = studio.settings.model_copy(update={"auth": accounts})
    phone = TestClient(create_app(studio), base_url="http://127.0.0.1")
    page = {"x-studio-page": "1"}
    assert "studio_visitor" in phone.get(f"/vote/{code}").headers["set-cookie"]
    assert phone.get(f"/vote/{code}/picture/0/0").headers["content-type"] == "image/png"
    assert (
        phone.post(f"/vote/{code}", json={"item": 0, "option": 0}, headers=page).status_code == 200
    )
    for path in (
        f"/studio/votes/{report}",
        f"/studio/present/{report}",
        f"/files/{report}/v0-p0-s0.png",
    ):
        assert phone.get(path).status_code == 403, path
    assert phone.post(f"/studio/votes/{code}/close", headers=page).status_code == 403
    assert studio.votes.result(code, OWNER).votes == 1


# ---- presentations ------------------------------------------------------------------------------


def test_a_reset_clears_what_the_audience_did_and_nothing_else(studio: Studio) -> None:
    prepared, other = make_comparison(studio), make_comparison(studio)
    code = studio.votes.open(prepared.id, VoteQuestion.PREFER, (0, 1), OWNER)
    kept = studio.votes.open(other.id, VoteQuestion.PREFER, (0, 1), OWNER)
    for one in (code, kept):
        studio.votes.vote(one, VOTER, 0, 0)
    done = make_comparison(studio, prompts=("asked live",))
    studio.presentations._store.present(done.id, prepared.id)
    shown = studio.presentations.reports(prepared.id, OWNER)
    assert [report.id for report in shown] == [prepared.id, done.id]
    with refused(Code.COMPARISON_NOT_FOUND):
        studio.presentations.reset(prepared.id, "visitor:else")
    studio.presentations.reset(prepared.id, OWNER)
    assert [report.id for report in studio.presentations.reports(prepared.id, OWNER)] == [
        prepared.id
    ]
    with refused(Code.COMPARISON_NOT_FOUND):
        studio.compare.show(done.id, OWNER)
    assert not (studio.settings.outputs / done.id).exists()
    assert [studio.votes.result(one, OWNER).votes for one in (code, kept)] == [0, 1]
    assert len(PRECISIONS) == len(studio.compare.show(other.id, OWNER).variants)


def test_a_live_prompt_is_asked_of_the_same_variants_and_swept_when_it_has_stopped(
    studio: Studio,
) -> None:
    torch = tuple({"precision": one, "runtime": "torch"} for one in ("fp32", "bf16"))
    prepared = make_comparison(studio, variants=torch)
    job = studio.presentations.ask(prepared.id, "a blue square", OWNER)
    _, live = studio.presentations.reports(prepared.id, OWNER)
    assert isinstance(live, PictureReport) and isinstance(prepared, PictureReport)
    assert (live.id, live.request.prompts, live.request.seeds) == (job, ("a blue square",), (1,))
    assert live.request.variants == prepared.request.variants
    assert live.request.keep_loaded
    studio.presentations.reset(prepared.id, OWNER)
    assert len(studio.presentations.reports(prepared.id, OWNER)) == 1
    with refused(Code.JOB_NOT_FOUND):
        studio.jobs.get(job, OWNER)
