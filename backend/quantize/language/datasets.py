"""Rows of text from a data set of the hub, in a child process, as `datasets` reads it: streamed, so
that only what is taken is fetched. Data sets that need code of their own are refused by it."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backend.errors import Code, StudioError
from backend.jobs.children import News, child_main
from backend.language import Text, text
from backend.models.hub_errors import plain
from backend.quantize.language.texts import Row, keep_rows

COLUMNS = ("text", "messages", "content", "article", "document")
"""Looked for in this order where none is named."""
MOST_CHARACTERS = 4_000_000


def is_installed() -> bool:
    """Whether the optional part that reads data sets is there."""
    return find_spec("datasets") is not None


def check_installed() -> None:
    """Raises StudioError DATASETS_MISSING."""
    if not is_installed():
        raise StudioError(Code.DATASETS_MISSING)


def take(arguments: dict[str, Any], send: News) -> dict[str, Any]:
    """Keep rows of a data set as a text; its digest.

    Raises StudioError DATASETS_MISSING, DATASET_UNREADABLE.
    """
    check_installed()
    from datasets import load_dataset

    name, part = arguments["dataset"], arguments["part"] or None
    try:
        with _nowhere():
            records = load_dataset(name, part, split=arguments["split"], streaming=True)
            rows = rows_of(records, name, arguments["column"], arguments["rows"])
    except StudioError:
        raise
    except Exception as error:  # what the library and the hub raise has no common base
        problem = text("quantize.problem.dataset", said=plain(error)[:300])
        raise unreadable(name, problem, plain(error)) from error
    return {"text": keep_rows(Path(arguments["home"]), rows)}


@contextmanager
def _nowhere() -> Iterator[None]:
    """In an empty folder: the library takes a name that is a path from where it is for files."""
    before = Path.cwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def rows_of(
    records: Iterable[Mapping[str, Any]], name: str, column: str, most: int
) -> tuple[Row, ...]:
    """The first rows that hold text, each once, `MOST_CHARACTERS` in all at the most.

    Raises StudioError DATASET_UNREADABLE.
    """
    stream = iter(records)
    first = next(stream, None)
    if first is None:
        raise unreadable(name, text("quantize.problem.empty"))
    chosen = next((each for each in ([column] if column else COLUMNS) if each in first), None)
    if chosen is None:
        problem = text("quantize.problem.column", columns=", ".join(map(str, first))[:300])
        raise unreadable(name, problem)
    found: dict[str, Row] = {}
    characters = 0
    for record in chain([first], stream):
        row = _row(record[chosen])
        if row is None or not row.plain:
            continue
        characters += len(row.plain)
        found.setdefault(row.plain, row)
        if len(found) >= most or characters > MOST_CHARACTERS:
            break
    if not found:
        raise unreadable(name, text("quantize.problem.no_text", column=chosen))
    return tuple(found.values())


def _row(value: Any) -> Row | None:
    if isinstance(value, str):
        return Row(value)
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        return None
    told = [(each.get("role"), each.get("content")) for each in value]
    if not all(isinstance(word, str) for pair in told for word in pair):
        return None
    return Row(messages=tuple((str(role), str(content)) for role, content in told))


def unreadable(name: str, problem: Text, detail: str = "") -> StudioError:
    return StudioError(Code.DATASET_UNREADABLE, detail, dataset=name[:200], problem=problem)


if __name__ == "__main__":
    child_main(take)
