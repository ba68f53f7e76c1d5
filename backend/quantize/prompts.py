"""Prompts to calibrate with."""

import hashlib
import os
import re
from pathlib import Path

from backend.errors import Code, StudioError
from backend.language import human_bytes

PROMPTS = Path(__file__).resolve().parents[2] / "assets" / "calibration" / "prompts.txt"
"""Our own 128."""

MAX_PROMPTS_BYTES = 1024 * 1024
MAX_PROMPT_CHARACTERS = 2000
DIGEST = re.compile("[0-9a-f]{64}")


def read_prompts(file: Path) -> tuple[str, ...]:
    """The prompts of a text file, one a line; empty lines do not count.

    Raises StudioError PROMPTS_UNREADABLE.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_PROMPTS_BYTES + 1)
    except OSError as error:
        problem = "it cannot be read"
        raise StudioError(
            Code.PROMPTS_UNREADABLE, repr(error), path=str(file), problem=problem
        ) from error
    return parse_prompts(data, str(file))


def parse_prompts(data: bytes, name: str) -> tuple[str, ...]:
    """The same of what a file called `name` holds."""

    def refused(problem: str, detail: str = "") -> StudioError:
        return StudioError(Code.PROMPTS_UNREADABLE, detail, path=name, problem=problem)

    if len(data) > MAX_PROMPTS_BYTES:
        raise refused(f"it is larger than {human_bytes(MAX_PROMPTS_BYTES)}")
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused("it is not UTF-8 text", repr(error)) from error
    if "\0" in content:
        raise refused("it is not text")
    prompts = tuple(line.strip() for line in content.splitlines() if line.strip())
    if not prompts:
        raise refused("it is empty")
    for number, prompt in enumerate(prompts, 1):
        if len(prompt) > MAX_PROMPT_CHARACTERS:
            raise refused(
                f"prompt {number} has {len(prompt)} characters, more than {MAX_PROMPT_CHARACTERS}"
            )
    return prompts


def keep_prompts(home: Path, prompts: tuple[str, ...]) -> str:
    """Keep prompts for a calibration that comes later; their digest. Raises OSError."""
    content = "".join(f"{prompt}\n" for prompt in prompts).encode("utf-8")
    digest = hashlib.sha256(content).hexdigest()
    file = _kept(home, digest)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}.part")
    unfinished.write_bytes(content)
    unfinished.replace(file)
    return digest


def kept_prompts(home: Path, digest: str) -> Path:
    """The file of prompts that were kept. Raises StudioError PROMPTS_UNREADABLE."""
    file = _kept(home, digest)
    if not DIGEST.fullmatch(digest) or not file.is_file():
        problem = "no prompts of this digest are kept"
        raise StudioError(Code.PROMPTS_UNREADABLE, path=digest[:80], problem=problem)
    return file


def _kept(home: Path, digest: str) -> Path:
    return prompts_folder(home) / f"{digest}.txt"


def prompts_folder(home: Path) -> Path:
    """Where prompts of people's own are kept, for calibrations that come later."""
    return home / "calibrations" / "prompts"
