"""What a model folder in diffusers' layout holds, read without torch."""

import hashlib
import json
import math
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.errors import Code, StudioError


def read_json(file: Path, model: str) -> dict[str, Any]:
    """A JSON object of a model's folder. Raises StudioError MODEL_FILES_CORRUPTED."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise corrupted(model, f"{file.name} cannot be read", str(error)) from error
    if not isinstance(value, dict):
        raise corrupted(model, f"{file.name} is not a JSON object")
    return value


def corrupted(model: str, problem: str, detail: str = "") -> StudioError:
    return StudioError(Code.MODEL_FILES_CORRUPTED, detail, model=model, problem=problem)


HALF = "fp16"
"""The variant of weights that repositories keep beside the plain ones."""


def weight_files(folder: Path) -> list[Path]:
    """The safetensors that loading the pipeline reads, and no others that lie beside them; empty
    when its index cannot be read."""
    variant = variant_of(folder)
    return sorted(
        file for name in _components(folder) for file in component_files(folder, name, variant)
    )


def variant_of(folder: Path) -> str | None:
    """The variant that a pipeline is to be loaded with: None for plain weights, `fp16` where a
    component has no others."""
    for name in _components(folder):
        plain, half = _by_variant(folder / name)
        if half and not plain:
            return HALF
    return None


def component_files(folder: Path, name: str, variant: str | None) -> list[Path]:
    """The weight files of one component: of the variant where it has that, else the plain ones."""
    plain, half = _by_variant(folder / name)
    return (half if variant else plain) or plain


def _by_variant(folder: Path) -> tuple[list[Path], list[Path]]:
    found = sorted(folder.glob("*.safetensors"))
    half = [file for file in found if f".{HALF}" in file.name]
    return [file for file in found if file not in half], half


def _components(folder: Path) -> list[str]:
    try:
        index = read_json(folder / "model_index.json", folder.name)
    except StudioError:
        return []
    return [
        name
        for name, kind in index.items()
        if isinstance(kind, list) and any(kind) and Path(name).name == name
    ]


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def fingerprint(folder: Path, digests: dict[str, str]) -> str:
    """What tells one set of weights from another without reading them: the digests that the model
    ships; else, file by file, the hub cache's content address, or size and time of change."""
    marks = []
    for file in weight_files(folder):
        name, real = str(file.relative_to(folder)), file.resolve()
        stat = real.stat()
        mark = digests.get(name) or (
            real.name if file.is_symlink() else f"{stat.st_size}.{stat.st_mtime_ns}"
        )
        marks.append(f"{name} {mark}")
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()


def count_parameters(folder: Path, model: str) -> int:
    """Number of parameters in all components, from the headers of the weight files.

    Raises StudioError MODEL_FILES_CORRUPTED for a missing, cut or unreadable file.
    """
    files = weight_files(folder)
    if not files:
        raise corrupted(model, "there are no weights in safetensors")
    return sum(count_in_file(file, model) for file in files)


def count_in_file(file: Path, model: str) -> int:
    """Number of parameters in one safetensors file. Raises StudioError MODEL_FILES_CORRUPTED."""
    return sum(math.prod(shape) for shape in shapes_in_file(file, model).values())


def shapes_in_file(file: Path, model: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in one safetensors file, by name. Raises StudioError
    MODEL_FILES_CORRUPTED."""
    return _shapes(file, file.stat().st_size, model)


@lru_cache(maxsize=256)
def _shapes(file: Path, size: int, model: str) -> dict[str, tuple[int, ...]]:
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, size)))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        if 8 + length + end != size:
            raise ValueError(f"{size} bytes, {8 + length + end} expected")
        return {name: tuple(map(int, entry["shape"])) for name, entry in tensors.items()}
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        name = f"{file.parent.name}/{file.name}"
        raise corrupted(model, f"{name} is cut or not a safetensors file", str(error)) from error
