"""ONNX Runtime for any network; as a child process, the try whether it can run one at all."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from backend.contracts import Precision
from backend.engines.cache import sha256_of, size_of
from backend.engines.runtimes.ort import multiplies_integers, open_session
from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main

Arrays = Mapping[str, np.ndarray[Any, Any]]
REFUSALS = (
    state.EPFail,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NotImplemented,
    state.RuntimeException,
)


class Network:
    """A network in ONNX Runtime on the CPU. Raises StudioError NETWORK_RUN_FAILED throughout."""

    def __init__(self, file: Path, precision: Precision) -> None:
        try:
            self._session: onnxruntime.InferenceSession = open_session(
                file, int8=multiplies_integers(precision)
            )
        except REFUSALS as error:
            raise _refused(error) from error
        self.outputs: tuple[str, ...] = tuple(each.name for each in self._session.get_outputs())

    def __call__(self, inputs: Arrays) -> tuple[np.ndarray[Any, Any], ...]:
        try:
            return tuple(self._session.run(None, dict(inputs)))
        except REFUSALS as error:
            raise _refused(error) from error


def _refused(error: Exception) -> StudioError:
    said = str(error).strip()
    problem = said.rpartition(" : ")[2][:300]
    return StudioError(Code.NETWORK_RUN_FAILED, said, problem=problem)


def try_network(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """Open `file` as running it will. Raises StudioError NETWORK_RUN_FAILED."""
    file = Path(arguments["file"])
    started = time.perf_counter()
    Network(file, Precision(arguments["precision"]))
    return {
        "build_s": time.perf_counter() - started,
        "size_bytes": size_of(file),
        "sha256": sha256_of(file),
    }


if __name__ == "__main__":
    child_main(try_network)
