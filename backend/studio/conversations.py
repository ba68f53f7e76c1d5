"""Conversations with language models: kept, asked, answered. With `Chat`, `Studio.chat`."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Literal

from backend.chat.conversations.files import read_file, renewed, write_file
from backend.chat.conversations.markdown import as_markdown
from backend.chat.conversations.reading import Reader, Side
from backend.chat.conversations.routes import Router
from backend.chat.conversations.snippets import as_curl, as_python
from backend.chat.conversations.store import ConversationStore, new_rows, title_from
from backend.chat.conversations.tables import conversations
from backend.chat.conversations.talk import Talk, new_id
from backend.chat.conversations.tree import Tree
from backend.chat.conversations.writer import Writer
from backend.contracts import (
    AnswerNews,
    Conversation,
    ConversationPage,
    ConversationSettings,
    Endpoint,
    JobSnapshot,
)
from backend.errors import Code, StudioError
from backend.studio.chat import Chat
from backend.studio.desk import GUEST, LOCAL, Desk, is_guest

OUTSIDE_FRESH_S = 60.0
SESSION_S = 86_400.0
"""How long a conversation is kept that an API client without a cookie began: nobody else sees it,
and that client cannot come back as the same one."""


class Conversations(Chat):
    """Raises StudioError CONVERSATION_NOT_FOUND for one that is not the owner's, TURN_NOT_FOUND for
    a turn of such a one."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._known_outside: tuple[float, Endpoint] | None = None
        self._kept = ConversationStore(desk.store.engine)
        self._writer = Writer(self._kept, self.answer, self._memory)
        self._reader = Reader(self._kept, self._writer)
        router = Router(
            settings=desk.settings,
            jobs=desk.store,
            house=self,
            job=self._job,
            written_by=self._kept.written_by,
            outside=self._outside_now,
        )
        self._talk = Talk(self._kept, self._writer, self._reader, router)

    def close(self) -> None:
        """End the answers that are being written; they are `interrupted`."""
        self._writer.close()

    # ---- kept ------------------------------------------------------------------------------

    def conversations(
        self, owner: str | None, search: str = "", limit: int = 30
    ) -> ConversationPage:
        """The owner's, that hold `search` in their titles or in what was said."""
        return self._kept.page(owner, search, limit)

    def conversation(self, conversation: str, owner: str | None) -> Conversation:
        self._writer.warm_up()
        return self._reader.conversation(self._reader.side(conversation, owner))

    def sides(self, conversation: str, owner: str | None) -> tuple[Conversation, ...]:
        """It, and the one beside it; the first side first."""
        self._writer.warm_up()
        return tuple(map(self._reader.conversation, self._reader.sides(conversation, owner)))

    def begin(
        self,
        settings: ConversationSettings,
        owner: str | None,
        beside: ConversationSettings | None = None,
    ) -> Conversation:
        """A new one; with `beside` two that are asked the same, of which this is the first."""
        self._writer.warm_up()
        sides = self._new_sides(owner, [settings, beside] if beside else [settings])
        _check_guest(owner, sides)
        self._kept.add([side.row for side in sides])
        return self._reader.conversation(sides[0])

    def change(
        self,
        conversation: str,
        owner: str | None,
        title: str | None = None,
        settings: ConversationSettings | None = None,
    ) -> Conversation:
        """A title is that of both sides; an empty one becomes the beginning of the first question
        again."""
        sides = self._reader.sides(conversation, owner)
        if title is not None:
            first = self._reader.turns(sides[0].tree.shown_path()[:1], sides[0].tree)
            named = title_from(title) or title_from(first[0].content if first else "")
            self._kept.change([side.id for side in sides], title=named)
        if settings is not None:
            self._kept.change([conversation], settings=settings.model_dump_json())
        return self.conversation(conversation, owner)

    def settle(
        self, conversation: str, owner: str | None, settings: Sequence[ConversationSettings]
    ) -> None:
        """Have its sides asked in this way from now on."""
        self._settled(conversation, owner, settings)

    def delete(self, conversation: str, owner: str | None) -> None:
        """It and the one beside it; what is being written in them is stopped."""
        sides = self._reader.sides(conversation, owner)
        for turn in (turn for side in sides for turn in side.tree.nodes):
            if draft := self._writer.draft(turn):
                draft.stop.request()
        self._kept.delete(conversations.c.id.in_([side.id for side in sides]))

    def delete_of_guests(self) -> int:
        """All that visitors had; how many. What is being written in them ends within a second."""
        return self._kept.delete(conversations.c.owner.startswith(GUEST))

    def choose(self, conversation: str, owner: str | None, turn: str) -> Conversation:
        """Show this version of a message, and what follows it."""
        side = self._reader.side(conversation, owner)
        path = side.path_to(turn)
        self._kept.show(path, side.tree.hidden_beside(path))
        return self.conversation(conversation, owner)

    def export(
        self,
        conversation: str,
        owner: str | None,
        kind: Literal["md", "json"],
        language: str = "en",
    ) -> str:
        """It and the one beside it: whole as JSON, or what is shown of them as Markdown."""
        sides = self._reader.sides(conversation, owner)
        if kind == "md":
            return as_markdown([self._reader.conversation(side) for side in sides], language)
        return write_file(self._reader.file(sides))

    def import_(self, content: bytes, owner: str | None) -> Conversation:
        """A new conversation of a JSON export.

        Raises StudioError CONVERSATION_FILE_TOO_LARGE, CONVERSATION_FILE_NEWER,
        CONVERSATION_FILE_INVALID, CHAT_IMAGE_REFUSED.
        """
        file = read_file(content)
        sides, said = renewed(file)
        self._kept.add(new_rows(owner or LOCAL, file.title, sides, file.created_at), said)
        return self.conversation(next(iter(sides)), owner)

    # ---- asked -----------------------------------------------------------------------------

    def say(
        self,
        conversation: str,
        owner: str | None,
        text: str,
        images: tuple[str, ...] = (),
        instead_of: str | None = None,
        settings: Sequence[ConversationSettings] = (),
    ) -> tuple[Conversation, ...]:
        """Ask, on each side, and begin to write the answers; `instead_of` a question, as another
        version of it; with `settings`, in this way from now on; in a new conversation where none is
        named. Nothing is kept of what cannot be asked. The sides as they are then: the last turn of
        each is the answer. A visitor has one answer written at a time, of one server.

        Raises StudioError ANSWER_BEING_WRITTEN, CHAT_IMAGE_REFUSED, VISITORS_LOCKED, and as
        `Router.routes` and `fitted` do.
        """
        if conversation:
            sides = self._settled(conversation, owner, settings)
        else:
            sides = self._new_sides(owner, settings)
        _check_guest(owner, sides)
        return self._talk.say(sides, text, images, instead_of, alone=is_guest(owner))

    def again(self, conversation: str, owner: str | None, turn: str) -> AnswerNews:
        """Have an answer written anew, or a question answered; other versions stay.

        Raises StudioError as `say` does.
        """
        return self._talk.again(conversation, owner, turn, alone=is_guest(owner))

    def stop_answer(self, turn: str, owner: str | None) -> None:
        """End an answer; its server is free at once, or within a second where another process
        writes it. One that has ended stays as it is."""
        self._talk.stop(turn, owner)

    def watch(self, turn: str, owner: str | None) -> AsyncIterator[AnswerNews]:
        """The newest state of an answer at once, then each change until its end. Who reads slowly
        misses states, but not the end."""
        return self._talk.watch(turn, owner)

    def context(self, shown: Conversation) -> tuple[int | None, int | None]:
        """Tokens of what is shown so far, as its server counted them with the last answer, None
        where it told none; and how many the server takes, None where that is not known."""
        limits = {one.key: one.endpoint.context_tokens for one in self.servers()}
        limit = limits.get(shown.settings.server)
        last = next((turn.metrics for turn in reversed(shown.turns) if turn.metrics), None)
        if last is None:
            return (None if shown.turns else 0), limit
        if last.prompt_tokens is None or last.completion_tokens is None:
            return None, limit
        return last.prompt_tokens + last.completion_tokens, limit

    def as_curl(self, conversation: str, owner: str | None, turn: str) -> str:
        """The request that an answer was asked with, as a command. No key is in it.

        Raises StudioError TURN_NOT_FOUND for what was not asked here.
        """
        return as_curl(*self._talk.asked(conversation, owner, turn))

    def as_python(self, conversation: str, owner: str | None, turn: str) -> str:
        """The same with the openai package."""
        return as_python(*self._talk.asked(conversation, owner, turn))

    # ---- within ----------------------------------------------------------------------------

    def _new_sides(self, owner: str | None, settings: Sequence[ConversationSettings]) -> list[Side]:
        owner = owner or LOCAL
        if owner.startswith("session:"):
            old = conversations.c.changed_at < time.time() - SESSION_S
            self._kept.delete(conversations.c.owner.startswith("session:"), old)
        rows = new_rows(
            owner, "", {new_id(): each for each in settings or [ConversationSettings()]}
        )
        return [Side(row, Tree(()), kept=False) for row in rows]

    def _settled(
        self, conversation: str, owner: str | None, settings: Sequence[ConversationSettings]
    ) -> list[Side]:
        sides = self._reader.sides(conversation, owner)
        for place, (side, wanted) in enumerate(zip(sides, settings, strict=False)):
            if side.settings != wanted:
                changed = {"settings": wanted.model_dump_json()}
                self._kept.change([side.id], **changed)
                sides[place] = replace(side, row={**side.row, **changed})
        return sides

    def _memory(self) -> dict[str, int]:
        """What each server that runs holds, in bytes."""
        return {one.key: one.memory_bytes for one in self.servers()}

    def _job(self, job_id: str) -> JobSnapshot:
        row = self._desk.store.find(job_id)
        if row is None:
            raise StudioError(Code.JOB_NOT_FOUND)
        return self._desk.follower.snapshot(row)

    def _outside_now(self) -> Endpoint:
        """The owner's server, asked for its models once a minute at the most."""
        known = self._known_outside
        if known is None or time.monotonic() - known[0] > OUTSIDE_FRESH_S:
            known = time.monotonic(), self._writer.run(self.outside())
            self._known_outside = known
        return known[1]


def _check_guest(owner: str | None, sides: Sequence[Side]) -> None:
    """Two servers side by side may have to be started and stopped: not by a visitor."""
    if is_guest(owner) and len(sides) > 1:
        raise StudioError(Code.VISITORS_LOCKED)
