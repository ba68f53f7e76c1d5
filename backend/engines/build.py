"""From an ONNX file to a TensorRT engine, in a child process of its own.

The network is strongly typed: the types in the ONNX file and its Q/DQ nodes decide every precision,
and no builder flag changes one.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.engines.cache import sha256_of
from backend.engines.editions import Edition, load_edition, logger_of
from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main, stop_requested
from backend.jobs.failures import says_out_of_memory

PERCENT = 100


class PhaseTree:
    """TensorRT's nested build phases folded into one share that never falls.

    Phases repeat, end before all their steps are done, and differ between versions; all that is
    relied on is that a phase names its parent and counts its steps.
    """

    def __init__(self) -> None:
        self._phases: dict[str, tuple[str | None, int, int]] = {}
        self._share = 0.0

    def start(self, phase: str, parent: str | None, steps: int) -> float:
        self._phases[phase] = (parent, max(steps, 1), 0)
        return self.share()

    def step(self, phase: str, done: int) -> float:
        if phase in self._phases:
            parent, steps, _ = self._phases[phase]
            self._phases[phase] = (parent, steps, min(done + 1, steps))
        return self.share()

    def finish(self, phase: str) -> float:
        self._phases.pop(phase, None)
        return self.share()

    def share(self) -> float:
        """The share done, from 0 to 1: higher with every call or the same."""
        roots = [name for name, (parent, _, _) in self._phases.items() if not parent]
        self._share = max([self._share, *(self._of(name) for name in roots)])
        return self._share

    def _of(self, phase: str) -> float:
        _, steps, done = self._phases[phase]
        inner = [self._of(name) for name, (parent, _, _) in self._phases.items() if parent == phase]
        return min(1.0, (done + max(inner, default=0.0)) / steps)


def never() -> bool:
    return False


def build(
    arguments: dict[str, Any], tell: News, stop: Callable[[], bool] = never
) -> dict[str, Any]:
    """Parse `onnx`, build for `target` with the profile `shapes`, write the plan to `plan`.

    `shapes` gives (min, opt, max) by input. `stop` is asked at every step of the builder and ends
    the build by being true. Raises StudioError ONNX_INVALID, ENGINE_BUILD_FAILED, OUT_OF_MEMORY,
    PROFILE_INVALID, TENSORRT_MISSING or TARGET_UNSUPPORTED.
    """
    edition = load_edition(arguments["edition"])
    trt = edition.api
    problems: list[str] = []
    logger = logger_of(trt, problems)
    builder = trt.Builder(logger)
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(1 << int(flag) if flag is not None else 0)
    _parse(trt, network, logger, Path(arguments["onnx"]))
    config = builder.create_builder_config()
    _configure(trt, edition, config, arguments)
    config.add_optimization_profile(_profile(builder, network, arguments["shapes"]))
    monitor = _monitor(trt, tell, stop)
    config.progress_monitor = monitor
    cache_file = Path(arguments["timing_cache"])
    cache = config.create_timing_cache(cache_file.read_bytes() if cache_file.exists() else b"")
    config.set_timing_cache(cache, ignore_mismatch=False)
    started = time.perf_counter()
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        detail = "\n".join(problems)
        last = problems[-1][:300] if problems else "TensorRT gave no reason"
        full = says_out_of_memory(detail)
        code = Code.OUT_OF_MEMORY if full else Code.ENGINE_BUILD_FAILED
        raise StudioError(code, detail, problem=last)
    seconds = time.perf_counter() - started
    Path(arguments["plan"]).write_bytes(plan)
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = cache_file.with_suffix(f".{id(cache):x}.part")
    unfinished.write_bytes(config.get_timing_cache().serialize())
    unfinished.replace(cache_file)
    return {
        "build_s": seconds,
        "layer_count": network.num_layers,
        "size_bytes": plan.nbytes,
        "sha256": sha256_of(Path(arguments["plan"])),
    }


def _parse(trt: Any, network: Any, logger: Any, file: Path) -> None:
    parser = trt.OnnxParser(network, logger)
    if parser.parse_from_file(str(file)):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    first = errors[0] if errors else None
    where = f"{first.node_operator()} {first.node_name()}".strip() if first else file.name
    raise StudioError(
        Code.ONNX_INVALID,
        "\n".join(str(error) for error in errors),
        where=where or file.name,
        problem=first.desc()[:300] if first else "the file cannot be read",
    )


def _configure(trt: Any, edition: Edition, config: Any, arguments: dict[str, Any]) -> None:
    config.builder_optimization_level = arguments["optimization_level"]
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if arguments["workspace_bytes"]:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, arguments["workspace_bytes"])
    for name in ("weight_streaming", "refit"):
        if arguments[name]:
            config.set_flag(getattr(trt.BuilderFlag, name.upper()))
    target = arguments["target"]
    if edition.name == "rtx":
        known = getattr(trt.ComputeCapability, target.upper(), None)
        if known is None:
            raise StudioError(Code.TARGET_UNSUPPORTED, target=target)
        config.num_compute_capabilities = 1
        config.set_compute_capability(known, 0)


def _profile(builder: Any, network: Any, shapes: dict[str, Any]) -> Any:
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if -1 not in tuple(tensor.shape):
            continue
        if tensor.name not in shapes:
            raise StudioError(
                Code.PROFILE_INVALID, problem=f"it gives no shapes for the input {tensor.name}"
            )
        profile.set_shape(tensor.name, *(tuple(shape) for shape in shapes[tensor.name]))
    return profile


def _monitor(trt: Any, tell: News, stop: Callable[[], bool]) -> Any:
    tree = PhaseTree()

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._told = ("", -1)

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._tell(phase, tree.start(phase, parent, steps))

        def step_complete(self, phase: str, step: int) -> bool:
            self._tell(phase, tree.step(phase, step))
            return not stop()

        def phase_finish(self, phase: str) -> None:
            tree.finish(phase)

        def _tell(self, phase: str, share: float) -> None:
            now = (phase, int(share * PERCENT))
            if now != self._told:
                self._told = now
                tell({"phase": phase, "step": now[1], "total": PERCENT})

    return Monitor()


if __name__ == "__main__":
    child_main(lambda arguments, tell: build(arguments, tell, stop_requested()))
