"""Run TensorRT engines on this machine's GPU, on torch's memory and stream.

Not yet verified on hardware: written from TensorRT's documentation, tested against a stand-in that
computes what the real one would.
"""

import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backend.engines.editions import Edition, load_edition, logger_of
from backend.errors import Code, StudioError

Run = Callable[[Mapping[str, torch.Tensor]], tuple[torch.Tensor, ...]]
Shapes = tuple[tuple[int, ...], ...]


def load(
    file: Path,
    edition: str,
    device: torch.device,
    workspace: "Workspace | None" = None,
    kernels: Path | None = None,
    times: dict[str, list[float]] | None = None,
) -> "Engine":
    """The engine in `file` as a function of named tensors, in the order of its outputs; `kernels`
    and `times` as in `Engine`.

    Raises StudioError ENGINE_BROKEN, TENSORRT_MISSING.
    """
    known = load_edition("rtx" if edition == "rtx" else "enterprise")
    return Engine(file, known, workspace or Workspace(device), kernels, times)


class Workspace:
    """Activation memory that the engines of one pipeline share: they run one after the other on one
    stream, so it need be no larger than what the largest of them asks for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._memory = torch.empty(0, dtype=torch.uint8, device=device)

    def of_size(self, size_bytes: int) -> torch.Tensor:
        """At least `size_bytes`; the same memory as long as it is large enough."""
        if self._memory.numel() < size_bytes:
            self._memory = torch.empty(size_bytes, dtype=torch.uint8, device=self.device)
        return self._memory


@dataclass
class _Bound:
    """Buffers of our own under every name of an engine, for one set of input shapes."""

    shapes: Shapes
    inputs: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]
    workspace_bytes: int
    memory: torch.Tensor | None = None
    graph: Any = None
    """One run as a CUDA graph, once there was a first run that was not one."""


class Engine:
    """An engine and its execution context, called like the module that it takes the place of."""

    def __init__(
        self,
        file: Path,
        edition: Edition,
        workspace: Workspace,
        kernels: Path | None = None,
        times: dict[str, list[float]] | None = None,
    ) -> None:
        """`kernels` is where the RTX edition keeps what it compiles at the first run of a shape.
        `times` gets the milliseconds of every layer in every run, by the layer's name; runs are
        then not replayed from graphs, which tell nothing of their layers.

        Raises StudioError ENGINE_BROKEN.
        """
        self._trt = trt = edition.api
        self._name, self._workspace, self._kernels = file.parent.name, workspace, kernels
        self._times = times
        self._problems: list[str] = []
        self._runtime = trt.Runtime(logger_of(trt, self._problems))
        self._engine = engine = self._deserialised(file)
        self._makes_graphs = hasattr(trt, "CudaGraphStrategy")
        self._cache: Any = None
        self._context = self._new_context()
        if times is not None:
            self._context.profiler = self._profiler = _profiler(trt, times)
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        types = _torch_types(trt)
        self._types = {name: types[engine.get_tensor_dtype(name)] for name in names}
        self._inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        self._outputs = [n for n in names if n not in self._inputs]
        self._bound: _Bound | None = None

    @property
    def input_types(self) -> dict[str, str]:
        """What random numbers may be made as: whole ones where the engine takes such, truth values,
        else FP32; they are cast as they are bound."""
        kinds = {torch.int32: "int32", torch.int64: "int64", torch.bool: "bool"}
        return {name: kinds.get(self._types[name], "float32") for name in self._inputs}

    def __call__(self, tensors: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The outputs in their order, the caller's to keep. Nothing waits for the GPU.

        Raises StudioError ENGINE_BROKEN, PROFILE_INVALID.
        """
        shapes = tuple(tuple(tensors[name].shape) for name in self._inputs)
        if self._bound is None or self._bound.shapes != shapes:
            self._bound = None
            self._bound = self._bind(shapes)
        bound = self._bound
        for name, buffer in bound.inputs.items():
            buffer.copy_(tensors[name], non_blocking=True)
        memory = self._workspace.of_size(bound.workspace_bytes)
        if memory is not bound.memory:
            bound.memory, bound.graph = memory, None
            self._context.set_device_memory(memory.data_ptr(), memory.numel())
        if bound.graph is None:
            self._first_run(bound)
        else:
            bound.graph.replay()
        return tuple(bound.outputs[name].clone() for name in self._outputs)

    def _deserialised(self, file: Path) -> Any:
        """The plan is mapped, not read: no copy of it stays on the host."""
        with (
            file.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as plan,
        ):
            engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise self._broken("TensorRT gave no reason")
        return engine

    def _new_context(self) -> Any:
        """The RTX edition captures CUDA graphs itself, when a shape's kernels are compiled."""
        trt = self._trt
        ours = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not self._makes_graphs:
            return self._engine.create_execution_context(ours)
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(ours)
        if self._times is None:
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self._cache = config.create_runtime_cache()
        if self._kernels is not None and self._kernels.exists():
            self._cache.deserialize(self._kernels.read_bytes())
        config.set_runtime_cache(self._cache)
        return self._engine.create_execution_context(config)

    def _bind(self, shapes: Shapes) -> _Bound:
        context = self._context
        for name, shape in zip(self._inputs, shapes, strict=True):
            if not context.set_input_shape(name, shape):
                problem = f"the engine takes no {name} of {'x'.join(map(str, shape))}"
                raise StudioError(Code.PROFILE_INVALID, "\n".join(self._problems), problem=problem)
        inputs = {n: self._buffer(n, shape) for n, shape in zip(self._inputs, shapes, strict=True)}
        outputs = {n: self._buffer(n, tuple(context.get_tensor_shape(n))) for n in self._outputs}
        for name, buffer in (inputs | outputs).items():
            context.set_tensor_address(name, buffer.data_ptr())
        return _Bound(shapes, inputs, outputs, int(context.update_device_memory_size_for_shapes()))

    def _buffer(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.empty(shape, dtype=self._types[name], device=self._workspace.device)

    def _first_run(self, bound: _Bound) -> None:
        self._execute()
        if self._times is not None:
            bound.graph = _Replay(self._execute)
        elif self._makes_graphs:
            self._keep_kernels(bound)
        elif self._workspace.device.type == "cuda":
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._execute()
            bound.graph = graph

    def _execute(self) -> None:
        if not self._context.execute_async_v3(_stream(self._workspace.device)):
            raise self._broken("it could not be run")

    def _keep_kernels(self, bound: _Bound) -> None:
        bound.graph = _Replay(self._execute)
        if self._kernels is None:
            return
        self._kernels.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._kernels.with_suffix(".part")
        unfinished.write_bytes(self._cache.serialize())
        unfinished.replace(self._kernels)

    def _broken(self, otherwise: str) -> StudioError:
        detail = "\n".join(self._problems)
        problem = self._problems[-1][:300] if self._problems else otherwise
        return StudioError(Code.ENGINE_BROKEN, detail, engine=self._name, problem=problem)


@dataclass(frozen=True)
class _Replay:
    """A run of an engine whose runtime replays its own graph, or that is not to be replayed."""

    replay: Callable[[], None]


def _profiler(trt: Any, times: dict[str, list[float]]) -> Any:
    """Notes what TensorRT reports after each run (`IProfiler`)."""

    class Profiler(trt.IProfiler):
        def report_layer_time(self, layer_name: str, ms: float) -> None:
            times.setdefault(layer_name, []).append(ms)

    return Profiler()


def _stream(device: torch.device) -> int:
    return int(torch.cuda.current_stream(device).cuda_stream) if device.type == "cuda" else 0


def _torch_types(trt: Any) -> dict[Any, torch.dtype]:
    return {
        trt.DataType.FLOAT: torch.float32,
        trt.DataType.HALF: torch.float16,
        trt.DataType.BF16: torch.bfloat16,
        trt.DataType.INT32: torch.int32,
        trt.DataType.INT64: torch.int64,
        trt.DataType.BOOL: torch.bool,
    }
