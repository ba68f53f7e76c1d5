"""A language model of a hub repository: fetched whole, and found afterwards without the hub."""

from pathlib import Path
from typing import Any, cast

import pytest

from backend.chat.fetch import bring_language_model
from backend.errors import Code, StudioError
from backend.jobs.context import JobContext
from backend.settings import Settings
from tests.contract.hub_server import Hub, Repo
from tests.tiny_llama import make_tiny_llama

REPO = "maker/model"


class Asked:
    """As much of a job's context as fetching needs."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def report(self, phase: str, step: int = 0, total: int = 0, message: Any = None) -> None:
        self.phases.append(phase)

    def check(self) -> None:
        """It never stops."""


def test_a_repository_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_tiny_llama(tmp_path / "source")
    files = {file.name: file.read_bytes() for file in source.iterdir()}
    settings = Settings(home=tmp_path / "home")
    hub_cache = tmp_path / "hf" / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub_cache))
    with Hub({REPO: Repo(files | {"pytorch_model.bin": b"0" * 10})}) as hub:
        for name, value in (
            ("HF_ENDPOINT", hub.url),
            ("HF_HOME", str(tmp_path / "hf")),
            ("NO_PROXY", "127.0.0.1"),
            ("HF_HUB_OFFLINE", "0"),
        ):
            monkeypatch.setenv(name, value)
        asked = Asked()
        model = bring_language_model(cast(JobContext, asked), settings, REPO)
        assert set(asked.phases) == {"fetch_file"}
    assert (model.name, model.has_template) == (REPO, True)
    assert {file.name for file in Path(model.folder).iterdir()} == files.keys()
    again = Asked()
    assert bring_language_model(cast(JobContext, again), settings, REPO) == model
    assert not again.phases
    for name in ("nothing", "./a/b", "../a"):
        with pytest.raises(StudioError) as refusal:
            bring_language_model(cast(JobContext, again), settings, name)
        assert refusal.value.code is Code.CHAT_MODEL_NOT_FOUND
