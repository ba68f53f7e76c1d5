"""What went wrong, in the studio's terms: for a job's phase and for a child process alike."""

import errno
import traceback
from collections.abc import Iterator

from backend.errors import Code, ErrorInfo, StudioError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NOT_WRITABLE = (errno.EACCES, errno.EROFS)
OUT_OF_MEMORY_NAMES = ("OutOfMemoryError", "MemoryError")
OUT_OF_MEMORY_TEXTS = (
    "out of memory",
    "can't allocate memory",
    "bad allocation",
    "bad_alloc",
    "failed to allocate memory",
    "cannot allocate memory",
)
"""Of CUDA, of torch's CPU allocator, and of what ONNX Runtime, TensorRT and the system say."""


def explain(error: BaseException) -> ErrorInfo:
    """The failure with the traceback as its detail. What a library wrapped in an exception of its
    own counts too."""
    detail = "".join(traceback.format_exception(error))
    if isinstance(error, StudioError):
        return error.info if error.info.detail else error.info.model_copy(update={"detail": detail})
    for one in _causes(error):
        path = str(getattr(one, "filename", None) or "a file")
        if getattr(one, "errno", None) in NO_SPACE or "No space left on device" in str(one):
            return ErrorInfo(code=Code.DISK_FULL, values={"path": path}, detail=detail)
        if isinstance(one, OSError) and one.errno in NOT_WRITABLE:
            return ErrorInfo(code=Code.HOME_NOT_WRITABLE, values={"path": path}, detail=detail)
        if type(one).__name__ in OUT_OF_MEMORY_NAMES or says_out_of_memory(str(one)):
            return ErrorInfo(code=Code.OUT_OF_MEMORY, detail=detail)
    problem = f"{type(error).__name__}: {error}"[:200]
    return ErrorInfo(code=Code.INTERNAL, values={"problem": problem}, detail=detail)


def says_out_of_memory(words: str) -> bool:
    return any(known in words.lower() for known in OUT_OF_MEMORY_TEXTS)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        unsaid = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or unsaid
