"""Why a server died, from the last lines of its log."""

import re

from backend.contracts import LanguageModel
from backend.errors import Code, ErrorInfo

LINE, LINES = 300, 60
KILLED = (137, -9)
"""Exit statuses of a process that the system killed, most likely for memory."""

PATTERNS: tuple[tuple[Code, re.Pattern[str]], ...] = tuple(
    (code, re.compile(pattern, re.IGNORECASE))
    for code, pattern in (
        (
            Code.SERVER_PORT_TAKEN,
            r"address already in use|failed to bind|errno 98|port .{0,20}(is )?(in use|taken)",
        ),
        (
            Code.SERVER_DRIVER_MISMATCH,
            r"driver version is insufficient|cuda driver .{0,60}(too old|older)|forward compatib"
            r"|no kernel image is available|libcuda\.so|error 80[34]|nvidia driver.{0,40}too old"
            r"|cuda>=\S+, please update your driver",
        ),
        (
            Code.SERVER_OUT_OF_MEMORY,
            r"out of memory|cannot allocate memory|can't allocate memory|bad_alloc|MemoryError"
            r"|free memory on device .{0,200}less than|no available memory for the cache"
            r"|larger than the available kv cache memory|oom-?kill",
        ),
        (
            Code.ARCHITECTURE_UNSUPPORTED,
            r"model architectures? .{0,120}(not supported|failed to be inspected|are not supported)"
            r"|unknown architecture|unsupported (model )?architecture|does not recognize this arch"
            r"|unrecognized (model|configuration class)",
        ),
        (
            Code.CHAT_TEMPLATE_MISSING,
            r"chat_template is not set|no chat template|default chat template is no longer",
        ),
    )
)
"""In this order: a server that cannot bind or finds no driver says much else besides. The messages
of TensorRT-LLM and vLLM are those that their sources and issues show; those of transformers and of
Python were seen here."""
TELLS = re.compile(r"error|exception|cannot|failed|invalid|no such", re.IGNORECASE)


def why_it_died(log: list[str], status: int | None, model: LanguageModel, port: int) -> ErrorInfo:
    """The failure that the newest lines of a log amount to."""
    whole, tail = "\n".join(log), "\n".join(log[-LINES:])
    for code, pattern in PATTERNS:
        if pattern.search(whole):
            return ErrorInfo(code=code, values=_values(code, model, port), detail=tail)
    if status in KILLED:
        code = Code.SERVER_OUT_OF_MEMORY
        return ErrorInfo(code=code, values=_values(code, model, port), detail=tail)
    telling = [line for line in log if TELLS.search(line)] or log or [f"status {status}"]
    problem = telling[-1].strip()[:LINE].rstrip(".")
    return ErrorInfo(code=Code.SERVER_START_FAILED, values={"problem": problem}, detail=tail)


def _values(code: Code, model: LanguageModel, port: int) -> dict[str, str | int]:
    if code is Code.SERVER_PORT_TAKEN:
        return {"port": port}
    if code is Code.ARCHITECTURE_UNSUPPORTED:
        return {"model": model.name, "architecture": model.architecture}
    return {"model": model.name}
