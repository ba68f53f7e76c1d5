"""Pushing as a job: the facade, a worker, its child, and a hub of our own."""

from pathlib import Path

import pytest

from backend.contracts import JobState, PushResult
from backend.studio import Studio
from tests.checkpoints import make_checkpoint
from tests.contract.hub_server import Hub
from tests.contract.test_hub import TOKEN
from tests.support import OWNER, PATIENCE_S, running_worker


def test_a_push_is_a_job_that_holds_its_checkpoint(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_checkpoint(studio.settings.home / "checkpoints" / "tiny-nvfp4")
    monkeypatch.setattr("backend.quantize.language.push.is_offline_mode", lambda: False)
    with Hub({}) as hub:
        for name, value in (
            ("HF_ENDPOINT", hub.url),
            ("HF_HOME", str(tmp_path / "hf")),
            ("HF_HUB_OFFLINE", "0"),
            ("HF_TOKEN", TOKEN),
        ):
            monkeypatch.setenv(name, value)
        with running_worker(studio.settings):
            job_id = studio.results.push("checkpoint:tiny-nvfp4", "me/tiny", OWNER)
            job = studio.jobs.wait(job_id, OWNER, PATIENCE_S)
            assert job.state is JobState.SUCCEEDED, job.error
            done = PushResult.model_validate(job.result)
            assert done.url == f"{hub.url}/me/tiny" and hub.repos["me/tiny"].visibility == "private"
            weights = (folder / "model.safetensors").read_bytes()
            assert hub.repos["me/tiny"].files["model.safetensors"] == weights
            again = studio.results.push("checkpoint:tiny-nvfp4", "me/tiny", OWNER)
            failed = studio.jobs.wait(again, OWNER, PATIENCE_S)
    assert failed.error is not None and failed.error.code == "PUSH_REPO_EXISTS"
    assert TOKEN not in f"{job}{failed}"
