"""Conversations as they are now: as they are kept, and as far as they are written."""

from collections.abc import Iterator
from dataclasses import dataclass

from backend.chat.conversations.files import ConversationFile, FileSide, FileTurn
from backend.chat.conversations.store import ConversationStore
from backend.chat.conversations.tables import Row, settings_of, summary_of
from backend.chat.conversations.tree import Tree
from backend.chat.conversations.writer import Writer
from backend.contracts import Conversation, ConversationSettings, Turn
from backend.errors import Code, StudioError


@dataclass(frozen=True)
class Side:
    """A conversation, with or without one beside it."""

    row: Row
    tree: Tree
    kept: bool = True
    """False of one that begins with the next question."""

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def owner(self) -> str:
        return str(self.row["owner"])

    @property
    def settings(self) -> ConversationSettings:
        return settings_of(self.row)

    def path_to(self, turn: str) -> list[str]:
        """Raises StudioError TURN_NOT_FOUND."""
        if turn not in self.tree.nodes:
            raise StudioError(Code.TURN_NOT_FOUND)
        return self.tree.path_to(turn)


class Reader:
    """Raises StudioError CONVERSATION_NOT_FOUND for one that is not the owner's."""

    def __init__(self, store: ConversationStore, writer: Writer) -> None:
        self._store, self._writer = store, writer

    def sides(self, conversation: str, owner: str | None) -> list[Side]:
        """It, and the one beside it; the first side first."""
        rows = self._store.sides(conversation, owner)
        return [Side(row, self._store.tree(row["id"])) for row in rows]

    def side(self, conversation: str, owner: str | None) -> Side:
        return Side(self._store.find(conversation, owner), self._store.tree(conversation))

    def turns(self, ids: list[str], tree: Tree) -> tuple[Turn, ...]:
        """These turns, in this order."""
        found = []
        for turn in self._store.turns(ids, tree):
            draft = self._writer.draft(turn.id)
            now = draft.news().turn if draft else turn
            found.append(now.model_copy(update={"versions": turn.versions}))
        return tuple(found)

    def conversation(self, side: Side) -> Conversation:
        return Conversation(
            **summary_of(side.row).model_dump(),
            settings=side.settings,
            turns=self.turns(side.tree.shown_path(), side.tree),
        )

    def file(self, sides: list[Side]) -> ConversationFile:
        """All versions of everything that was said."""
        return ConversationFile(
            title=sides[0].row["title"],
            created_at=sides[0].row["created_at"],
            sides=tuple(
                FileSide(settings=side.settings, turns=tuple(self._all_turns(side)))
                for side in sides
            ),
        )

    def _all_turns(self, side: Side) -> Iterator[FileTurn]:
        for turn in self.turns(list(side.tree.nodes), side.tree):
            node = side.tree.nodes[turn.id]
            yield FileTurn(**turn.model_dump(), shown=node.shown, twin=node.twin)
