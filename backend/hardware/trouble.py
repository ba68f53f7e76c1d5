"""The failures that people with a DGX Spark meet most, and the answer to each.

The list is that of the troubleshooting tables in NVIDIA's DGX Spark playbooks. Nothing in it has
been provoked on a Spark yet; the patterns are the messages that the tools are documented to print.
"""

import re
from dataclasses import dataclass

from backend.contracts import DROP_CACHES


@dataclass(frozen=True)
class Trouble:
    code: str
    pattern: re.Pattern[str]
    meaning: str
    remedy: str
    harmless: bool = False


def _trouble(code: str, pattern: str, meaning: str, remedy: str, harmless: bool = False) -> Trouble:
    return Trouble(code, re.compile(pattern, re.IGNORECASE), meaning, remedy, harmless)


TROUBLES: tuple[Trouble, ...] = (
    _trouble(
        "OUT_OF_MEMORY",
        r"cuda.{0,20}out of memory|CUDA_ERROR_OUT_OF_MEMORY|OutOfMemoryError",
        "The GPU has no memory left for this model.",
        "Unload other models, or use FP8, NVFP4 or a smaller model. On unified memory page cache"
        f" may be in the way; this frees it: {DROP_CACHES}",
    ),
    _trouble(
        "HUB_GATED",
        r"GatedRepo|gated repo|access to model .{1,200} is restricted|awaiting a review",
        "The model's owner asks for a licence agreement first.",
        "Open the model's page on huggingface.co signed in, ask for access, and try again.",
    ),
    _trouble(
        "HUB_TOKEN",
        r"401 .{0,20}Unauthorized|invalid (user )?token|token is required|LocalTokenNotFound",
        "The Hugging Face token is missing or not valid.",
        "Make a token with read access at huggingface.co/settings/tokens; then run `hf auth login`"
        " or set HF_TOKEN, and start the studio again.",
    ),
    _trouble(
        "DOWNLOAD_TIMEOUT",
        r"(read|connect(ion)?) ?time-?out|timed out|incomplete ?read",
        "A download took too long.",
        "Retry: it goes on where it stopped.",
    ),
    _trouble(
        "DOCKER_SOCKET",
        r"permission denied.{0,120}docker( daemon|\.sock)",
        "This user may not talk to Docker.",
        "Run `sudo usermod -aG docker $USER`, then `newgrp docker` or sign in again.",
    ),
    _trouble(
        "NO_MODEL_FILES",
        r"no (model )?files? (were )?found in|no file named .{1,200} found in directory",
        "The folder holds no model.",
        "Check the path; after an export that failed, look at its log and export again.",
    ),
    _trouble(
        "KILLED_FOR_MEMORY",
        r"oom-?kill|exit code 137|signal 9|SIGKILL",
        "The process was killed, most likely at the memory limit of its container.",
        "Raise the container's memory limit, or use a smaller model or precision.",
    ),
    _trouble(
        "NVML_NOT_SUPPORTED",
        r"nvml.{0,40}not supported|memory-usage.{0,40}not supported",
        "NVML reports no memory figures on a GPU with unified memory.",
        "Nothing to do: it is expected, and memory is read from the system instead.",
        harmless=True,
    ),
)


def recognise(text: str) -> Trouble | None:
    """The first known trouble that a message or the tail of a log speaks of."""
    return next((trouble for trouble in TROUBLES if trouble.pattern.search(text)), None)


def remedy(code: str) -> str:
    """What to do about a trouble of `TROUBLES`. StopIteration for another code."""
    return next(trouble.remedy for trouble in TROUBLES if trouble.code == code)
