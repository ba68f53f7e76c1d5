"""Where ONNX files are, and whether one is still what an engine was built from.

Nothing here imports onnx.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from backend.contracts import NetworkSource
from backend.errors import Code, StudioError
from backend.settings import Settings

FOLDER = "onnx_files"
ORIGIN = "origin.json"
"""Beside an exported language model: the folder that it was made from."""
SUFFIX = ".onnx"
PLAIN_STEMS = frozenset({"model", "network"})
"""Names of files that say nothing: the folder's name says more."""


def folder_of_files(settings: Settings) -> Path:
    """Where uploaded and exported files are, and those that are to be chosen on the page."""
    return settings.home / FOLDER


def list_files(settings: Settings) -> tuple[str, ...]:
    """The ONNX files in the home's folder, by their path inside it."""
    root = folder_of_files(settings)
    return tuple(sorted(str(file.relative_to(root)) for file in root.rglob(f"*{SUFFIX}")))


def find_file(settings: Settings, source: NetworkSource, anywhere: bool) -> Path:
    """The file that a source without a repository names.

    Raises StudioError ONNX_NOT_FOUND, or ONNX_NOT_ALLOWED for a file outside the home's folder
    unless `anywhere`.
    """
    root = folder_of_files(settings)
    file = Path(os.path.normpath(root / Path(source.file).expanduser()))
    inside = Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root))
    if not inside and not anywhere:
        raise StudioError(Code.ONNX_NOT_ALLOWED, file=source.file, folder=str(root))
    if not file.is_file():
        raise StudioError(Code.ONNX_NOT_FOUND, file=str(file))
    return file


def file_to_write(settings: Settings, name: str) -> Path:
    """Where an uploaded file goes. Raises StudioError ONNX_NAME_INVALID, ONNX_NAME_TAKEN."""
    if not re.fullmatch(r"\w[\w .+-]{0,150}", name) or Path(name).name != name:
        raise StudioError(Code.ONNX_NAME_INVALID, name=name[:150])
    file = folder_of_files(settings) / name
    if file.exists():
        raise StudioError(Code.ONNX_NAME_TAKEN, name=name)
    return file


def name_of(file: Path) -> str:
    """A stable, readable name for what is made of a file."""
    said = file.parent.name if file.stem.lower() in PLAIN_STEMS else file.stem
    return re.sub(r"[^a-z0-9_-]+", "-", said.lower()).strip("-")[:60] or "network"


def mark_of(file: Path, external: Iterable[str]) -> str:
    """Sizes and times of change of a file and of its external data, `?` for one that is gone."""
    marks = []
    for name in (file.name, *external):
        try:
            stat = (file.parent / name).stat()
            marks.append(f"{name}={stat.st_size}.{stat.st_mtime_ns}")
        except OSError:
            marks.append(f"{name}=?")
    return "\n".join(marks)


def mark_now(source: str, mark: str) -> str | None:
    """The mark that a source would get today; None when the file is gone."""
    file = Path(source)
    names = [line.rpartition("=")[0] for line in mark.splitlines()]
    return mark_of(file, names[1:]) if file.is_file() else None
