"""Write the general calibration text: this project's own documentation, code, and words in English
and Korean, in rows of a few hundred tokens, interleaved so that any part of it holds some of each.

python -m tools.calibration_text
"""

import json
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

from backend.language import catalogue
from backend.settings import ASSETS
from tools.demo_chat.grammar import Language
from tools.demo_chat.knowledge import facts

ROOT = Path(__file__).resolve().parents[1]
FILE = ASSETS / "calibration" / "general.jsonl"
ROW_CHARACTERS = 1500
PROSE = ("README.md", *(f"docs/{name}.md" for name in ("engines", "install", "serving", "notes")))
CODE = ("backend/chat/client", "backend/jobs", "backend/models", "backend/networks")


def rows_of(pieces: list[str], between: str = "\n\n") -> Iterator[str]:
    """Pieces put together until a row is long enough."""
    row: list[str] = []
    for piece in pieces:
        row.append(piece)
        if sum(map(len, row)) >= ROW_CHARACTERS:
            yield between.join(row)
            row = []
    if row:
        yield between.join(row)


def prose() -> Iterator[str]:
    for name in PROSE:
        yield from rows_of((ROOT / name).read_text(encoding="utf-8").split("\n\n"))


def code() -> Iterator[str]:
    for folder in CODE:
        for file in sorted((ROOT / folder).glob("*.py")):
            yield from rows_of(file.read_text(encoding="utf-8").split("\n\n\n"), "\n\n\n")


def words(language: str) -> Iterator[str]:
    yield from rows_of(list(catalogue(language).values()), "\n")


def knowledge(language: Language) -> Iterator[str]:
    """What demo-chat is taught, without the few answers that are templates."""
    told = [
        f"{fact.labels[language]}: {fact.answers[language][0]} {fact.more[language] or ''}".strip()
        for fact in facts()
    ]
    yield from rows_of([each for each in told if not set("{[|") & set(each)], "\n")


def main() -> None:
    parts = (prose(), code(), knowledge("ko"), knowledge("en"), words("ko"), words("en"))
    rows = [row for row in chain.from_iterable(zip_longest(*parts)) if row]
    lines = (json.dumps({"text": row}, ensure_ascii=False) for row in rows)
    FILE.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
