"""Markdown that is still being written: finished blocks are rendered once, the last one anew.

The last block is rendered again only once it has grown by a share of itself, so that all work on an
answer is proportional to its length, whatever it consists of.
"""

import re
from typing import Any

from ui.parts.markdown import PARSER, blocks, plain

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
        changed = self._finish()
        tail = text[self._start :]
        self._rendered = len(tail)
        self.worked += len(tail)
        before, self._tail = self._tail, blocks(mended(tail), self._env)
        for place, html in enumerate(self._tail):
            if place >= len(before) or before[place] != html:
                changed[self._finished + place] = html
        self.count = self._finished + len(self._tail)
        return changed

    def _finish(self) -> dict[int, str]:
        """Render what no later text can change: all blocks before the last one that began in a
        whole line."""
        whole = self._text[self._start : self._text.rfind("\n") + 1]
        self.worked += len(whole)
        lines = [
            token.map[0]
            for token in PARSER.parse(whole, dict(self._env))
            if token.level == 0 and token.nesting >= 0 and token.map
        ]
        if len(lines) < 2:
            return {}
        size = sum(len(line) for line in whole.splitlines(keepends=True)[: lines[-1]])
        done = blocks(whole[:size], self._env)
        changed = dict(enumerate(done, start=self._finished))
        self._start += size
        self._finished += len(done)
        self._tail = []
        return changed


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
