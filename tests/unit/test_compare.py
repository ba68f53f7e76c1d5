"""Comparisons: what may be asked for, what a report must be, and what its figures say."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from app import app
from backend.compare.figures import summarised
from backend.compare.order import Place, loading_order, missing
from backend.compare.pictures import begin_report
from backend.compare.prompts import BUILTIN_COUNT, builtin_prompts, parse_list
from backend.compare.report import REPORT, write_report
from backend.compare.score import score
from backend.contracts import (
    ComparedPicture,
    ComparedState,
    CompareRequest,
    JobKind,
    JobState,
    PictureReport,
)
from backend.errors import Code, StudioError
from backend.jobs.retention import sweep
from backend.jobs.store import new_job
from backend.models.catalog import find_model
from backend.models.requests import check_prompt
from backend.settings import Settings
from backend.studio import Studio
from tests.support import OWNER

FP32 = {"precision": "fp32", "runtime": "torch"}
BF16 = {"precision": "bf16", "runtime": "torch"}
INT8 = {"precision": "int8", "runtime": "onnxruntime"}


def request(**changes: Any) -> CompareRequest:
    values: dict[str, Any] = {
        "model": "demo-flux",
        "variants": [FP32, BF16],
        "prompts": ["a ring", "a star"],
        "seeds": [3, 4],
        "steps": 2,
        "guidance": 3.5,
        "width": 64,
        "height": 64,
    }
    return CompareRequest.model_validate(values | changes)


@pytest.fixture(scope="module")
def one_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """In which nothing is left."""
    studio = Studio(Settings(home=tmp_path_factory.mktemp("home")))
    yield studio
    studio.close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"variants": [FP32]}, Code.COMPARE_VARIANTS_COUNT),
        ({"variants": [FP32, FP32]}, Code.COMPARE_VARIANTS_COUNT),
        ({"variants": [FP32, BF16] * 4}, Code.COMPARE_VARIANTS_COUNT),
        ({"variants": [FP32, INT8]}, Code.VARIANT_UNAVAILABLE),
        ({"variants": [FP32, INT8 | {"precision": "int4"}]}, Code.VARIANT_UNKNOWN),
        ({"model": "flux.1-dev", "width": 256, "height": 256}, Code.VARIANT_UNAVAILABLE),
        ({"model": "../etc"}, Code.MODEL_UNKNOWN),
        ({"prompts": ["", " "]}, Code.COMPARE_PROMPTS_EMPTY),
        ({"seeds": []}, Code.COMPARE_PROMPTS_EMPTY),
        ({"prompts": [f"star {n}" for n in range(10_000)]}, Code.COMPARE_TOO_MANY_PICTURES),
        ({"prompts": ["a ring", "x" * 5000]}, Code.PROMPT_TOO_LONG),
        ({"seeds": [1, 2**40]}, Code.SEED_OUT_OF_RANGE),
        ({"steps": 0}, Code.STEPS_OUT_OF_RANGE),
        ({"width": 65}, Code.SIZE_NOT_MULTIPLE),
        ({"negative_prompt": "a bird"}, Code.NEGATIVE_PROMPT_UNSUPPORTED),
    ],
)
def test_what_cannot_be_compared_is_refused(
    one_studio: Studio, changes: dict[str, Any], code: Code
) -> None:
    with pytest.raises(StudioError) as refusal:
        one_studio.compare.compare(request(**changes), OWNER)
    assert refusal.value.code is code
    assert refusal.value.info.message("ko") and refusal.value.info.hint("ko")
    assert one_studio.compare.list(OWNER) == ()


def test_a_variant_may_be_named_by_its_precision_alone(studio: Studio) -> None:
    found = studio.compare.variants(["BF16", " fp32/torch"], "demo-flux")
    assert [one.model_dump(mode="json") for one in found] == [BF16, FP32]
    for name, code in (("int8", Code.VARIANT_UNAVAILABLE), ("fp7", Code.INVALID_REQUEST)):
        with pytest.raises(StudioError) as refusal:
            studio.compare.variants([name], "demo-flux")
        assert refusal.value.code is code


def test_lists_of_prompts(settings: Settings) -> None:
    lines = b'{"prompt": "a ring"}\n\n"a star"\n{"text": "a\\nmoon"}\n'
    assert parse_list(lines, "a.JSONL") == ("a ring", "a star", "a moon")
    assert parse_list(b"a ring\n\n a star \n", "a.txt") == ("a ring", "a star")
    for content in (b"{}", b"no json", b"[1]", b"", b'"\xff"'):
        with pytest.raises(StudioError) as refusal:
            parse_list(content, "a.jsonl")
        assert refusal.value.code is Code.PROMPTS_UNREADABLE
    entry = find_model(settings, "demo-flux")
    own = builtin_prompts(entry)
    assert len(own) == len(set(own)) > BUILTIN_COUNT and own[0] in entry.examples
    for prompt in own:
        check_prompt(prompt, entry)


def painted(report: PictureReport, place: Place, **values: Any) -> PictureReport:
    """The report with one more picture."""
    told = {"width": 64, "height": 64, "warm": True, "total_s": 1.0, "step_ms": 1, "decode_ms": 1}
    told |= {"variant": place.variant, "prompt": place.prompt, "seed": place.seed}
    one = ComparedPicture.model_validate(told | {"file": place.file} | values)
    return report.model_copy(update={"pictures": (*report.pictures, one)})


@pytest.fixture
def begun(settings: Settings) -> PictureReport:
    data = request().model_dump(mode="json")
    row = new_job(JobKind.COMPARE, "interactive", 10, OWNER, "a ring", "demo-flux/c", data, 1.0)
    return begin_report(settings, row)


@pytest.fixture
def report(begun: PictureReport) -> PictureReport:
    """Of three pictures by the reference and two by the other."""
    loaded = tuple(one.model_copy(update={"load_s": 1.0}) for one in begun.variants)
    found = begun.model_copy(update={"variants": loaded})
    found = painted(found, Place(0, 0, 0), total_s=9.0, warm=False, text_encode_ms=5.0)
    found = painted(found, Place(0, 0, 1), total_s=4.0)
    found = painted(found, Place(0, 1, 0), total_s=6.0)
    found = painted(found, Place(1, 0, 0), total_s=7.0, warm=False, psnr_db=30.0, ssim=0.5)
    found = painted(found, Place(1, 0, 1), total_s=2.0, identical=True, ssim=1.0)
    return summarised(found)


def test_figures_are_medians_of_warm_pictures(report: PictureReport) -> None:
    reference, other = report.variants
    assert reference.total_s and other.total_s and other.ssim and other.psnr_db
    assert (reference.total_s.median, reference.total_s.low, reference.total_s.high) == (5, 4, 6)
    assert (reference.first_s, other.first_s, other.warm) == (9, 7, True)
    assert (reference.speed_up, other.speed_up) == (1, 2.5)
    assert (other.psnr_db.count, other.ssim.median, other.identical) == (1, 0.75, 1)
    assert reference.text_encode_ms and reference.text_encode_ms.count == 1
    assert reference.weights_bytes and not reference.engine_bytes
    alone = report.model_copy(update={"pictures": report.pictures[:4]})
    single = summarised(alone).variants[1]
    assert (single.warm, single.total_s and single.total_s.median) == (False, 7)
    assert single.speed_up == pytest.approx(9 / 7), "both first"


def test_each_variant_is_loaded_once_and_the_encoder_first(begun: PictureReport) -> None:
    assert loading_order(begun, {"demo-flux/bf16/torch"}) == [0, 1]
    again = begun.model_copy(update={"encoded_by": 1})
    assert loading_order(again, set()) == [1, 0]
    each = request(share_embeddings=False, variants=[FP32, BF16, INT8])
    three = (*begun.variants, begun.variants[1])
    alone = begun.model_copy(update={"request": each, "variants": three})
    assert loading_order(alone, {"demo-flux/int8/onnxruntime", "demo-flux/bf16/torch"})[-1] == 0
    killed = three[0].model_copy(update={"state": ComparedState.RUNNING})
    late = alone.model_copy(update={"variants": (killed, *three[1:])})
    assert loading_order(late, {"demo-flux/fp32/torch"}) == [1, 2, 0]
    assert len(missing(painted(begun, Place(1, 0, 1)), 1)) == 3


def edited(report: PictureReport, *place: str | int, to: Any) -> bytes:
    data = json.loads(report.model_dump_json())
    target = data
    for part in place[:-1]:
        target = target[part]
    target[place[-1]] = to
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("place", "to", "where"),
    [
        (("kind",), "audio", "no report"),
        (("format",), 0, "format"),
        (("reference",), 2, "reference"),
        (("steps",), 3, "steps"),
        (("pictures", 1, "seed"), 0, "pictures.1"),
        (("pictures", 1, "variant"), -1, "pictures.1"),
        (("pictures", 1, "file"), "../../etc/passwd", "pictures.1.file"),
        (("pictures", 1, "total_s"), 0.5, "variants.0.total_s"),
        (("variants", 1, "speed_up"), 99.0, "variants.1.speed_up"),
        (("variants", 1, "precision"), "fp8", "variants"),
        (("variants", 0, "load_s"), float("nan"), "JSON"),
    ],
)
def test_an_edited_report_is_refused_and_says_where(
    one_studio: Studio, report: PictureReport, place: tuple[str | int, ...], to: Any, where: str
) -> None:
    with pytest.raises(StudioError) as refusal:
        one_studio.compare.read(edited(report, *place, to=to))
    assert refusal.value.code is Code.REPORT_UNREADABLE
    assert where in refusal.value.info.message()


def test_reports_are_read_from_json_and_from_their_page(
    studio: Studio, report: PictureReport, tmp_path: Path
) -> None:
    from backend.compare.html import write_html

    for one in report.pictures:
        Image.new("RGB", (64, 64)).save(tmp_path / one.file)
    write_report(report, tmp_path)
    assert studio.compare.read((tmp_path / REPORT).read_bytes()) == report
    page = studio.compare.read(write_html(report, tmp_path).read_bytes())
    assert isinstance(page, PictureReport)
    assert page.variants == report.variants and page.pictures[0].file.startswith("data:image/png")
    for content in (b"", b"\xff", b"<html></html>", b"[" * 100_000, b"[]"):
        with pytest.raises(StudioError) as refusal:
            studio.compare.read(content)
        assert refusal.value.code is Code.REPORT_UNREADABLE
    with pytest.raises(StudioError) as refusal:
        studio.compare.read(edited(report, "format", to=2))
    assert refusal.value.code is Code.REPORT_NEWER


def test_pictures_are_scored_as_their_files_are(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (16, 16, 3), np.uint8)

    def saved(name: str, content: np.ndarray) -> Path:
        Image.fromarray(content).save(tmp_path / name)
        return tmp_path / name

    reference = saved("a.png", pixels)
    assert score(saved("b.png", pixels), reference) == {"identical": True, "ssim": 1.0}
    noisy = score(saved("c.png", pixels ^ 8), reference)
    assert noisy["psnr_db"] == pytest.approx(20 * np.log10(255 / 8)) and 0 < noisy["ssim"] < 1
    small = score(saved("d.png", pixels[:8]), saved("e.png", pixels[:8] ^ 8))
    assert small["psnr_db"] > 0 and small["ssim"] is None
    unequal = score(saved("f.png", pixels[:8]), reference)["unscored"]
    assert unequal.code is Code.PICTURES_UNEQUAL and "16×8" in unequal.message()


@pytest.fixture
def kept(studio: Studio, report: PictureReport) -> str:
    """A comparison of OWNER's that has ended, long ago."""
    job = studio.compare.compare(request(), OWNER)
    studio.jobs.cancel(job, OWNER)
    studio.desk.store.update(job, finished_at=1.0, state=JobState.FAILED)
    write_report(report.model_copy(update={"id": job}), studio.settings.outputs / job)
    for one in report.pictures:
        Image.new("RGB", (64, 64)).save(studio.settings.outputs / job / one.file)
    return job


def test_past_comparisons_are_their_owners(studio: Studio, kept: str) -> None:
    compare = studio.compare
    waiting = compare.compare(request(prompts=["a moon"]), OWNER)
    assert compare.show(waiting, OWNER).variants[0].state is ComparedState.WAITING
    assert [one.id for one in compare.list(OWNER)] == [waiting, kept]
    assert [one.pictures for one in compare.list(OWNER)] == [0, 5]
    for words in ("A STAR", "bf16/torch", "demo-flux"):
        assert kept in {one.id for one in compare.list(OWNER, words)}
    assert compare.list(OWNER, "nothing") == compare.list("visitor:other") == ()
    for call in (compare.show, compare.html, compare.repeat, compare.delete):
        with pytest.raises(StudioError) as refusal:
            call(kept, "visitor:other")
        assert refusal.value.code is Code.COMPARISON_NOT_FOUND
    for name in ("../report.json", "none.png", ".", ""):
        with pytest.raises(StudioError) as refusal:
            compare.file(kept, name, OWNER)
        assert refusal.value.code is Code.COMPARISON_NOT_FOUND
    assert compare.file(kept, REPORT, OWNER).is_file()
    compare.rename(kept, "  rings\nand stars ", OWNER)
    assert compare.show(kept, OWNER).title == compare.list(OWNER, "rings")[0].title
    assert b"rings and stars" in compare.html(kept, OWNER).read_bytes()
    again = compare.repeat(kept, OWNER)
    assert studio.jobs.get(again, OWNER).request == request().model_dump(mode="json")
    with pytest.raises(StudioError) as refusal:
        compare.delete(waiting, OWNER)
    assert refusal.value.code is Code.JOB_STILL_RUNNING
    sizes = [
        item.size_bytes
        for group in studio.disk.storage(OWNER).groups
        for item in group.items
        if kept[:8] in item.name
    ]
    assert len(sizes) == 1 and sizes[0] > 0
    assert sweep(studio.settings, studio.desk.store, studio.desk.queue) == 0, "kept till deleted"
    compare.delete(kept, OWNER)
    assert not (studio.settings.outputs / kept).exists()
    assert [one.id for one in compare.list(OWNER)] == [again, waiting]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--from", "a.json", "--steps", "3"), "--from takes no --steps"),
        (("--models", "a,b", "--size", "64x64"), "--models takes no --size"),
        (("--models", "a,b", "--seed", "1", "--seed", "2"), "--models takes one --seed"),
        (("--precisions", "fp32,bf16", "--together"), "pictures takes no --together"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    arguments: tuple[str, ...], named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["compare", *arguments, "--json"])
    told = json.loads(done.stdout)["error"]
    assert (done.exit_code, told["code"]) == (1, "INVALID_REQUEST") and named in told["message"]
