"""The options that a server's command takes, read from its own `--help`."""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.errors import Code, StudioError
from backend.settings import Settings

HELP_S = 180.0
"""TensorRT-LLM and vLLM import torch before they say a word."""
OPTION = re.compile(r"(?<![\w-])--[A-Za-z][\w-]*")


@dataclass(frozen=True)
class Program:
    """A server's command that was found."""

    argv: tuple[str, ...]
    stamp: str
    """Changes with the program: its file and time of change, or the id of its image."""


def program_of(executable: str, *arguments: str) -> Program:
    file = Path(executable)
    return Program((executable, *arguments), f"{file.resolve()}@{file.stat().st_mtime_ns}")


def parse_options(text: str) -> frozenset[str]:
    """Every `--option` that a help text names."""
    return frozenset(OPTION.findall(text))


def options_of(
    settings: Settings, program: Program, asks: Iterable[Sequence[str]], needed: str
) -> frozenset[str]:
    """What `program` takes: the first answer to one of `asks` that names the option `needed`. Read
    once for a program, and kept in the home folder.

    Raises StudioError SERVER_START_FAILED when none does.
    """
    kept = settings.home / "servers" / "options.json"
    known: dict[str, list[str]] = json.loads(kept.read_text()) if kept.is_file() else {}
    key = " ".join((*program.argv, program.stamp))
    if key not in known:
        known[key] = sorted(_read(program, asks, needed))
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}.{os.getpid()}")
        draft.write_text(json.dumps(known, indent=1))
        draft.replace(kept)
    return frozenset(known[key])


def _read(program: Program, asks: Iterable[Sequence[str]], needed: str) -> frozenset[str]:
    said = ""
    for ask in asks:
        try:
            done = subprocess.run(
                [*program.argv, *ask],
                capture_output=True,
                text=True,
                timeout=HELP_S,
                env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"},
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            said = repr(error)
            continue
        found = parse_options(done.stdout)
        if needed in found:
            return found
        said = f"{done.stdout}\n{done.stderr}"
    problem = f"{' '.join(program.argv)} --help does not name {needed}"
    raise StudioError(Code.SERVER_START_FAILED, said[-4000:], problem=problem)
