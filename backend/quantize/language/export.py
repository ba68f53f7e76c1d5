"""A quantised model as a Hugging Face checkpoint, complete with all that serving needs."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from backend.quantize.language.sizes import SHARD_SIZE, files_bytes

POLL_S = 0.5
OURS = frozenset({"config.json", "hf_quant_config.json", "manifest.json"})
BESIDE = (".json", ".jinja", ".txt", ".model")
LEGAL = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY")


def export(model: Any, folder: Path, expected_bytes: int, tell: Callable[[int, int], None]) -> None:
    """Write the checkpoint, telling the bytes on disk against those expected. Uses `model` up."""
    from modelopt.torch.export import export_hf_checkpoint

    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_S):
            tell(min(files_bytes(folder), expected_bytes), expected_bytes)

    watcher = threading.Thread(target=watch, name="export-watch", daemon=True)
    watcher.start()
    try:
        with torch.inference_mode():
            export_hf_checkpoint(model, export_dir=folder, max_shard_size=SHARD_SIZE)
    finally:
        done.set()
        watcher.join()


def complete(source: Path, folder: Path) -> None:
    """Bring along what the export does not write: tokenizer, chat template, generation config and
    licence, as they are in the source."""
    for file in sorted(source.iterdir()):
        beside = file.suffix in BESIDE and not file.name.endswith(".safetensors.index.json")
        legal = file.name.upper().startswith(LEGAL)
        if file.is_file() and (beside or legal) and file.name not in OURS:
            shutil.copyfile(file, folder / file.name)
