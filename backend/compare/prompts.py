"""Prompts to compare with: a file's, or the studio's own."""

import json
from pathlib import Path

from backend.errors import Code, StudioError
from backend.models.catalog import Entry
from backend.models.requests import check_prompt
from backend.quantize.prompts import PROMPTS, parse_prompts, read_prompts

BUILTIN = "builtin"
BUILTIN_COUNT = 8


def parse_list(data: bytes, name: str) -> tuple[str, ...]:
    """The prompts of a `.jsonl` (a string a line, or an object with `prompt` or `text`) or of any
    other text (a prompt a line). Raises StudioError PROMPTS_UNREADABLE."""
    if not name.lower().endswith(".jsonl"):
        return parse_prompts(data, name)
    lines = [_prompt(line, number, name) for number, line in enumerate(data.splitlines(), 1)]
    return parse_prompts("\n".join(lines).encode(), name)


def read_list(file: Path) -> tuple[str, ...]:
    """Raises StudioError PROMPTS_UNREADABLE."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise _refused(str(file), "it cannot be read", repr(error)) from error
    return parse_list(data, str(file))


def builtin_prompts(entry: Entry) -> tuple[str, ...]:
    """The model's examples, then some of the prompts that it is calibrated with, evenly chosen from
    those that it reads whole."""
    own = PROMPTS.with_name(f"{entry.id}.txt")
    examples = [one for one in entry.examples if _fits(one, entry)]
    listed = read_prompts(own if own.exists() else PROMPTS)
    more = [one for one in listed if one not in examples and _fits(one, entry)]
    wanted = max(0, BUILTIN_COUNT - len(examples))
    chosen = more[:: max(1, len(more) // max(1, wanted))][:wanted]
    return tuple(dict.fromkeys([*examples, *chosen]))[:BUILTIN_COUNT]


def _prompt(line: bytes, number: int, name: str) -> str:
    if not line.strip():
        return ""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refused(name, f"line {number} is not JSON", repr(error)) from error
    if isinstance(value, dict):
        value = value.get("prompt", value.get("text"))
    if not isinstance(value, str):
        raise _refused(name, f"line {number} has no “prompt”")
    return " ".join(value.split())


def _fits(prompt: str, entry: Entry) -> bool:
    try:
        check_prompt(prompt, entry)
    except StudioError:
        return False
    return True


def _refused(name: str, problem: str, detail: str = "") -> StudioError:
    return StudioError(Code.PROMPTS_UNREADABLE, detail, path=name, problem=problem)
