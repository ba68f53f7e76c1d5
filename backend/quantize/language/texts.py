"""Text to calibrate a language model on, and text to score it on."""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.contracts import CalibrationPreview
from backend.errors import Code, StudioError
from backend.language import Text, text
from backend.settings import ASSETS

BUILT_IN = {name: ASSETS / "calibration" / f"{name}.jsonl" for name in ("general", "demo-chat")}
"""Our own: documentation, code, texts in Korean and conversations; and demo-chat's training."""
MAX_BYTES = 64 << 20
HELD_OUT = 8
"""Every how manieth row is never calibrated on."""
PREVIEW_ROWS, PREVIEW_CHARACTERS = 3, 300
SHORT_CHARACTERS = 100_000
PHRASE_CHARACTERS = 60
DIGEST = re.compile("[0-9a-f]{64}")
HANGUL = re.compile("[\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f]")


@dataclass(frozen=True)
class Row:
    """A text, or a conversation as (role, content) in order for the model's chat template."""

    text: str = ""
    messages: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> str:
        """What is compared between rows: case and spaces make no difference."""
        words = self.text or "\n".join(content for _, content in self.messages)
        return " ".join(words.casefold().split())

    @property
    def data(self) -> dict[str, Any]:
        if self.messages:
            told = [{"role": role, "content": content} for role, content in self.messages]
            return {"messages": told}
        return {"text": self.text}


def read_rows(file: Path) -> tuple[Row, ...]:
    """Raises StudioError CALIBRATION_TEXT_UNREADABLE."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise unreadable(str(file), text("quantize.problem.unreadable"), repr(error)) from error
    return parse_rows(data, str(file))


def parse_rows(data: bytes, name: str) -> tuple[Row, ...]:
    """The rows of a `.jsonl` (one object a line, with `text` or `messages`) or a `.txt` (one text a
    paragraph, or a line where there is but one paragraph), each once.

    Raises StudioError CALIBRATION_TEXT_UNREADABLE.
    """
    if len(data) > MAX_BYTES:
        raise unreadable(name, text("quantize.problem.large", limit_bytes=MAX_BYTES))
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(name, text("quantize.problem.not_text"), repr(error)) from error
    if "\0" in content:
        raise unreadable(name, text("quantize.problem.not_text"))
    suffix = Path(name).suffix.lower()
    if suffix == ".jsonl":
        rows = [
            _row(line, number, name)
            for number, line in enumerate(content.split("\n"), 1)
            if line.strip()
        ]
    elif suffix == ".txt":
        paragraphs = [each.strip() for each in re.split(r"\n\s*\n", content) if each.strip()]
        if len(paragraphs) == 1:
            paragraphs = [line.strip() for line in content.splitlines() if line.strip()]
        rows = [Row(each) for each in paragraphs]
    else:
        raise unreadable(name, text("quantize.problem.suffix"))
    unique = {row.plain: row for row in rows if row.plain}
    if not unique:
        raise unreadable(name, text("quantize.problem.empty"))
    return tuple(unique.values())


def _row(line: str, number: int, name: str) -> Row:
    try:
        value = json.loads(line)
    except ValueError as error:
        problem = text("quantize.problem.line", line=number)
        raise unreadable(name, problem, str(error)) from error
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return Row(value["text"])
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        return Row(messages=tuple(_message(each, number, name) for each in value["messages"]))
    raise unreadable(name, text("quantize.problem.line", line=number))


def _message(value: Any, number: int, name: str) -> tuple[str, str]:
    told = value if isinstance(value, dict) else {}
    role, content = told.get("role"), told.get("content")
    if not isinstance(role, str) or not isinstance(content, str):
        raise unreadable(name, text("quantize.problem.messages", line=number))
    return role, content


def find_rows(home: Path, name: str) -> tuple[Row, ...]:
    """Those of a built-in text or, by digest, of a kept one. Raises StudioError
    CALIBRATION_TEXT_UNREADABLE."""
    if name in BUILT_IN:
        return read_rows(BUILT_IN[name])
    file = texts_folder(home) / f"{name}.jsonl"
    if not DIGEST.fullmatch(name) or not file.is_file():
        raise unreadable(name[:80], text("quantize.problem.unknown"))
    return read_rows(file)


def keep_rows(home: Path, rows: Sequence[Row]) -> str:
    """Keep a text for jobs that come later; its digest. Raises OSError."""
    digest = digest_of(rows)
    file = texts_folder(home) / f"{digest}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}.part")
    unfinished.write_bytes(_lines(rows))
    unfinished.replace(file)
    return digest


def digest_of(rows: Sequence[Row]) -> str:
    return hashlib.sha256(_lines(rows)).hexdigest()


def _lines(rows: Sequence[Row]) -> bytes:
    return "".join(f"{json.dumps(row.data, ensure_ascii=False)}\n" for row in rows).encode()


def texts_folder(home: Path) -> Path:
    return home / "calibrations" / "texts"


def split_rows(rows: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows to calibrate on, and rows held back to score on."""
    kept = tuple(row for index, row in enumerate(rows) if index % HELD_OUT != HELD_OUT - 1)
    held = tuple(row for index, row in enumerate(rows) if index % HELD_OUT == HELD_OUT - 1)
    return (kept, held) if held else (tuple(rows[:-1]), tuple(rows[-1:]))


def chosen_rows(
    home: Path, calibration: str, evaluation: str | None
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows to calibrate on and rows to score on, by the names of their texts.

    Raises StudioError CALIBRATION_TEXT_UNREADABLE, EVALUATION_OVERLAPS.
    """
    rows = find_rows(home, calibration)
    kept, held = split_rows(rows) if evaluation is None else (rows, find_rows(home, evaluation))
    check_overlap(kept, held)
    return kept, held


def check_overlap(calibration: Sequence[Row], evaluation: Sequence[Row]) -> None:
    """Raises StudioError EVALUATION_OVERLAPS where a row to score on is one that is calibrated on,
    or, unless it is a short phrase, is within one or holds one."""
    seen = {row.plain for row in calibration}
    whole = "\n".join(seen)
    long = [each for each in seen if len(each) >= PHRASE_CHARACTERS]
    twice = 0
    for scored in (row.plain for row in evaluation):
        within = len(scored) >= PHRASE_CHARACTERS and scored in whole
        twice += scored in seen or within or any(each in scored for each in long)
    if twice:
        raise StudioError(Code.EVALUATION_OVERLAPS, rows=twice)


def preview(name: str, rows: Sequence[Row]) -> CalibrationPreview:
    """What was read, and what it may be too little of."""
    words = [row.text or "\n".join(content for _, content in row.messages) for row in rows]
    characters = sum(map(len, words))
    letters = sum(sum(map(str.isalpha, each)) for each in words)
    share = sum(len(HANGUL.findall(each)) for each in words) / max(letters, 1)
    warnings: list[Text] = []
    if characters < SHORT_CHARACTERS:
        warnings.append(text("quantize.warning.short", characters=characters))
    if share < 0.01:
        warnings.append(text("quantize.warning.no_korean"))
    elif share > 0.95:
        warnings.append(text("quantize.warning.only_korean"))
    return CalibrationPreview(
        name=name,
        rows=len(rows),
        characters=characters,
        first=tuple(each[:PREVIEW_CHARACTERS] for each in words[:PREVIEW_ROWS]),
        chats=sum(bool(row.messages) for row in rows),
        hangul_share=round(share, 4),
        warnings=tuple(warnings),
    )


def unreadable(name: str, problem: Text, detail: str = "") -> StudioError:
    return StudioError(Code.CALIBRATION_TEXT_UNREADABLE, detail, path=name, problem=problem)
