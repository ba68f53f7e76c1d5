"""The tree that the messages of a conversation form: which of them are shown, and what follows."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A turn's place in the tree."""

    id: str
    parent: str | None
    role: str
    shown: bool
    twin: str | None


class Tree:
    """The nodes of a conversation, oldest first."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.id: node for node in nodes}
        self._children: dict[str | None, list[Node]] = {}
        for node in self.nodes.values():
            self._children.setdefault(node.parent, []).append(node)

    def children(self, parent: str | None) -> list[Node]:
        return self._children.get(parent, [])

    def versions(self, turn: str) -> tuple[str, ...]:
        """All siblings of a turn, itself among them."""
        return tuple(node.id for node in self.children(self.nodes[turn].parent))

    def shown_path(self) -> list[str]:
        """From the first question to the last message, along what is shown; of siblings none of
        which is, the newest."""
        path: list[str] = []
        below: str | None = None
        while siblings := self.children(below):
            below = next((each.id for each in siblings if each.shown), siblings[-1].id)
            path.append(below)
        return path

    def path_to(self, turn: str | None) -> list[str]:
        """From the first question to this turn."""
        path: list[str] = []
        while turn is not None:
            path.append(turn)
            turn = self.nodes[turn].parent
        return path[::-1]

    def hidden_beside(self, path: Iterable[str]) -> list[str]:
        """The turns to hide so that exactly `path` is shown of each generation."""
        chosen = set(path)
        return [other for turn in chosen for other in self.versions(turn) if other not in chosen]
