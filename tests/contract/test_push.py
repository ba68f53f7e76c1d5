"""Putting a checkpoint on a hub of our own, in real child processes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.contracts import CheckpointManifest
from backend.errors import Code, StudioError
from backend.quantize.language.push import check_push
from tests.checkpoints import make_checkpoint
from tests.contract.hub_server import COMMIT, LFS_FROM_BYTES, Hub, Repo
from tests.contract.test_hub import TOKEN, Told, environment
from tests.support import ROOT

SOURCE = "maker/llama"


@pytest.fixture
def hub() -> Iterator[Hub]:
    repos = {
        SOURCE: Repo({"config.json": b"{}"}, licence="llama3"),
        "me/empty": Repo({".gitattributes": b""}),
        "me/full": Repo({"README.md": b"mine", "other.txt": b"stays"}),
    }
    with Hub(repos) as server:
        yield server


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_checkpoint(tmp_path_factory.mktemp("made") / "tiny-nvfp4", source=SOURCE)
    (folder / "agreement.json").write_text("{}")
    assert (folder / "model.safetensors").stat().st_size > LFS_FROM_BYTES
    return folder


def push(hub: Hub, folder: Path, repo: str, token: str | None = TOKEN, **asked: Any) -> Told:
    arguments = {"model": str(folder), "repo": repo, "source": None, **asked}
    done = subprocess.run(
        [sys.executable, "-m", "backend.quantize.language.upload"],
        input=json.dumps(arguments),
        cwd=ROOT,
        env=environment(hub, folder.parent / "hf", token),
        capture_output=True,
        text=True,
    )
    return Told(done)


def test_a_new_repository_is_private_and_holds_the_checkpoint_with_its_card(
    hub: Hub, checkpoint: Path
) -> None:
    told = push(hub, checkpoint, "me/tiny-nvfp4")
    assert told.error is None, told.all
    size = sum(
        (checkpoint / name).stat().st_size
        for name in ("config.json", "hf_quant_config.json", "model.safetensors", "tokenizer.json",
                     "tokenizer_config.json", "chat_template.jinja")
    )  # fmt: skip
    assert told.result == {
        "repo": "me/tiny-nvfp4",
        "url": f"{hub.url}/me/tiny-nvfp4",
        "commit": COMMIT,
        "files": 8,
        "size_bytes": size,
    }
    made = hub.repos["me/tiny-nvfp4"]
    assert made.visibility == "private"
    assert made.files["model.safetensors"] == (checkpoint / "model.safetensors").read_bytes()
    assert "agreement.json" not in made.files
    manifest = CheckpointManifest.model_validate_json(made.files["manifest.json"])
    assert manifest.source == SOURCE and manifest.request is None
    card = made.files["README.md"].decode()
    for said in ("license: llama3", f"base_model: {SOURCE}", "4.169 | 4.196", "Weights only"):
        assert said in card, said
    assert told.news and all(news["step"] <= news["total"] == size for news in told.news)
    assert TOKEN not in told.all


def test_what_is_there_is_touched_only_when_that_was_agreed_to(hub: Hub, checkpoint: Path) -> None:
    told = push(hub, checkpoint, "me/full")
    assert told.code == Code.PUSH_REPO_EXISTS and hub.repos["me/full"].files["README.md"] == b"mine"
    assert push(hub, checkpoint, "me/full", existing=True).error is None
    files = hub.repos["me/full"].files
    assert files["other.txt"] == b"stays" and files["README.md"] != b"mine"
    assert push(hub, checkpoint, "me/empty").error is None


def test_refusals_say_what_to_do(hub: Hub, checkpoint: Path) -> None:
    assert push(hub, checkpoint, "them/tiny").code == Code.PUSH_NOT_ALLOWED
    assert push(hub, checkpoint, "me/tiny", token="hf_bad").code == Code.HUB_TOKEN_INVALID
    assert "hf_bad" not in push(hub, checkpoint, "me/tiny", token="hf_bad").all
    assert "me/tiny" not in hub.repos


def test_a_hub_that_does_not_answer(checkpoint: Path) -> None:
    with Hub({}) as gone:
        pass
    assert push(gone, checkpoint, "me/tiny").code == Code.HUB_UNREACHABLE


@pytest.mark.parametrize("repo", ["tiny", "me/a b", "me/../x"])
def test_names_are_checked_before_anything_is_asked(repo: str) -> None:
    with pytest.raises(StudioError) as refusal:
        check_push(repo)
    assert refusal.value.code is Code.PUSH_NAME_INVALID
