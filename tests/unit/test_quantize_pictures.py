"""Picture models in the wizard and among the results: fields, keys, owners, and what is drawn."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.contracts import (
    BlockSensitivity,
    DenoiserSize,
    EngineRequest,
    FetchPlan,
    ImageQuantizeManifest,
    ImageRecipes,
    JobKind,
    JobState,
    PicturePair,
    PicturesView,
    Precision,
    QuantizeImagesRequest,
    QuantizeImagesResult,
    Runtime,
    Sensitivity,
)
from backend.errors import Code, StudioError
from backend.quantize.images.phases import MANIFEST, checkpoint_of
from backend.quantize.images.results import command_of
from backend.quantize.images.summary import summary
from backend.studio import Studio
from tests.support import OWNER
from tests.unit.test_quantize_script import parsed
from ui.parts.quantize_form import PICTURES, QuantizeForm
from ui.parts.quantize_images_form import images_fields_of, images_request_of, recipe_for
from ui.parts.quantize_images_result import pictures_view
from ui.parts.quantize_result_list import result_list

REQUEST = QuantizeImagesRequest(
    model="demo-flux", recipe="int8", level=2.5, smoothquant_alpha=0.5, samples=8,
    calibration_steps=4, runtime=Runtime.ONNXRUNTIME, prompts="b" * 64, count=2, seed=7, steps=3,
    guidance=3.5, width=64, height=128, calibration="a" * 64,
)  # fmt: skip
PAIRS = (
    PicturePair(prompt="a <b>star</b>", seed=7, reference="01-fp32.png",
                quantised="01-int8.png", psnr_db=31.25, ssim=0.9712),
    PicturePair(prompt="a moon", seed=8, reference="02-fp32.png",
                quantised="02-int8.png", psnr_db=None, ssim=1.0),
)  # fmt: skip
SIZE = DenoiserSize(
    base=Precision.FP32, source_bytes=400_000, whole_bytes=160_000, quantised_bytes=100_000,
    quantised_source_bytes=340_000, ratio_whole=2.5, ratio_quantised_layers=3.4, layers=8,
)  # fmt: skip


def manifest(simulated: bool = False) -> ImageQuantizeManifest:
    runtime = Runtime.TORCH if simulated else Runtime.ONNXRUNTIME
    return ImageQuantizeManifest(
        format=1, request=REQUEST, source="demo-flux", revision=None, fingerprint="0" * 64,
        level=2.5, smoothquant_alpha=0.5, percentile=None, samples=8, calibration_steps=4,
        calibration="1" * 64, target="cpu", engines=("e",), size=SIZE, estimated_bytes=160_000,
        device="CPU", versions={"torch": "2.13"}, made_at=1_700_000_000.0,
        seconds={"calibrate": 12.5, "pictures": 3.0}, peak_memory_bytes={"pictures": 600 << 20},
        reference_step_ms=20.0, step_ms=None if simulated else 10.0,
        quality=summary(PAIRS, simulated=simulated, runtime=runtime, reference=Precision.FP32),
        pictures=PAIRS,
        sensitivity=Sensitivity(
            blocks=(
                BlockSensitivity(block="transformer_blocks.0", layers=7, relative_error=0.037),
                BlockSensitivity(block="single_transformer_blocks.0", layers=3,
                                 relative_error=0.012),
            ),
            whole=0.042, calls=4,
        ),
    )  # fmt: skip


def make_pictures(studio: Studio, owner: str = OWNER, simulated: bool = False) -> str:
    """A finished job with its folder; its key among the results."""
    desk, told = studio.desk, manifest(simulated)
    job = desk.submit(JobKind.QUANTIZE_IMAGES, owner, "demo-flux int8", "demo", REQUEST, 1.0)
    folder = studio.settings.outputs / job
    folder.mkdir(parents=True)
    for pair in PAIRS:
        for name in (pair.reference, pair.quantised):
            Image.new("RGB", (64, 128)).save(folder / name)
    (folder / MANIFEST).write_text(told.model_dump_json())
    result = QuantizeImagesResult(
        checkpoint=checkpoint_of(told, folder), engines=told.engines, quality=told.quality
    )
    desk.store.move(job, JobState.RUNNING)
    desk.store.move(job, JobState.SUCCEEDED, result=result.model_dump(mode="json"))
    return f"pictures:{job}"


def view_of(studio: Studio, key: str) -> PicturesView:
    view = studio.results.show(key, OWNER)
    assert isinstance(view, PicturesView)
    return view


def refused(code: Code, call: Any, *arguments: Any) -> None:
    with pytest.raises(StudioError) as refusal:
        call(*arguments)
    assert refusal.value.code is code


@pytest.fixture
def offered(studio: Studio) -> ImageRecipes:
    return studio.quantize_images.choices("demo-flux", None)


def test_a_request_comes_back_from_its_fields(offered: ImageRecipes) -> None:
    form = QuantizeForm(**images_fields_of(REQUEST))
    assert form.of_pictures
    assert images_request_of(form, recipe_for(form, offered)) == REQUEST


def test_only_what_the_precision_has_is_asked_for(offered: ImageRecipes) -> None:
    """Fields of another precision stay in the form, to come back with it."""
    form = QuantizeForm(**images_fields_of(REQUEST) | {"precision": "fp8", "target": "sm121"})
    asked = images_request_of(form, recipe_for(form, offered))
    assert (asked.recipe, asked.smoothquant_alpha, asked.target) == ("fp8", None, None)
    plain = QuantizeForm(model=f"{PICTURES}demo-flux")
    assert recipe_for(plain, offered).runtimes[0].runs_here, "what runs here comes first"


@pytest.mark.parametrize(
    ("field", "value"), [("watched", "many"), ("smoothquant_alpha", "half"), ("seed", "-1")]
)
def test_what_is_no_number_is_named(offered: ImageRecipes, field: str, value: str) -> None:
    form = QuantizeForm(**images_fields_of(REQUEST) | {field: value})
    refused(Code.INVALID_REQUEST, images_request_of, form, recipe_for(form, offered))


def test_the_hub_is_asked_only_when_told_and_its_answer_remembered(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = QuantizeImagesRequest(model="sdxl-1.0", recipe="fp8")
    asked: list[str] = []

    def answer(engines: EngineRequest) -> FetchPlan:
        asked.append(engines.model)
        sizes = {"total_bytes": 9, "here_bytes": 0, "missing_bytes": 9, "disk_free_bytes": 99}
        return FetchPlan(model=engines.model, repos=(), folder="hub", **sizes)

    def status(ask: bool) -> str:
        plan = studio.quantize_images.plan(request, ask=ask)
        return next(check.status for check in plan.checks if check.name == "hub")

    monkeypatch.setattr(studio.models, "plan_fetch", answer)
    assert (status(ask=False), asked) == ("warn", [])
    assert (status(ask=True), asked) == ("ok", ["sdxl-1.0"])
    assert (status(ask=False), asked) == ("ok", ["sdxl-1.0"])


def test_the_command_is_the_request_again(tmp_path: Path) -> None:
    found = parsed(command_of(REQUEST, tmp_path))
    same = ("model", "recipe", "level", "samples", "calibration_steps", "runtime", "target",
            "count", "seed", "steps", "guidance")  # fmt: skip
    assert {name: found[name] for name in same} == {name: getattr(REQUEST, name) for name in same}
    assert (found["alpha"], found["size"]) == (0.5, "64x128")
    assert Path(found["calibration"]).stem == "a" * 64 and found["prompts"].stem == "b" * 64
    plain = command_of(QuantizeImagesRequest(model="m", recipe="fp8"), tmp_path)
    assert shlex.split(plain) == ["spark-studio", "quantize", "--model", "m", "--recipe", "fp8"]


def test_pictures_are_results_of_their_owner_alone(studio: Studio) -> None:
    key = make_pictures(studio)
    results = studio.results
    (entry,) = results.list(OWNER)
    assert (entry.key, entry.size, entry.pictures) == (key, SIZE, manifest().quality)
    assert not results.list("visitor:other")
    for call in (results.show, results.delete):
        refused(Code.CHECKPOINT_NOT_FOUND, call, key, "visitor:other")
    refused(Code.CHECKPOINT_NOT_FOUND, results.file, key, MANIFEST, "visitor:other")
    assert results.file(key, "01-int8.png", OWNER).is_file()
    refused(Code.CHECKPOINT_NOT_FOUND, results.file, key, "../../studio.db", OWNER)
    refused(Code.CHECKPOINT_NOT_FOUND, results.push, key, "me/it", OWNER)
    folder = Path(entry.path)
    assert results.delete(key, OWNER).size_bytes == entry.size_bytes
    assert not folder.exists() and not results.list(OWNER)


def test_a_manifest_that_cannot_be_read_is_told(studio: Studio) -> None:
    key = make_pictures(studio)
    (entry,) = studio.results.list(OWNER)
    Path(entry.path, MANIFEST).write_text("{")
    (entry,) = studio.results.list(OWNER)
    assert entry.problem is not None and entry.problem.code is Code.CHECKPOINT_MANIFEST_BROKEN
    assert "CHECKPOINT_MANIFEST_BROKEN" in pictures_view(view_of(studio, key), "ko")


def test_a_result_is_drawn_whole(studio: Studio) -> None:
    key = make_pictures(studio)
    html = pictures_view(view_of(studio, key), "en")
    job = key.removeprefix(PICTURES)
    for said in (
        f"/files/{job}/01-fp32.png", f"/files/{job}/01-int8.png", "a &lt;b&gt;star&lt;/b&gt;",
        "PSNR 31.2 dB · SSIM 0.9712", "the same, pixel by pixel", "seed 8", "2.50×", "3.40×",
        "transformer_blocks.0", "3.70%", "4.20 %", ">12 s<", "600.0 MiB", "2.13", "--level 2.5",
    ):  # fmt: skip
        assert said in html, said
    assert "simulated" not in html and 'data-variant="demo-flux/int8/onnxruntime">' in html
    row = result_list(studio.results.list(OWNER), "ko")
    assert "2장 중 1장 같음, SSIM" in row and "시뮬레이션" not in row


def test_simulated_pictures_are_marked_wherever_they_are_shown(studio: Studio) -> None:
    key = make_pictures(studio, simulated=True)
    html = pictures_view(view_of(studio, key), "en")
    assert html.count(">simulated</em>") == len(PAIRS) + 1
    assert "disabled" in html and "another GPU" in html
    assert ">simulated</em>" in result_list(studio.results.list(OWNER), "en")
