"""What results of both sorts of models share: their files, and the options of a line to copy."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from backend.contracts import ResultFile


def files_of(folder: Path) -> tuple[ResultFile, ...]:
    """Those at the top of the folder, by name; neither links nor hidden ones."""
    return tuple(
        ResultFile(name=file.name, size_bytes=file.stat().st_size)
        for file in sorted(folder.iterdir())
        if file.is_file() and not file.is_symlink() and not file.name.startswith(".")
    )


def option_words(
    request: BaseModel, plain: BaseModel, options: Iterable[tuple[str, str]]
) -> list[str]:
    """Words of a command for the fields of `request`, by field and option, that are not as they are
    in `plain`."""
    words: list[str] = []
    for field, option in options:
        value = getattr(request, field)
        if value != getattr(plain, field):
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return words
