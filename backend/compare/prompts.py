"""Prompts to compare with: a file's, or the studio's own."""

import json
from collections.abc import Iterable
from pathlib import Path

from backend.errors import Code, StudioError
from backend.language import Value, text
from backend.models.catalog import Entry
from backend.models.requests import check_prompt
from backend.quantize.prompts import PROMPTS, parse_prompts, read_prompts

BUILTIN = "builtin"
BUILTIN_COUNT = 8
"""As many are taken where nobody says how many."""


def distinct(prompts: Iterable[str]) -> tuple[str, ...]:
    """Each once, without empty ones."""
    return tuple(dict.fromkeys(one for prompt in prompts if (one := prompt.strip())))


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
        raise _refused(str(file), text("compare.problem.no_file"), repr(error)) from error
    return parse_list(data, str(file))


def builtin_prompts(entry: Entry) -> tuple[str, ...]:
    """The model's examples, then the prompts that it is calibrated with as far as it reads them
    whole, in an order that any number of first ones is spread over the list."""
    own = PROMPTS.with_name(f"{entry.id}.txt")
    listed = [one for one in read_prompts(own if own.exists() else PROMPTS) if _fits(one, entry)]
    stride = max(1, len(listed) // BUILTIN_COUNT)
    spread = [one for start in range(stride) for one in listed[start::stride]]
    examples = [one for one in entry.examples if _fits(one, entry)]
    return tuple(dict.fromkeys([*examples, *spread]))


def _prompt(line: bytes, number: int, name: str) -> str:
    if not line.strip():
        return ""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refused(name, text("compare.problem.line", line=number), repr(error)) from error
    if isinstance(value, dict):
        value = value.get("prompt", value.get("text"))
    if not isinstance(value, str):
        raise _refused(name, text("compare.problem.line", line=number))
    return " ".join(value.split())


def _fits(prompt: str, entry: Entry) -> bool:
    try:
        check_prompt(prompt, entry)
    except StudioError:
        return False
    return True


def _refused(name: str, problem: Value, detail: str = "") -> StudioError:
    return StudioError(Code.PROMPTS_UNREADABLE, detail, path=name, problem=problem)
