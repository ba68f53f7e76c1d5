"""Quantising as a job: through the facade and the command line, stopped, and killed."""

import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

import app
from backend.contracts import (
    CheckpointManifest,
    JobSnapshot,
    JobState,
    QuantizeRequest,
    QuantizeResult,
)
from backend.errors import Code, StudioError
from backend.quantize.language.calibrate import DONE
from backend.quantize.language.work import CALIBRATION
from backend.settings import Settings
from backend.studio import Studio
from tests.support import OWNER, PATIENCE_S, await_phase, environment, running_worker
from tests.tiny_llama import make_tiny_llama

TEXT = {"calibration": "demo-chat", "samples": 8, "length": 64, "evaluation_tokens": 256}
LONG = {"evaluation_tokens": 10_000, "length": 16}
"""Scoring that is still going on whenever a test interferes."""
MADE = {"path", "size_bytes", "source_size_bytes", "ratio_whole", "ratio_quantised_layers"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    make_tiny_llama(root / "tiny", hidden_size=128, intermediate_size=256, num_hidden_layers=1)
    return root


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Studio]:
    """With a worker, for all tests but the one that kills its own."""
    studio = Studio(Settings(home=tmp_path_factory.mktemp("home"), models=(models,)))
    with running_worker(studio.settings):
        yield studio
    studio.close()


def request(**changes: Any) -> QuantizeRequest:
    return QuantizeRequest(**({"model": "tiny", "recipe": "fp8", **TEXT} | changes))


def checkpoints(studio: Studio) -> list[str]:
    """All that is in the folder of checkpoints, hidden or not."""
    return sorted(each.name for each in (studio.settings.home / "checkpoints").glob("*"))


def test_a_job_makes_a_checkpoint_that_the_chat_knows(studio: Studio) -> None:
    job_id = studio.quantize.quantize(request(recipe="nvfp4"), OWNER)
    job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    result = QuantizeResult.model_validate(job.result)
    folder = Path(result.checkpoint.path)
    assert checkpoints(studio) == [folder.name] == ["tiny-nvfp4"]
    manifest = CheckpointManifest.model_validate_json((folder / "manifest.json").read_text())
    assert manifest.estimated_bytes == result.checkpoint.size_bytes
    assert manifest.quality == result.quality
    assert result.quality.scope == ("quantised" if torch.cuda.is_available() else "weights_only")
    phases = {"load", "reference", "calibrate", "export", "check", "evaluate"}
    phases |= {"samples_before", "samples_after"}
    assert manifest.phases.keys() == phases
    assert all(cost.peak_memory_bytes > 2**26 for cost in manifest.phases.values())
    assert manifest.answers is not None and manifest.answers.scope == "weights_only"
    view = studio.results.show(f"job:{job_id}", OWNER)
    assert view.entry.key == "checkpoint:tiny-nvfp4" and view.manifest == manifest
    assert manifest.request == request(recipe="nvfp4") and view.entry.mine
    known = {model.name: model for model in studio.chat.models()}["tiny-nvfp4"]
    assert known.modelopt and known.algorithm == "NVFP4" and known.has_template
    with pytest.raises(StudioError) as refusal:
        studio.quantize.quantize(request(recipe="nvfp4"), OWNER)
    assert refusal.value.code is Code.CHECKPOINT_EXISTS
    assert studio.quantize.plan(request(recipe="nvfp4", replace=True), OWNER).problem is None
    shutil.rmtree(folder)


def test_what_can_be_chosen_is_told_with_its_reasons(studio: Studio) -> None:
    caches = {each.name: each for each in studio.quantize.kv_caches()}
    assert caches["fp8_cast"].possible and not caches["nvfp4_cast"].possible
    assert all(each.effect.render("ko") and each.reason.render() for each in caches.values())
    assert [each.name for each in studio.quantize.texts()] == ["general", "demo-chat"]
    assert studio.quantize.recipes("tiny", OWNER)[0].size is not None
    mine = studio.quantize.preview_text(b"one\n\ntwo", "mine.txt")
    assert studio.quantize.plan(request(calibration=mine.name), OWNER).problem is None


def test_a_stopped_job_leaves_nothing(studio: Studio) -> None:
    job_id = studio.quantize.quantize(request(**LONG), OWNER)
    await_phase(studio, job_id, "evaluate", step=1)
    assert checkpoints(studio) == [f".{job_id}"]
    studio.jobs.cancel(job_id, OWNER)
    assert studio.jobs.wait(job_id, OWNER, PATIENCE_S).state is JobState.CANCELLED
    assert checkpoints(studio) == []


def test_a_killed_job_goes_on_from_its_calibration(tmp_path: Path, models: Path) -> None:
    studio = Studio(Settings(home=tmp_path / "home", models=(models,)))
    with running_worker(studio.settings):
        job_id = studio.quantize.quantize(request(recipe="int4_awq", **LONG), OWNER)
        await_phase(studio, job_id, "evaluate", step=1)
    assert (studio.settings.home / "checkpoints" / f".{job_id}" / CALIBRATION / DONE).exists()
    assert not [model.name for model in studio.chat.models() if "awq" in model.name]
    with running_worker(studio.settings):

        def kept(job: JobSnapshot) -> bool:
            return "job.quantize_kept" in [message.key for message in job.log]

        job = studio.jobs.wait(job_id, OWNER, PATIENCE_S, until=kept)
        assert kept(job), job.error
        job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
    assert job.state is JobState.SUCCEEDED, job.error
    assert checkpoints(studio) == ["tiny-int4_awq"]
    studio.close()


def test_only_who_sits_at_the_machine_names_folders(tmp_path: Path, models: Path) -> None:
    auth = tmp_path / "people"
    auth.write_text("a:b\n")
    studio = Studio(Settings(home=tmp_path / "home", models=(models,), auth=auth))
    for changes in ({"out": "/tmp/x"}, {"out": "../x"}, {"model": str(models / "tiny")}):
        with pytest.raises(StudioError) as refusal:
            studio.quantize.plan(request(**changes), "user:a")
        assert refusal.value.code is Code.QUANTIZE_NOT_ALLOWED
    assert studio.quantize.plan(request(out=str(tmp_path / "x")), None).problem is None
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
    assert len(lines) == 1
    return end.value.code, json.loads(lines[0])


def test_the_command_keeps_its_contract(studio: Studio, models: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("\n\n".join(f"Paragraph {index} of a text of mine." for index in range(200)))
    out = tmp_path / "out"
    common = ("--model", str(models / "tiny"), "--recipe", "fp8_per_channel_per_token")
    status, data = run(studio.settings, *common, "--plan")
    assert status == 0 and {check["status"] for check in data["plan"]["checks"]} <= {"ok", "warn"}
    status, data = run(studio.settings, *common, "--list")
    assert status == 0 and data["recipes"][0]["name"] == "nvfp4"
    asked = (*common, "--calibration", str(mine), "--samples", "4", "--length", "64")
    status, data = run(studio.settings, *asked, "--out", str(out))
    assert status == 0, data
    made, quality = data["checkpoint"], data["quality"]
    assert set(made) == MADE
    assert made["path"] == str(out) and made["ratio_quantised_layers"] > made["ratio_whole"]
    assert made["size_bytes"] == (out / "model.safetensors").stat().st_size
    assert quality["scope"] == "quantised" and quality["perplexity"] > 1
    status, data = run(studio.settings, *asked, "--out", str(out))
    assert (status, data["error"]["code"]) == (1, "CHECKPOINT_EXISTS")
    status, data = run(studio.settings, *common, "--calibration", "/nowhere.txt")
    assert (status, data["error"]["code"]) == (1, "CALIBRATION_TEXT_UNREADABLE")
