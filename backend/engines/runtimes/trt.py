"""Run TensorRT engines on this machine's GPU, on torch's memory and stream.

Not yet verified on hardware: written from TensorRT's documentation.
"""

import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from backend.engines.editions import load_edition, logger_of
from backend.errors import Code, StudioError

Run = Callable[[Mapping[str, torch.Tensor]], tuple[torch.Tensor, ...]]


def load(file: Path, edition: str, device: torch.device) -> Run:
    """The engine in `file` as a function of named tensors, in the order of its outputs.

    The plan is mapped, not read: no copy of it stays on the host. Raises StudioError
    ENGINE_BROKEN, TENSORRT_MISSING.
    """
    trt = load_edition("rtx" if edition == "rtx" else "enterprise").api
    problems: list[str] = []
    runtime = trt.Runtime(logger_of(trt, problems))
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as plan:
        engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        problem = problems[-1][:300] if problems else "TensorRT gave no reason"
        raise StudioError(
            Code.ENGINE_BROKEN, "\n".join(problems), engine=file.parent.name, problem=problem
        )
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    outputs = [n for n in names if n not in inputs]
    types = {name: _torch_type(trt, engine.get_tensor_dtype(name)) for name in names}

    def run(tensors: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        held = {n: tensors[n].to(device, types[n]).contiguous() for n in inputs}
        for name, tensor in held.items():
            context.set_input_shape(name, tuple(tensor.shape))
            context.set_tensor_address(name, tensor.data_ptr())
        made = {
            n: torch.empty(tuple(context.get_tensor_shape(n)), dtype=types[n], device=device)
            for n in outputs
        }
        for name, tensor in made.items():
            context.set_tensor_address(name, tensor.data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream(device).cuda_stream):
            problem = problems[-1][:300] if problems else "it could not be run"
            raise StudioError(
                Code.ENGINE_BROKEN, "\n".join(problems), engine=file.parent.name, problem=problem
            )
        return tuple(made.values())

    return run


def _torch_type(trt: Any, kind: Any) -> torch.dtype:
    types = {
        trt.DataType.FLOAT: torch.float32,
        trt.DataType.HALF: torch.float16,
        trt.DataType.BF16: torch.bfloat16,
        trt.DataType.INT32: torch.int32,
        trt.DataType.INT64: torch.int64,
    }
    return types[kind]
