"""The command line keeps CONTRACT: one JSON object on standard output, codes, exit statuses."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import app
from backend.images.png import read_request
from backend.settings import Settings
from tests.support import ROOT, environment, running_worker

JOB_FIELDS = {"id", "kind", "state", "position", "phase", "step", "total", "created", "owner"}
METRICS = {
    "total_s",
    "first_event_s",
    "step_ms",
    "text_encode_ms",
    "decode_ms",
    "peak_memory_bytes",
    "runtime",
    "precision",
}


Outcome = tuple[int, Any, str]
"""Exit status, the JSON object, and standard error of a command."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with a worker, shared by the commands of this module."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    with running_worker(settings):
        yield settings


def outcome(status: int, stdout: str, stderr: str) -> Outcome:
    lines = stdout.splitlines()
    assert len(lines) <= 1, stdout
    return status, json.loads(lines[0]) if lines else None, stderr


def run_process(settings: Settings, *arguments: str) -> Outcome:
    """Run a command as a user does."""
    done = subprocess.run(
        [sys.executable, "app.py", *arguments, "--json"],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
    )
    return outcome(done.returncode, done.stdout, done.stderr)


def run(settings: Settings, *arguments: str) -> Outcome:
    """Run a command through its entry point in this process, which has all imported already."""
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as stdout,
        redirect_stderr(io.StringIO()) as stderr,
    ):
        patch.setattr(os, "environ", environment(settings))
        patch.setattr(sys, "argv", ["spark-studio", *arguments, "--json"])
        with pytest.raises(SystemExit) as end:
            app.main()
    assert isinstance(end.value.code, int)
    return outcome(end.value.code, stdout.getvalue(), stderr.getvalue())


def test_generate_answers_with_pictures_and_metrics(shared: Settings, tmp_path: Path) -> None:
    arguments = ("--prompt", "a red circle", "--seed", "5", "--steps", "3", "--size", "128x96")
    status, data, _ = run_process(
        shared, "generate", *arguments, "--count", "2", "--out", str(tmp_path / "out")
    )
    assert status == 0
    assert [image["seed"] for image in data["images"]] == [5, 6]
    assert set(data["metrics"]) >= METRICS
    for image in data["images"]:
        file = Path(image["path"])
        assert file.parent == tmp_path / "out"
        asked = read_request(file)
        assert (asked.seed, asked.steps, asked.width, asked.height) == (image["seed"], 3, 128, 96)


def test_a_command_without_a_worker_brings_its_own(settings: Settings) -> None:
    status, data, _ = run_process(settings, "generate", "--prompt", "a red circle", "--steps", "1")
    assert status == 0
    assert Path(data["images"][0]["path"]).exists()
    status, data, _ = run(settings, "jobs", "list")
    assert [job["state"] for job in data["jobs"]] == ["succeeded"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("generate", "--prompt", ""), "PROMPT_EMPTY"),
        (("generate", "--prompt", "x", "--size", "100x100"), "SIZE_NOT_MULTIPLE"),
        (("generate", "--prompt", "x", "--size", "wide"), "INVALID_REQUEST"),
        (("generate", "--prompt", "x", "--model", "../../etc"), "MODEL_UNKNOWN"),
        (("generate", "--prompt", "x", "--steps", "0"), "STEPS_OUT_OF_RANGE"),
        (("generate", "--prompt", "x", "--seed", "-1"), "SEED_OUT_OF_RANGE"),
        (("generate", "--prompt", "x", "--precision", "int4"), "VARIANT_UNKNOWN"),
        (("generate", "--prompt", "x", "--runtime", "tensorrt"), "VARIANT_UNAVAILABLE"),
        (("engine", "inspect", "../../etc"), "ENGINE_NOT_FOUND"),
        (("engine", "delete", "nothing", "--yes"), "ENGINE_NOT_FOUND"),
        (("engine", "build", "--model", "nothing"), "MODEL_UNKNOWN"),
        (("engine", "build", "--target", "sm90"), "TARGET_UNSUPPORTED"),
        (("engine", "build", "--precision", "int4"), "VARIANT_UNKNOWN"),
        (("engine", "build", "--runtime", "torch"), "VARIANT_UNKNOWN"),
        (("engine", "build", "--module", "nothing"), "INVALID_REQUEST"),
        (("generate", "--prompt", "x", "--out", "/dev/null/x"), "FOLDER_NOT_WRITABLE"),
        (("jobs", "show", "nothing"), "JOB_NOT_FOUND"),
        (("jobs", "cancel", "nothing"), "JOB_NOT_FOUND"),
        (("jobs", "retry", "' OR 1=1 --"), "JOB_NOT_FOUND"),
        (("serve", "--host", "0.0.0.0"), "ADDRESS_NOT_LOCAL"),
        (("serve", "--port", "99999"), "SETTING_INVALID"),
        (("serve", "--auth", "/nowhere"), "SETTING_INVALID"),
    ],
)
def test_a_failure_has_a_code_a_sentence_and_a_hint(
    shared: Settings, arguments: tuple[str, ...], code: str
) -> None:
    status, data, stderr = run(shared, *arguments)
    assert status == 1
    assert data["error"]["code"] == code
    assert data["error"]["message"]
    assert data["error"]["hint"]
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    "arguments",
    [("generate",), ("paint",), ("generate", "--prompt", "x", "--precision", "fp3")],
)
def test_wrong_usage_ends_with_2(shared: Settings, arguments: tuple[str, ...]) -> None:
    status, data, _ = run(shared, *arguments)
    assert (status, data) == (2, None)


def test_jobs_are_listed_shown_and_deleted(shared: Settings) -> None:
    run(shared, "generate", "--prompt", "a blue star", "--steps", "1")
    _, data, _ = run(shared, "jobs", "list", "--search", "BLUE star")
    (job,) = data["jobs"]
    assert set(job) >= JOB_FIELDS
    _, shown, _ = run(shared, "jobs", "show", job["id"])
    picture = Path(shown["job"]["images"][0]["path"])
    assert picture.exists()
    assert run(shared, "jobs", "delete", job["id"])[0] == 0
    assert not picture.exists()
    assert run(shared, "jobs", "show", job["id"])[1]["error"]["code"] == "JOB_NOT_FOUND"


def test_models_name_every_variant_with_its_state_and_reason(shared: Settings) -> None:
    _, data, _ = run(shared, "models")
    demo = next(model for model in data["models"] if model["id"] == "demo-flux")
    assert {"id", "family", "licence", "variants"} <= set(demo)
    assert all(
        variant["state"] and variant["reason"]
        for model in data["models"]
        for variant in model["variants"]
    )


def test_a_models_files_are_verified(shared: Settings) -> None:
    status, data, _ = run(shared, "models", "--verify", "demo-flux")
    assert status == 0
    assert data["verify"]["files"] >= 4


def test_settings_and_doctor_speak_json(shared: Settings) -> None:
    _, data, _ = run(shared, "settings")
    assert data["settings"]["home"]["value"] == str(shared.home)
    assert all(setting["meaning"] for setting in data["settings"].values())
    _, data, _ = run(shared, "doctor")
    assert {"name", "status", "detail", "hint"} == set(data["checks"][0])
    assert {check["status"] for check in data["checks"]} <= {"ok", "warn", "fail"}
    assert all(check["hint"] for check in data["checks"] if check["status"] != "ok")
