"""Take an answer's text apart while it streams: reasoning in `<think>`, and stop strings."""

from typing import Literal

OPEN, CLOSE = "<think>", "</think>"

Part = tuple[Literal["text", "reasoning", "moved"], str]


def held_back(text: str, marks: tuple[str, ...]) -> int:
    """How many characters at the end of `text` may be the beginning of one of `marks`."""
    return max(
        (
            size
            for mark in marks
            for size in range(1, min(len(mark) - 1, len(text)) + 1)
            if text.endswith(mark[:size])
        ),
        default=0,
    )


class ThinkSplitter:
    """Tells reasoning from text. Tags may come in pieces, and the opening one may be missing: when
    the chat template wrote it (`opened`) the text begins as reasoning; else, when a closing tag
    comes that nothing opened, all text before it is called reasoning afterwards (`moved`)."""

    def __init__(self, opened: bool = False) -> None:
        self._inside = opened
        self._seen_tag = False
        self._started = False
        self._waiting = ""

    def feed(self, text: str) -> list[Part]:
        self._waiting += text
        parts: list[Part] = []
        while self._waiting:
            tag, place = self._next_tag()
            if tag is None:
                ready = len(self._waiting) - held_back(self._waiting, (OPEN, CLOSE))
                parts += self._tell(ready)
                break
            parts += self._tell(place)
            if tag == CLOSE and not self._inside:
                parts.append(("moved", ""))
            self._waiting = self._waiting[len(tag) :]
            self._inside, self._seen_tag, self._started = tag == OPEN, True, False
        return parts

    def end(self) -> list[Part]:
        """What was held back, when nothing more comes."""
        return self._tell(len(self._waiting))

    def _next_tag(self) -> tuple[str | None, int]:
        """The tag that matters here, if it is whole: the opening one only at the very beginning,
        the closing one in reasoning, or as the first tag of all."""
        if not self._started and not self._seen_tag:
            stripped = self._waiting.lstrip()
            if stripped.startswith(OPEN):
                return OPEN, len(self._waiting) - len(stripped)
        if self._inside or not self._seen_tag:
            place = self._waiting.find(CLOSE)
            if place >= 0:
                return CLOSE, place
        return None, 0

    def _tell(self, size: int) -> list[Part]:
        """The first `size` characters; blanks around tags go."""
        text, self._waiting = self._waiting[:size], self._waiting[size:]
        if not self._started:
            text = text.lstrip()
        if not text:
            return []
        self._started = True
        return [("reasoning" if self._inside else "text", text)]


class StopCutter:
    """Ends a text before the first of `stops`, for servers that send the stop string itself."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._waiting = ""
        self.cut = False

    def feed(self, text: str) -> str:
        if self.cut or not self._stops:
            return "" if self.cut else text
        self._waiting += text
        places = [self._waiting.find(stop) for stop in self._stops]
        found = [place for place in places if place >= 0]
        if found:
            self.cut = True
            ready = self._waiting[: min(found)]
            self._waiting = ""
            return ready
        size = len(self._waiting) - held_back(self._waiting, self._stops)
        ready, self._waiting = self._waiting[:size], self._waiting[size:]
        return ready

    def end(self) -> str:
        ready, self._waiting = self._waiting, ""
        return ready
