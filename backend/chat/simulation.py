"""A plain copy of a quantised checkpoint, to chat with it where its format does not run."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.chat.models import SIMULATED, find_language_model
from backend.contracts import LanguageModel
from backend.errors import Code, StudioError
from backend.jobs.children import News, run_child
from backend.jobs.room import check_disk
from backend.settings import Settings

READABLE = frozenset(
    {
        "FP8",
        "FP8_PER_CHANNEL_PER_TOKEN",
        "FP8_PB_WO",
        "NVFP4",
        "NVFP4_AWQ",
        "NVFP4_SVD",
        "W4A16_NVFP4",
        "W4A16_AWQ",
        "W4A8_AWQ",
        "MXFP8",
        "W8A16",
        "W8A8_SQ_PER_CHANNEL",
        "MIXED_PRECISION",
    }
)
"""Values of `quant_algo` whose weights can be computed back."""
LOW_RANK = ("weight_quantizer._svdquant_lora_a", "weight_quantizer._svdquant_lora_b")
"""Of a layer in NVFP4_SVD, (rank, in) and (out, rank), as ModelOpt 0.47 exports them."""
GROWTH = {
    "NVFP4": 4.0,
    "NVFP4_AWQ": 4.0,
    "NVFP4_SVD": 4.0,
    "W4A16_NVFP4": 4.0,
    "W4A16_AWQ": 4.0,
    "W4A8_AWQ": 4.0,
}
"""BF16 over stored bytes, at most; 2 for 8-bit formats."""


def simulated_folder(settings: Settings, model: LanguageModel) -> Path:
    """Where the plain copy of a checkpoint is, or will be; another one when its files change."""
    source = Path(model.folder)
    marks = sorted(
        (file.name, file.stat().st_size, file.stat().st_mtime_ns)
        for file in source.glob("*.safetensors")
    )
    digest = hashlib.sha256(repr((model.folder, marks)).encode()).hexdigest()[:8]
    name = model.name.replace("/", "--")
    return settings.home / SIMULATED / f"{name}-simulated-{digest}"


def growth_of(model: LanguageModel) -> float:
    """Size of the plain copy over that of the checkpoint, at most."""
    return GROWTH.get(str(model.algorithm).upper(), 2.0)


def can_simulate(model: LanguageModel) -> bool:
    return model.modelopt and str(model.algorithm).upper() in READABLE


def check_simulation(model: LanguageModel) -> None:
    """Raises StudioError CHECKPOINT_NOT_READABLE."""
    if not can_simulate(model):
        problem = f"its format is {model.algorithm or model.precision}"
        raise StudioError(Code.CHECKPOINT_NOT_READABLE, model=model.name, problem=problem)


def simulate(
    settings: Settings, model: LanguageModel, on_news: News, check: Callable[[], None]
) -> LanguageModel:
    """The plain copy, made in a child process unless it is there.

    Raises StudioError CHECKPOINT_NOT_READABLE, ENGINE_DISK_SPACE_LOW, MODEL_FILES_CORRUPTED.
    """
    check_simulation(model)
    folder = simulated_folder(settings, model)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        check_disk(settings.home, int(model.weights_bytes * growth_of(model)))
        arguments: dict[str, Any] = {"source": model.folder, "folder": str(folder)}
        run_child("backend.chat.dequantise", arguments, on_news, check)
    return find_language_model(settings, folder.name)
