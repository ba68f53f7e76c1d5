"""An ONNX file of a hub repository: brought with its weights, and put beside them."""

from pathlib import Path
from typing import Any, cast

import pytest

from backend.contracts import NetworkSource
from backend.errors import Code, StudioError
from backend.jobs.context import JobContext
from backend.networks.bring import fetch
from backend.networks.graph import read_graph
from backend.settings import Settings
from tests.contract.hub_server import COMMIT, Hub, Repo
from tests.unit.networks import product

REPO = "maker/net"


class Asked:
    """As much of a job's context as fetching needs."""

    def __init__(self, file: str) -> None:
        self.row = self
        self.request = {"source": NetworkSource(file=file, repo=REPO).model_dump()}
        self.totals: set[int] = set()

    def report(self, phase: str, step: int = 0, total: int = 0, message: Any = None) -> None:
        assert phase == "fetch_file"
        self.totals.add(total)

    def check(self) -> None:
        """It never stops."""


def test_weights_come_with_the_file_and_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = product(tmp_path / "model.onnx").read_bytes()
    weights = (tmp_path / "weights.bin").read_bytes()
    outside = network.replace(b"weights.bin", b"../ghts.bin")
    files = {"deep/model.onnx": network, "deep/weights.bin": weights, "bad.onnx": outside}
    with Hub({REPO: Repo(files | {"other.bin": b"0" * 10})}) as hub:
        for name, value in (
            ("HF_ENDPOINT", hub.url),
            ("HF_HOME", str(tmp_path / "hf")),
            ("NO_PROXY", "127.0.0.1"),
            ("HF_HUB_OFFLINE", "0"),
        ):
            monkeypatch.setenv(name, value)
        settings = Settings(home=tmp_path / "home")
        asked = Asked("deep/model.onnx")
        found = Path(fetch(cast(JobContext, asked), settings)["file"])
        folder = settings.home / "onnx_files" / "hub" / REPO / COMMIT[:12] / "deep"
        assert found == folder / "model.onnx"
        assert (folder / "weights.bin").read_bytes() == weights
        assert not (folder / "weights.bin").is_symlink()
        assert read_graph(found).graph.node[0].op_type == "MatMul"
        assert max(asked.totals) == len(network) + len(weights)
        for file, code in (
            ("bad.onnx", Code.ONNX_DATA_OUTSIDE),
            ("gone.onnx", Code.HUB_FILES_NOT_FOUND),
        ):
            with pytest.raises(StudioError) as refusal:
                fetch(cast(JobContext, Asked(file)), settings)
            assert refusal.value.code is code
