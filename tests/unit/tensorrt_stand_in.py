"""As much of TensorRT's Python API as running an engine takes, over CPU memory.

A plan is JSON: {"names", "modes", "largest", "scratch"}; the engine doubles its input. Calls are
noted, and what a real engine would read or write at an address is read and written there.
"""

import ctypes
import json
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np

TensorIOMode = Enum("TensorIOMode", "INPUT OUTPUT")
DataType = Enum("DataType", "FLOAT HALF BF16 INT32 INT64 BOOL")
ExecutionContextAllocationStrategy = Enum(
    "ExecutionContextAllocationStrategy", "STATIC USER_MANAGED"
)
__version__ = "stand-in"


class ILogger:
    Severity = SimpleNamespace(ERROR=1, INFO=3)

    def __init__(self) -> None: ...


class IProfiler:
    def report_layer_time(self, layer_name: str, ms: float) -> None: ...


class Runtime:
    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, plan: Any) -> "Engine | None":
        try:
            return Engine(json.loads(bytes(plan)), self.logger)
        except ValueError:
            self.logger.log(ILogger.Severity.ERROR, "the plan cannot be read")
            return None


class Engine:
    def __init__(self, plan: dict[str, Any], logger: Any) -> None:
        self.plan, self.logger = plan, logger
        self.num_io_tensors = 2
        self.contexts: list[Context] = []

    def get_tensor_name(self, index: int) -> str:
        return ("x", "doubled")[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "x" else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.FLOAT

    def create_execution_context(self, strategy: Any) -> "Context":
        self.contexts.append(Context(self, strategy))
        return self.contexts[-1]


class Context:
    def __init__(self, engine: Engine, strategy: Any) -> None:
        self.engine, self.strategy = engine, strategy
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.memory = (0, 0)
        self.bindings, self.runs = 0, 0
        self.profiler: IProfiler | None = None

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if max(shape) > self.engine.plan["largest"]:
            problem = f"{name} is out of the profile"
            self.engine.logger.log(ILogger.Severity.ERROR, problem)
            return False
        self.shape = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape

    def update_device_memory_size_for_shapes(self) -> int:
        return int(self.engine.plan["scratch"] * np.prod(self.shape))

    def set_device_memory(self, address: int, size: int) -> None:
        self.memory = (address, size)

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address
        self.bindings += 1

    def execute_async_v3(self, stream: int) -> bool:
        self.runs += 1
        if self.memory[1] < self.update_device_memory_size_for_shapes():
            return False
        ctypes.memset(self.memory[0], 7, self.update_device_memory_size_for_shapes())
        self._at("doubled")[...] = 2 * self._at("x")
        if self.profiler is not None:
            self.profiler.report_layer_time("double", float(self.runs))
        return True

    def _at(self, name: str) -> np.ndarray:
        pointer = ctypes.cast(self.addresses[name], ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(pointer, self.shape)
