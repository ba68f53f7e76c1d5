"""Conversations as JSON files: whole, with all versions of every message, and read back with trust
in nothing that they say."""

import json
import time
import uuid
from collections.abc import Sequence
from typing import Any, Literal, NoReturn

from pydantic import Field, ValidationError

from backend.chat.conversations.pictures import check_pictures
from backend.chat.conversations.store import NewTurn
from backend.contracts import AnswerState, Contract, ConversationSettings, Turn
from backend.errors import Code, ErrorInfo, StudioError
from backend.language import LANGUAGES

KEY = "spark_studio_conversation"
VERSION = 1
MAX_BYTES = 64 * 1024**2
MAX_TURNS = 10_000
MAX_NAME = 200


class FileTurn(Turn):
    shown: bool
    twin: str | None = None
    """The same question on the other side."""


class FileSide(Contract):
    settings: ConversationSettings
    turns: tuple[FileTurn, ...] = Field(max_length=MAX_TURNS)
    """Oldest first; a turn comes after its parent."""


class ConversationFile(Contract):
    spark_studio_conversation: Literal[1] = 1
    title: str
    created_at: float = Field(allow_inf_nan=False)
    sides: tuple[FileSide, ...] = Field(min_length=1, max_length=2)
    """Two where two conversations are asked the same."""


def write_file(file: ConversationFile) -> str:
    return file.model_dump_json(indent=1)


def read_file(content: bytes) -> ConversationFile:
    """Raises StudioError CONVERSATION_FILE_TOO_LARGE, CONVERSATION_FILE_NEWER,
    CONVERSATION_FILE_INVALID, CHAT_IMAGE_REFUSED."""
    if len(content) > MAX_BYTES:
        raise StudioError(Code.CONVERSATION_FILE_TOO_LARGE, limit_bytes=MAX_BYTES)
    try:
        told = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        _refuse("it is not JSON", repr(error))
    if not isinstance(told, dict) or not isinstance(told.get(KEY), int):
        _refuse(f"it has no {KEY}")
    if told[KEY] > VERSION:
        raise StudioError(Code.CONVERSATION_FILE_NEWER, found=told[KEY], known=VERSION)
    try:
        file = ConversationFile.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        _refuse(f"{where}: {first['msg']}", str(error)[:4000])
    for side in file.sides:
        _check_side(side)
    return file


def renewed(file: ConversationFile) -> tuple[dict[str, ConversationSettings], list[NewTurn]]:
    """What a file holds as new conversations by their ids: all ids are new, times are not in the
    future, and what was being written is `interrupted`."""
    sides = {uuid.uuid4().hex: side for side in file.sides}
    ids = {turn.id: uuid.uuid4().hex for side in file.sides for turn in side.turns}
    now, said = time.time(), list[NewTurn]()
    for conversation, side in sides.items():
        shown = _shown(side.turns)
        for turn in side.turns:
            values = {name: getattr(turn, name) for name in Turn.model_fields}
            values |= {
                "id": ids[turn.id],
                "parent": ids[turn.parent] if turn.parent else None,
                "created_at": min(max(turn.created_at, 0.0), now),
                "versions": (),
            }
            if turn.state is AnswerState.WRITING:
                values["state"] = AnswerState.INTERRUPTED
            twin = ids.get(turn.twin) if turn.twin else None
            said.append(NewTurn(conversation, Turn(**values), twin, turn.id in shown))
    return {each: side.settings for each, side in sides.items()}, said


def _shown(turns: Sequence[FileTurn]) -> set[str]:
    """One of the siblings below each parent, the last one that says so."""
    chosen: dict[str | None, str] = {}
    for turn in turns:
        if turn.shown or turn.parent not in chosen:
            chosen[turn.parent] = turn.id
    return set(chosen.values())


def _check_side(side: FileSide) -> None:
    if len(side.settings.server) > MAX_NAME:
        _refuse("settings.server is too long")
    known: dict[str | None, str] = {None: "assistant"}
    for turn in side.turns:
        if turn.id in known:
            _refuse(f"the id {turn.id[:40]} is there twice")
        if known.get(turn.parent) is None or known[turn.parent] == turn.role:
            _refuse(f"{turn.id[:40]} does not follow what it says it does")
        if (turn.state is None) != (turn.role == "user"):
            _refuse(f"{turn.id[:40]} is neither a question nor an answer")
        if turn.author and len(turn.author.model) + len(turn.author.server) > 2 * MAX_NAME:
            _refuse(f"the author of {turn.id[:40]} is too long")
        known[turn.id] = turn.role
        check_pictures(turn.images)
        _check_error(turn.error)


def _check_error(error: ErrorInfo | None) -> None:
    """Its sentences can be said with the values it has."""
    try:
        for language in LANGUAGES if error else ():
            assert error is not None
            error.message(language)
            error.hint(language)
    except (KeyError, ValueError, IndexError, AttributeError, TypeError, RecursionError) as problem:
        _refuse("an error in it has not the values it needs", repr(problem))


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _refuse(problem: str, detail: str = "") -> NoReturn:
    raise StudioError(Code.CONVERSATION_FILE_INVALID, detail, problem=problem)
