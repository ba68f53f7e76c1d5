"""`spark-studio results` keeps the contract of commands."""

from pathlib import Path

import pytest

from backend.settings import Settings
from tests.checkpoints import make_checkpoint
from tests.contract.test_command_line import run

KEY = "checkpoint:tiny-nvfp4"


@pytest.fixture
def made(settings: Settings) -> Path:
    return make_checkpoint(settings.home / "checkpoints" / "tiny-nvfp4")


def test_listed_shown_and_deleted(settings: Settings, made: Path) -> None:
    status, data, _ = run(settings, "results", "list")
    assert status == 0 and [entry["key"] for entry in data["results"]] == [KEY]
    status, data, _ = run(settings, "results", "show", KEY)
    found = data["result"]
    assert status == 0 and found["manifest"]["recipe"] == "nvfp4"
    assert {one["server"] for one in found["serve"]} == {"TensorRT-LLM", "vLLM"}
    assert found["command"].startswith("spark-studio quantize --model tiny --recipe nvfp4")
    status, data, _ = run(settings, "results", "delete", KEY)
    assert (status, data["error"]["code"]) == (1, "INVALID_REQUEST") and made.exists()
    status, data, _ = run(settings, "results", "delete", KEY, "--yes")
    assert status == 0 and data["deleted"]["name"] == "tiny-nvfp4" and not made.exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "checkpoint:nope"), "CHECKPOINT_NOT_FOUND"),
        (("push", KEY, "--repo", "nope"), "PUSH_NAME_INVALID"),
        (("agree", KEY), "AGREEMENT_SERVER_MISSING"),
    ],
)
def test_refusals(settings: Settings, made: Path, arguments: tuple[str, ...], code: str) -> None:
    status, data, _ = run(settings, "results", *arguments)
    assert (status, data["error"]["code"]) == (1, code)
