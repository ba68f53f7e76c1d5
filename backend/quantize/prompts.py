"""Prompts to calibrate with."""

from pathlib import Path

from backend.errors import Code, StudioError
from backend.language import human_bytes

PROMPTS = Path(__file__).resolve().parents[2] / "assets" / "calibration" / "prompts.txt"
"""Our own 128."""

MAX_PROMPTS_BYTES = 1024 * 1024
MAX_PROMPT_CHARACTERS = 2000


def read_prompts(file: Path) -> tuple[str, ...]:
    """The prompts of a text file, one a line; empty lines do not count.

    Raises StudioError PROMPTS_UNREADABLE.
    """

    def refused(problem: str, detail: str = "") -> StudioError:
        return StudioError(Code.PROMPTS_UNREADABLE, detail, path=str(file), problem=problem)

    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_PROMPTS_BYTES + 1)
        if len(data) > MAX_PROMPTS_BYTES:
            raise refused(f"it is larger than {human_bytes(MAX_PROMPTS_BYTES)}")
        content = data.decode("utf-8-sig")
    except OSError as error:
        raise refused("it cannot be read", repr(error)) from error
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
