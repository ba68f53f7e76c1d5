"""TensorRT in either of its editions, behind one door.

Both have one Python API; what differs between versions is asked for by name, never by number
(docs/notes.md has the table).
"""

import ctypes
import importlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from backend.errors import Code, StudioError
from backend.hardware.capability import Edition as EditionName

RTX_LIBRARY_PACKAGE = "onnxruntime_ep_nv_tensorrt_rtx"
RTX_LIBRARIES = ("libtensorrt_rtx.so", "libtensorrt_onnxparser_rtx.so")


@dataclass(frozen=True)
class Edition:
    name: EditionName
    version: str
    api: Any
    """The module: `tensorrt`, or that of the RTX edition."""


@lru_cache(maxsize=2)
def load_edition(name: EditionName) -> Edition:
    """Import an edition. Raises StudioError TENSORRT_MISSING when its parts do not fit."""
    try:
        api = importlib.import_module("tensorrt") if name == "enterprise" else _import_rtx()
    except (ImportError, OSError) as error:
        raise StudioError(Code.TENSORRT_MISSING, repr(error), problem=str(error)) from error
    return Edition(name, str(api.__version__), api)


def _import_rtx() -> ModuleType:
    """`tensorrt_rtx` where it is whole; else the bindings over the libraries that the ONNX Runtime
    provider's wheel carries, which have no links of their short names."""
    if find_spec("tensorrt_rtx"):
        return importlib.import_module("tensorrt_rtx")
    spec = find_spec(RTX_LIBRARY_PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for library in RTX_LIBRARIES:
            for file in sorted(Path(folder).glob(f"{library}.*")):
                ctypes.CDLL(str(file), ctypes.RTLD_GLOBAL)
    return importlib.import_module("tensorrt_rtx_bindings")


def logger_of(api: Any, problems: list[str]) -> Any:
    """A logger that keeps what goes wrong; the rest is dropped."""

    class Logger(api.ILogger):
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity <= api.ILogger.Severity.ERROR:
                problems.append(message)

    return Logger()
