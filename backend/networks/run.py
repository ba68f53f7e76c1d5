"""An engine of an ONNX file beside the file itself in ONNX Runtime, in a child process."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backend.contracts import (
    EngineManifest,
    NetworkView,
    OutputError,
    RunResult,
    Runtime,
)
from backend.jobs.children import News, child_main
from backend.networks.feeds import Array, inputs_of_file, random_inputs
from backend.networks.graph import read_graph
from backend.networks.look import describe
from backend.networks.session import Network

Run = Callable[[Mapping[str, Array]], tuple[Array, ...]]
WARM_UP = 2
MOST_PASSES = 20
FEWEST_PASSES = 3
TIME_S = 5.0
"""Passes are timed for as long, or until there are enough."""


def run(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """A RunResult as data, of the engine that `manifest` and `folder` give.

    Raises StudioError INPUTS_INVALID, NETWORK_RUN_FAILED, ENGINE_BROKEN, PROFILE_INVALID and what
    read_graph raises.
    """
    manifest = EngineManifest.model_validate(arguments["manifest"])
    assert manifest.onnx_source is not None
    source = Path(manifest.onnx_source)
    view = describe(read_graph(source), source, None, ())
    if arguments["inputs"] is None:
        inputs = random_inputs(view.inputs, manifest.shapes, arguments["seed"])
    else:
        inputs = inputs_of_file(Path(arguments["inputs"]), view.inputs)
    tell({"step": 0, "total": 2, "engine": False})
    wanted, reference_ms, _ = timed(reference(view), inputs)
    tell({"step": 1, "total": 2, "engine": True})
    engine = load_engine(manifest, Path(arguments["folder"]))
    found, engine_ms, passes = timed(engine, inputs)
    names = [output.name for output in view.outputs]
    result = RunResult(
        engine=manifest.id,
        inputs={name: array.shape for name, array in inputs.items()},
        outputs=tuple(map(output_error, names, found, wanted)),
        reference_ms=reference_ms,
        engine_ms=engine_ms,
        passes=passes,
    )
    return result.model_dump(mode="json")


def reference(view: NetworkView) -> Network:
    """The original file. Raises StudioError NETWORK_RUN_FAILED."""
    return Network(Path(view.file), view.precision)


def load_engine(manifest: EngineManifest, folder: Path) -> Run:
    """An engine as a function of named arrays. Raises StudioError as its runtime does."""
    file = folder / manifest.file
    if manifest.runtime is Runtime.ONNXRUNTIME:
        return Network(file, manifest.precision)
    return _on_gpu(file, manifest)


def _on_gpu(file: Path, manifest: EngineManifest) -> Run:
    """Not yet verified on hardware."""
    import torch

    from backend.engines.runtimes import trt

    device = torch.device("cuda")
    loaded = trt.load(file, manifest.edition, device)

    def call(inputs: Mapping[str, Array]) -> tuple[Array, ...]:
        tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
        outputs = loaded(tensors)
        torch.cuda.synchronize(device)
        return tuple(output.float().cpu().numpy() for output in outputs)

    return call


def timed(network: Run, inputs: Mapping[str, Array]) -> tuple[tuple[Array, ...], float, int]:
    """Its outputs, the median time of a pass in milliseconds, and how many were timed."""
    for _ in range(WARM_UP):
        outputs = network(inputs)
    times: list[float] = []
    while len(times) < FEWEST_PASSES or (len(times) < MOST_PASSES and sum(times) < TIME_S):
        started = time.perf_counter()
        outputs = network(inputs)
        times.append(time.perf_counter() - started)
    return outputs, 1000 * statistics.median(times), len(times)


def output_error(name: str, found: Array, wanted: Array) -> OutputError:
    """How far `found` is from `wanted`, over the values that are finite in both."""
    ours, theirs = found.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(ours) & np.isfinite(theirs)
    difference = np.subtract(ours, theirs, out=np.zeros(theirs.shape), where=finite)
    scale = np.sqrt(np.mean(np.square(np.where(finite, theirs, 0.0)))) if theirs.size else 0.0
    off = np.sqrt(np.mean(np.square(difference))) if theirs.size else 0.0
    return OutputError(
        name=name,
        shape=wanted.shape,
        max_abs=float(np.abs(difference).max(initial=0.0)),
        relative_rms=float(off / scale) if scale else float(off),
        not_finite=int((np.isfinite(theirs) & ~np.isfinite(ours)).sum()),
    )


if __name__ == "__main__":
    child_main(run)
