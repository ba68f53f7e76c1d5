"""Comparing pictures as a job: killed, with a variant that fails, and through the command."""

import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import app
from backend.compare.order import Place, picture_request
from backend.contracts import (
    ComparedState,
    CompareRequest,
    CompareResult,
    JobSnapshot,
    JobState,
    PictureReport,
)
from backend.errors import Code
from backend.images.png import read_request
from backend.settings import Settings
from backend.studio import Studio
from tests.support import OWNER, PATIENCE_S, environment, running_worker
from tests.tiny_flux import NAME, copy_engines

SIDE = 64
TORCH, BROKEN, INT8 = (
    {"precision": precision, "runtime": runtime}
    for precision, runtime in (
        ("fp32", "torch"),
        ("fp32", "onnxruntime"),
        ("int8", "onnxruntime"),
    )
)


def request(**changes: Any) -> CompareRequest:
    values: dict[str, Any] = {
        "model": NAME,
        "variants": [TORCH, BROKEN, INT8],
        "prompts": ["a red ring", "a blue star"],
        "seeds": [5, 6],
        "steps": 8,
        "guidance": 3.5,
        "width": SIDE,
        "height": SIDE,
    }
    return CompareRequest.model_validate(values | changes)


def make_clip(folder: Path) -> None:
    """A CLIP model of random weights."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    small |= {"num_attention_heads": 2}
    vision = small | {"image_size": 32, "patch_size": 8, "projection_dim": 8}
    text = small | {"vocab_size": 16, "bos_token_id": 1, "eos_token_id": 2}
    config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessor(**sizes).save_pretrained(folder)


@pytest.fixture(scope="module")
def studio(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, tiny_engines: Path
) -> Iterator[Studio]:
    """Without a worker."""
    home = tmp_path_factory.mktemp("compare")
    copy_engines(tiny_engines, home)
    make_clip(home / "clip")
    (home / "studio.toml").write_text(f'similarity_model = "{home / "clip"}"\n')
    studio = Studio(Settings(home=home, models=(tiny_models,), similarity_model=str(home / "clip")))
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def done(studio: Studio) -> JobSnapshot:
    """Its worker was killed after two pictures, and an engine went away while it waited."""
    job_id = studio.compare.compare(request(), OWNER)
    (engine,) = (studio.settings.home / "engines").glob(f"{NAME}.transformer.fp32.onnxruntime.*")
    shutil.rmtree(engine)
    with running_worker(studio.settings):
        two = lambda job: len(job.images) == 2 or not job.state.is_live  # noqa: E731
        assert studio.jobs.wait(job_id, OWNER, PATIENCE_S, until=two).state is JobState.RUNNING
    folder = studio.settings.outputs / job_id
    painted = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.png")}
    early = studio.compare.show(job_id, OWNER)
    assert isinstance(early, PictureReport)
    known = {one.file for one in early.pictures}
    assert len(known) >= 2 and early.variants[0].state is ComparedState.RUNNING
    with running_worker(studio.settings):
        job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    for name in known:
        assert (folder / name).stat().st_mtime_ns == painted[name], "painted once"
    return job


@pytest.fixture(scope="module")
def report(studio: Studio, done: JobSnapshot) -> PictureReport:
    found = studio.compare.show(done.id, OWNER)
    assert isinstance(found, PictureReport)
    return found


@pytest.fixture(scope="module")
def worker(studio: Studio, done: JobSnapshot) -> Iterator[None]:
    with running_worker(studio.settings):
        yield


def pixels(studio: Studio, job: str, file: str) -> np.ndarray:
    return np.asarray(Image.open(studio.compare.file(job, file, OWNER)))


def alone(studio: Studio, asked: CompareRequest, place: Place) -> np.ndarray:
    """What Generate makes of the same request."""
    one = picture_request(asked, place)
    job = studio.jobs.wait(studio.pictures.generate(one, OWNER), OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    return np.asarray(Image.open(job.images[0].path))


def test_one_variant_fails_alone(studio: Studio, done: JobSnapshot, report: PictureReport) -> None:
    reference, broken, int8 = report.variants
    assert broken.state is ComparedState.FAILED and broken.pictures == 0
    assert broken.error and broken.error.code is Code.VARIANT_UNAVAILABLE
    assert broken.error.message("ko") and not broken.error.detail
    assert reference.state is int8.state is ComparedState.DONE
    assert (reference.pictures, int8.pictures) == (4, 4)
    result = CompareResult.model_validate(done.result)
    assert result.rows == report.variants
    folder = Path(result.folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {one.file for one in report.pictures} == set(manifest["sha256"])
    assert studio.compare.read((folder / "report.html").read_bytes()).variants == report.variants
    assert [one.pictures for one in studio.compare.list(OWNER, "a blue star")] == [8]


def test_what_each_variant_took(report: PictureReport) -> None:
    reference, _, int8 = report.variants
    for variant in (reference, int8):
        assert variant.total_s and variant.step_ms and variant.decode_ms and variant.load_s
        assert variant.warm and variant.total_s.count < 4
        assert variant.peak_memory_bytes and variant.memory_kind == "cpu"
        assert variant.energy_j is None, "no GPU was asked"
    assert reference.weights_bytes and int8.engine_bytes
    assert reference.engine_bytes is None and int8.weights_bytes is None
    assert report.encoded_by == 0
    assert reference.text_encode_ms and int8.text_encode_ms is None
    assert int8.speed_up and reference.speed_up == 1


def test_pictures_are_those_of_generate_and_scores_those_of_scikit_image(
    studio: Studio, done: JobSnapshot, report: PictureReport, worker: None
) -> None:
    by_place = {(one.variant, one.prompt, one.seed): one for one in report.pictures}
    assert len(by_place) == 8
    plain = alone(studio, report.request, Place(0, 1, 0))
    assert (plain == pixels(studio, done.id, by_place[0, 1, 0].file)).all(), "bit for bit"
    for (variant, prompt, seed), one in by_place.items():
        carried = read_request(studio.compare.file(done.id, one.file, OWNER))
        assert carried == picture_request(report.request, Place(variant, prompt, seed))
        if variant == 0:
            assert one.psnr_db is one.ssim is one.similarity is None
            continue
        found = pixels(studio, done.id, one.file)
        reference = pixels(studio, done.id, by_place[0, prompt, seed].file)
        decibels = peak_signal_noise_ratio(reference, found)
        alike = structural_similarity(
            *(reference, found),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=2,
        )
        assert one.psnr_db == pytest.approx(decibels, abs=1e-6)
        # scikit-image leaves out the same border
        assert one.ssim == pytest.approx(alike, abs=1e-6)
        assert one.similarity and -1 <= one.similarity <= 1.0001
    assert report.similarity_model and report.variants[2].similarity


def test_each_may_encode_for_itself(studio: Studio, worker: None) -> None:
    asked = request(
        variants=[TORCH, INT8], prompts=["a moon"], seeds=[5], steps=2, share_embeddings=False
    )
    job = studio.jobs.wait(studio.compare.compare(asked, OWNER), OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    report = studio.compare.show(job.id, OWNER)
    assert isinstance(report, PictureReport) and report.encoded_by is None
    assert all(one.text_encode_ms for one in report.pictures)
    int8 = pixels(studio, job.id, "v1-p0-s0.png")
    assert (int8 == alone(studio, asked, Place(1, 0, 0))).all(), "bit for bit"


def run(settings: Settings, *arguments: str) -> tuple[int, dict[str, Any]]:
    """A command's exit status and its JSON."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as stdout:
        patch.setattr(os, "environ", environment(settings))
        patch.setattr(sys, "argv", ["spark-studio", *arguments, "--json"])
        with pytest.raises(SystemExit) as end:
            app.main()
    assert isinstance(end.value.code, int)
    return end.value.code, json.loads(stdout.getvalue().splitlines()[0])


def test_the_command_keeps_its_contract(studio: Studio, worker: None, tmp_path: Path) -> None:
    settings, out = studio.settings, tmp_path / "out"
    asked = ("--steps", "2", "--size", f"{SIDE}x{SIDE}", "--prompt", "a ring", "--seed", "9")
    names = ("compare", "--model", NAME, "--precisions", "fp32,int8/onnxruntime")
    status, told = run(settings, *names, *asked, "--out", str(out))
    assert status == 0, told
    fields = {"precision", "runtime", "total_s", "step_ms", "peak_memory_bytes", "engine_bytes"}
    assert fields | {"psnr_db", "ssim"} <= told["rows"][1].keys()
    assert told["rows"][1]["psnr_db"] > 0 and told["rows"][0]["psnr_db"] is None
    names_there = {file.name for file in out.iterdir()}
    pictures = {"v0-p0-s0.png", "v1-p0-s0.png"}
    assert names_there == pictures | {"report.json", "report.html", "manifest.json"}
    status, again = run(settings, "compare", "--from", told["html"])
    assert status == 0 and again["repeats"]["same_weights"] is True
    assert again["rows"][1]["psnr_db"] == told["rows"][1]["psnr_db"]
    listed = run(settings, "comparisons", "list")[1]["comparisons"]
    assert [one["id"] for one in listed[:2]] == [again["job"], told["job"]]
    shown = run(settings, "comparisons", "show", told["job"])[1]["report"]
    assert shown == json.loads((out / "report.json").read_text())
    assert run(settings, "comparisons", "delete", told["job"], "--yes")[0] == 0
    status, gone = run(settings, "comparisons", "show", told["job"])
    assert (status, gone["error"]["code"]) == (1, "COMPARISON_NOT_FOUND")
    (out / "report.json").write_text("{}")
    status, refused = run(settings, "compare", "--from", str(out / "report.json"))
    assert (status, refused["error"]["code"]) == (1, "REPORT_UNREADABLE")


def test_when_all_fail_the_job_fails(tmp_path: Path, tiny_models: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(tiny_models, models)
    studio = Studio(Settings(home=tmp_path / "home", models=(models,)))
    bf16 = {"precision": "bf16", "runtime": "torch"}
    job_id = studio.compare.compare(request(variants=[bf16, TORCH]), OWNER)
    (weights,) = (models / NAME / "transformer").glob("*.safetensors")
    os.truncate(weights, 1000)
    with running_worker(studio.settings):
        job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.FAILED and job.error
    assert job.error.code is Code.MODEL_FILES_CORRUPTED
    report = studio.compare.show(job_id, OWNER)
    assert isinstance(report, PictureReport)
    assert [one.state for one in report.variants] == [ComparedState.FAILED] * 2
    studio.close()
