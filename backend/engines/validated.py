"""Whether a finished engine computes what its torch module does."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.contracts import Precision, Runtime
from backend.engines.cache import EngineKey
from backend.engines.host import this_host
from backend.jobs.children import run_child
from backend.language import Text, text

ROUNDING = {Precision.FP32: 5e-3, Precision.FP16: 2e-2, Precision.BF16: 5e-2}
"""Relative error that the base precision of a TensorRT engine may add to that of its ONNX file,
TF32 products included. Not yet verified on hardware."""


@dataclass(frozen=True)
class Validation:
    """`validated` is None where the engine could not be run."""

    validated: bool | None
    reason: Text


def reference_file(work: Path, module: str) -> Path:
    """Inputs of a module and what torch makes of them, while its engine is being made."""
    return work / f"{module}.reference.safetensors"


def validated(
    key: EngineKey,
    facts: dict[str, Any],
    made: dict[str, Any],
    work: Path,
    check: Callable[[], None],
) -> Validation:
    """Run the engine once where this machine's GPU can. Raises StudioError ENGINE_BROKEN when it
    cannot be loaded here or gives nothing finite."""
    reference = reference_file(work, key.module)
    if not reference.is_file():
        return Validation(None, text("validation.no_reference"))
    allowed = facts["allowed"]
    if key.runtime is Runtime.ONNXRUNTIME:
        return judged(made["validation_error"], allowed, key.target)
    host = this_host()
    if key.target != host.target:
        return Validation(None, text("validation.elsewhere", target=key.target, here=host.target))
    arguments = {
        "engine": key.id,
        "edition": key.edition,
        "plan": str(work / key.module / made["file"]),
        "reference": str(reference),
        "shapes": made["shapes"],
    }
    found = run_child("backend.engines.validate", arguments, lambda news: None, check)
    return judged(found["relative_error"], allowed + ROUNDING[Precision(facts["base"])], key.target)


def judged(error: float, allowed: float, target: str) -> Validation:
    """Whether `error` is no more than rounding can explain."""
    shown = f"{error:.1e}"
    if error <= allowed:
        return Validation(True, text("validation.done", target=target, error=shown))
    reason = text("validation.differs", target=target, error=shown, allowed=f"{allowed:.1e}")
    return Validation(False, reason)
