"""What the tests of engines share: a small model, and its exports, each made once."""

from pathlib import Path

import pytest

from backend.models import files
from tests.tiny_flux import NAME, make_tiny_flux


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with the tiny one in it."""
    return make_tiny_flux(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def tiny_exports(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path) -> Path:
    """Where the tiny model's plain exports are kept: inside the folder that a home calls `onnx`."""
    fingerprint = files.fingerprint(tiny_models / NAME, {})
    return tmp_path_factory.mktemp("onnx") / f"{NAME}.{fingerprint[:12]}"
