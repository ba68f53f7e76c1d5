"""The options that a server's command takes, read from its own `--help`."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.errors import Code, StudioError
from backend.settings import Settings

HELP_S = 180.0
"""TensorRT-LLM and vLLM import torch before they say a word."""
CHECK_INTERVAL_S = 0.1
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
OPTION = re.compile(r"(?<![\w-])--[A-Za-z][\w-]*")


@dataclass(frozen=True)
class Program:
    """A server's command that was found."""

    argv: tuple[str, ...]
    stamp: str
    """Changes with the program: its file and time of change, or the id of its image."""
    options: frozenset[str] | None = None
    """What it takes, where that is known without asking it."""


def program_of(executable: str, options: frozenset[str] | None = None) -> Program:
    file = Path(executable)
    return Program((executable,), f"{file.resolve()}@{file.stat().st_mtime_ns}", options)


def parse_options(text: str) -> frozenset[str]:
    """Every `--option` that a help text names."""
    return frozenset(OPTION.findall(text))


def options_of(
    settings: Settings,
    program: Program,
    asks: Iterable[Sequence[str]],
    needed: str,
    check: Callable[[], None] = lambda: None,
) -> frozenset[str]:
    """What `program` takes: the first answer to one of `asks` that names the option `needed`. Read
    once for a program, and kept in the home folder. `check` is called ten times a second meanwhile
    and ends it by raising.

    Raises StudioError SERVER_START_FAILED when none does.
    """
    if program.options is not None:
        return program.options
    kept = settings.home / "servers" / "options.json"
    known: dict[str, list[str]] = json.loads(kept.read_text()) if kept.is_file() else {}
    key = " ".join((*program.argv, program.stamp))
    if key not in known:
        known[key] = sorted(_read(program, asks, needed, check))
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}.{os.getpid()}")
        draft.write_text(json.dumps(known, indent=1))
        draft.replace(kept)
    return frozenset(known[key])


def _read(
    program: Program, asks: Iterable[Sequence[str]], needed: str, check: Callable[[], None]
) -> frozenset[str]:
    said = ""
    for ask in asks:
        try:
            printed, complained = _run([*program.argv, *ask], check)
        except (OSError, subprocess.TimeoutExpired) as error:
            said = repr(error)
            continue
        found = parse_options(printed)
        if needed in found:
            return found
        said = f"{printed}\n{complained}"
    problem = f"{' '.join(program.argv)} --help does not name {needed}"
    raise StudioError(Code.SERVER_START_FAILED, said[-4000:], problem=problem)


def _run(command: list[str], check: Callable[[], None]) -> tuple[str, str]:
    """Standard output and error of a command. Raises OSError, TimeoutExpired, and what `check`
    raises; the command has ended then."""
    deadline = time.monotonic() + HELP_S
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | QUIET | {"COLUMNS": "200", "NO_COLOR": "1"},
    ) as asked:
        try:
            while True:
                check()
                try:
                    return asked.communicate(timeout=CHECK_INTERVAL_S)
                except subprocess.TimeoutExpired:
                    if time.monotonic() > deadline:
                        raise
        finally:
            asked.kill()
