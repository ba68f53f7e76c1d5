"""Check a model's files against their digests and load it once, in a child process."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.jobs.children import News, child_main
from backend.models import files

CHUNK_BYTES = 4 * 1024**2


def digest_files(arguments: dict[str, Any], tell: News) -> dict[str, Any]:
    """SHA-256 of every file that the manifest names; all other weights are read to their end.

    Raises StudioError MODEL_FILES_CORRUPTED.
    """
    model, folder = arguments["model"], Path(arguments["folder"])
    expected: dict[str, str] = arguments["digests"]
    names = sorted({*expected, *(str(f.relative_to(folder)) for f in files.weight_files(folder))})
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise files.corrupted(model, f"{missing[0]} is missing")
    total = sum((folder / name).stat().st_size for name in names)
    read = 0

    def advance(size: int) -> None:
        nonlocal read
        read += size
        tell({"step": read, "total": total})

    for name in names:
        digest = _sha256(folder / name, advance)
        if expected.get(name, digest) != digest:
            raise files.corrupted(model, f"{name} differs from what was shipped")
        tell({"step": read, "total": total, "checked": name})
    files.count_parameters(folder, model)
    return {"files": len(names), "size_bytes": total}


def _sha256(file: Path, advance: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()


if __name__ == "__main__":
    child_main(digest_files)
