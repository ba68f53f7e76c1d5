"""Markdown that is still being written: finished blocks are rendered once, the last one anew.

The last block is rendered again only once it has grown by a share of itself, so that all work on an
answer is proportional to its length, whatever it consists of.
"""

import re
from typing import Any

from ui.parts.markdown import Block, blocks, plain

SHARE = 64
"""The last block is rendered again when it is longer by one 64th of itself."""
MARK = re.compile(r"\s*(?:[-+*=_~`|>#$\\]+)\s*")
NUMBER = re.compile(r"(\s*\d{1,9})([.)])\s*")
HALF_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*$")
FENCE = ("```", "~~~")


class Draft:
    """Turns a growing text into changes of its blocks."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.worked = 0
        """Characters rendered so far."""
        self._forget()

    def _forget(self) -> None:
        self.count = 0
        """Blocks that are shown; none after them."""
        self._text = ""
        self._start = 0
        self._finished = 0
        self._rendered = 0
        self._tail: list[str] = []
        self._env: dict[str, Any] = {"language": self.language}

    def update(self, text: str) -> dict[int, str]:
        """The blocks that are new or different since the text before, by their places."""
        text = plain(text)
        if not text.startswith(self._text):
            self._forget()
        self._text = text
        grown = len(text) - self._start - self._rendered
        if grown * SHARE < self._rendered or grown == 0:
            return {}
        tail = text[self._start :]
        self._rendered = len(tail)
        self.worked += len(tail)
        found = blocks(mended(tail), self._env)
        changed = {
            self._finished + place: html
            for place, (_, html) in enumerate(found)
            if place >= len(self._tail) or self._tail[place] != html
        }
        self.count = self._finished + len(found)
        self._finish(tail, found)
        return changed

    def _finish(self, tail: str, found: list[Block]) -> None:
        """What no later text can change is rendered no more: all blocks before the last one that
        began in a whole line."""
        whole = tail.count("\n")
        done = max((n for n, (line, _) in enumerate(found) if line < whole), default=0)
        size = sum(len(line) + 1 for line in tail.split("\n")[: found[done][0]]) if done else 0
        self._start += size
        self._rendered -= size
        self._finished += done
        self._tail = [html for _, html in found[done:]]


def mended(text: str) -> str:
    """The last block of a text without the halves of Markdown at its end, which would be shown as
    one thing now and as another with the next word."""
    lines = text.split("\n")
    if text.lstrip().startswith(FENCE):
        return text
    if text.lstrip().startswith("|") and len(lines) <= 2:
        return ""
    last = lines[-1]
    if MARK.fullmatch(last):
        return "\n".join(lines[:-1])
    lines[-1] = NUMBER.sub(r"\1\\\2", last) if NUMBER.fullmatch(last) else _closed(last)
    return "\n".join(lines)


def _closed(line: str) -> str:
    """A line with what it opens closed, or cut off where that says nothing yet."""
    line = HALF_LINK.sub(r"\1", line)
    if line.count("`") % 2:
        return line[:-1] if line.endswith("`") else line + "`"
    if line.count("\\(") > line.count("\\)"):
        return line[: line.rindex("\\(")]
    if line.count("$$") % 2:
        return line[: line.rindex("$$")]
    if line.count("**") % 2:
        return line[:-2] if line.endswith("**") else line.rstrip().rstrip("*") + "**"
    return line[:-1] if line.endswith((" *", " _")) else line
