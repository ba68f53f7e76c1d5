"""Quantising a picture model as a job: through the command and the facade, stopped, and killed."""

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

import app
from backend.contracts import (
    JobState,
    Precision,
    QuantizedPictures,
    QuantizeImagesRequest,
    QuantizeImagesResult,
    Runtime,
    StorageKind,
)
from backend.engines.host import this_host
from backend.errors import Code, StudioError
from backend.images.png import read_request
from backend.images.quality import psnr
from backend.jobs.children import run_child
from backend.quantize.images.order import make_order
from backend.quantize.images.phases import MANIFEST, work_folder
from backend.settings import Settings
from backend.studio import Studio
from tests.support import OWNER, PATIENCE_S, await_phase, environment, running_worker, until
from tests.tiny_flux import NAME, QUICK, copy_engines

SIDE = 64
SMALL = {"count": 2, "steps": 2, "width": SIDE, "height": SIDE}
LONG = {"count": 64, "steps": 20, "width": SIDE, "height": SIDE}
"""Pictures that are still being made whenever a test interferes."""
MADE = {"path", "size_bytes", "source_size_bytes", "ratio_whole", "ratio_quantised_layers"}


def request(**changes: Any) -> QuantizeImagesRequest:
    """Of the engines that the session's tests have built already."""
    calibration = {
        "samples": QUICK["calibration_prompts"],
        "calibration_steps": QUICK["calibration_steps"],
    }
    values = {"model": NAME, "recipe": "int8", "runtime": "onnxruntime"} | calibration | SMALL
    return QuantizeImagesRequest.model_validate(values | changes)


@pytest.fixture(scope="module")
def studio(
    tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, tiny_engines: Path
) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("pictures")
    copy_engines(tiny_engines, home)
    studio = Studio(Settings(home=home, models=(tiny_models,)))
    with running_worker(studio.settings):
        yield studio
    studio.close()


def run(settings: Settings, *arguments: str) -> tuple[int, dict[str, Any]]:
    """A command's exit status and its JSON."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as stdout:
        patch.setattr(os, "environ", environment(settings))
        patch.setattr(sys, "argv", ["spark-studio", "quantize", *arguments, "--json"])
        with pytest.raises(SystemExit) as end:
            app.main()
    assert isinstance(end.value.code, int)
    lines = stdout.getvalue().splitlines()
    return end.value.code, json.loads(lines[0]) if lines else {}


COMMON = ("--model", NAME, "--recipe", "int8", "--runtime", "onnxruntime")
QUICKLY = ("--samples", "4", "--calibration-steps", "4")
PICTURES = ("--count", "2", "--steps", "2", "--size", f"{SIDE}x{SIDE}", "--seed", "9")


@pytest.fixture(scope="module")
def told(studio: Studio) -> dict[str, Any]:
    """What the command answers of a quick job."""
    status, data = run(studio.settings, *COMMON, *QUICKLY, *PICTURES)
    assert status == 0, data
    return data


@pytest.fixture(scope="module")
def made(studio: Studio, told: dict[str, Any]) -> QuantizedPictures:
    """The same as the facade tells it to the machine's own user."""
    return studio.quantize_images.result(told["job"], None)


def test_the_command_keeps_its_contract(studio: Studio, told: dict[str, Any]) -> None:
    assert set(told["checkpoint"]) == MADE
    checkpoint, quality = told["checkpoint"], told["quality"]
    assert Path(checkpoint["path"], MANIFEST).is_file()
    assert checkpoint["ratio_quantised_layers"] > checkpoint["ratio_whole"] > 1
    assert {engine["module"] for engine in told["engines"]} == {
        *("text_encoder", "text_encoder_2", "transformer", "vae_decoder")
    }
    assert (quality["simulated"], quality["runtime"]) == (False, "onnxruntime")
    assert 5 < quality["psnr_db"] < 60 and 0 < quality["ssim"] < 1
    status, data = run(studio.settings, *COMMON, "--plan")
    assert status == 0 and all("error" not in check for check in data["plan"]["checks"])
    status, data = run(studio.settings, "--model", NAME, "--list")
    assert status == 0 and [one["name"] for one in data["recipes"]] == ["int8", "fp8", "nvfp4"]
    assert data["recipes"][0]["levels"][0]["size"]["whole_bytes"] > 0
    status, data = run(studio.settings, *COMMON, "--count", "0")
    assert (status, data["error"]["code"]) == (1, "COUNT_OUT_OF_RANGE")
    assert run(studio.settings, *COMMON, "--kv-cache", "fp8")[0] == 2, "not of pictures"


@pytest.mark.parametrize("content", [b"", b"\0\1\2\xff", b"a" * (1 << 21)])
def test_prompts_that_cannot_be_read_are_refused(
    studio: Studio, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    for option in ("--prompts", "--calibration"):
        status, data = run(studio.settings, *COMMON, option, str(file))
        assert (status, data["error"]["code"]) == (1, "PROMPTS_UNREADABLE")


def test_the_manifest_tells_what_was_made(studio: Studio, made: QuantizedPictures) -> None:
    manifest, folder = made.manifest, Path(made.folder)
    assert manifest.size.whole_bytes == made.checkpoint.size_bytes
    assert manifest.estimated_bytes == pytest.approx(manifest.size.whole_bytes, rel=1e-3)
    phases = {"fetch", "calibrate", "export", "build", "pictures", "score", "sensitivity"}
    assert manifest.seconds.keys() == phases
    assert set(manifest.engines) <= {engine.manifest.id for engine in studio.engines.all()}
    names = {name for pair in manifest.pictures for name in (pair.reference, pair.quantised)}
    assert {file.name for file in folder.iterdir()} == names | {MANIFEST}
    assert manifest.step_ms and manifest.reference_step_ms > 0
    for index, pair in enumerate(manifest.pictures):
        assert pair.seed == 9 + index
        for name, precision, runtime in (
            (pair.reference, Precision.FP32, Runtime.TORCH),
            (pair.quantised, Precision.INT8, Runtime.ONNXRUNTIME),
        ):
            carried = read_request(folder / name)
            assert (carried.prompt, carried.seed) == (pair.prompt, pair.seed)
            assert (carried.precision, carried.runtime) == (precision, runtime)
        reference, quantised = (np.asarray(Image.open(folder / one)) for one in names_of(pair))
        assert pair.psnr_db == pytest.approx(psnr(quantised, reference))
    blocks = {block.block: block for block in manifest.sensitivity.blocks}
    assert set(blocks) == {"transformer_blocks.0", "single_transformer_blocks.0"}
    assert all(0 < block.relative_error < 2 for block in blocks.values())
    assert manifest.sensitivity.calls == 4


def names_of(pair: Any) -> tuple[str, str]:
    return pair.reference, pair.quantised


def test_its_pictures_are_those_of_the_studio(studio: Studio, made: QuantizedPictures) -> None:
    """Bit for bit what Generate makes of the same request: the reference's by torch."""
    folder, pair = Path(made.folder), made.manifest.pictures[0]
    asked = read_request(folder / pair.reference)
    job = studio.jobs.wait(studio.pictures.generate(asked, OWNER), OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    plain = np.asarray(Image.open(job.images[0].path))
    assert (plain == np.asarray(Image.open(folder / pair.reference))).all()


def test_the_result_is_its_owners(studio: Studio, made: QuantizedPictures) -> None:
    for owner, code in ((OWNER, Code.JOB_NOT_FOUND),):
        with pytest.raises(StudioError) as refusal:
            studio.quantize_images.result(made.job, owner)
        assert refusal.value.code is code
    file = Path(made.folder, made.manifest.pictures[0].quantised)
    assert studio.pictures.owner_of_file(file) not in (None, OWNER)
    items = {item.kind for group in studio.disk.storage(OWNER).groups for item in group.items}
    assert StorageKind.LEFTOVERS not in items
    mine = [
        item
        for group in studio.disk.storage(None).groups
        for item in group.items
        if item.kind is StorageKind.PICTURES and made.job[:8] in item.name
    ]
    assert len(mine) == 1 and mine[0].kept is None
    known = studio.quantize_images.choices(NAME, None).recipes[0].quality
    assert known.key == "quantize_images.quality.measured" and known.render("ko")
    assert "unknown" in studio.quantize_images.choices(NAME, OWNER).recipes[0].quality.key


def test_a_stopped_job_leaves_nothing(studio: Studio) -> None:
    job_id = studio.quantize_images.quantize(request(**LONG), OWNER)
    await_phase(studio, job_id, "pictures", step=1)
    work = work_folder(studio.settings, job_id)
    assert work.exists()
    with pytest.raises(StudioError) as refusal:
        studio.quantize_images.result(job_id, OWNER)
    assert refusal.value.code is Code.JOB_STILL_RUNNING
    leftovers = [
        item
        for group in studio.disk.storage(None).groups
        for item in group.items
        if item.name == work.name
    ]
    assert leftovers and leftovers[0].kept is not None, "a live job's folder cannot be cleaned up"
    studio.jobs.cancel(job_id, OWNER)
    assert studio.jobs.wait(job_id, OWNER, PATIENCE_S).state is JobState.CANCELLED
    assert not work.exists() and not (studio.settings.outputs / job_id).exists()


def test_a_killed_job_goes_on_where_it_was(
    tmp_path: Path, tiny_models: Path, tiny_engines: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    copy_engines(tiny_engines, home)
    studio = Studio(Settings(home=home, models=(tiny_models,)))
    with running_worker(studio.settings):
        job_id = studio.quantize_images.quantize(request(count=3, steps=8), OWNER)
        await_phase(studio, job_id, "pictures")
        work = work_folder(studio.settings, job_id)
        until(lambda: list(work.glob("*-fp32.png")), "the first picture")
    first = min(work.glob("*-fp32.png"))
    painted_at = first.stat().st_mtime_ns
    assert not (studio.settings.outputs / job_id).exists()
    with running_worker(studio.settings):
        job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    assert QuantizeImagesResult.model_validate(job.result).quality.pictures == 3
    assert not work.exists()
    assert (studio.settings.outputs / job_id / first.name).stat().st_mtime_ns == painted_at
    studio.close()


def test_simulated_pictures_are_named_so_and_near_the_engines(
    studio: Studio, made: QuantizedPictures, tmp_path: Path
) -> None:
    """Torch with quantisers in the place of an engine that cannot run here."""
    plan = studio.quantize_images.plan(request(runtime="tensorrt", target="sm75"))
    assert plan.problem is None and plan.simulated is True
    order = make_order(studio.settings, made.manifest.request, this_host())
    folder, pairs = Path(made.folder), made.manifest.pictures
    (calibration,) = (studio.settings.home / "calibrations").glob(f"{NAME}.int8.*")

    def wanted(index: int, precision: Precision) -> dict[str, Any]:
        asked = order.picture(index, precision, Runtime.TORCH)
        return {"file": f"{index}-{precision}.png", "request": asked.model_dump(mode="json")}

    run_child(
        "backend.quantize.images.paint",
        {
            "model": NAME,
            "folder": str(order.entry.folder),
            "settings_folder": str(order.entry.settings_folder),
            "family": "flux",
            "precision": Precision.FP32,
            "on_cpu": True,
            "calibration": str(calibration),
            "work": str(tmp_path),
            "max_prompt_tokens": order.entry.limits.max_prompt_tokens,
            "engines": {},
            "kernels": str(tmp_path / "kernels"),
            "captured": 1,
            "reference": [wanted(0, Precision.FP32)],
            "quantised": [wanted(0, Precision.INT8)],
        },
        lambda news: None,
        lambda: None,
    )
    reference, simulated = (
        np.asarray(Image.open(tmp_path / f"0-{one}.png")) for one in ("fp32", "int8")
    )
    assert (reference == np.asarray(Image.open(folder / pairs[0].reference))).all()
    engine = np.asarray(Image.open(folder / pairs[0].quantised))
    lost, apart = psnr(simulated, reference), psnr(simulated, engine)
    assert lost is not None and (apart is None or apart > lost), "it loses what the engine loses"
    shutil.rmtree(tmp_path)
