"""One question and what was answered, and how far two answers are the same."""

from dataclasses import dataclass

from backend.contracts import (
    ChatEvent,
    ChatRequest,
    Message,
    MovedToReasoning,
    ReasoningDelta,
    Sampling,
    TextDelta,
)


def question(prompt: str, sampling: Sampling, chat: bool, system: str = "") -> ChatRequest:
    """A prompt put through the chat template; without `chat` it is gone on with as text, the system
    prompt in the line before."""
    if not chat:
        return ChatRequest(
            prompt="\n".join(filter(None, (system, prompt))),
            sampling=sampling,
        )
    said = (Message(role="system", content=system),) if system else ()
    return ChatRequest(messages=(*said, Message(role="user", content=prompt)), sampling=sampling)


@dataclass
class Said:
    """What an answer says, folded from its events."""

    reasoning: str = ""
    text: str = ""

    def take(self, event: ChatEvent) -> None:
        if isinstance(event, TextDelta):
            self.text += event.text
        elif isinstance(event, ReasoningDelta):
            self.reasoning += event.text
        elif isinstance(event, MovedToReasoning):
            self.reasoning, self.text = self.text, ""


def parts_at(one: str | list[int], other: str | list[int]) -> int:
    """How many first items two have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def leading(one: str | list[int], other: str | list[int]) -> float:
    """What both begin with, as a share of the longer; 1 for two empty ones."""
    return share(parts_at(one, other), len(one), len(other))


def share(same: int, one: int, other: int) -> float:
    """Of the longer of two lengths; 1 for two that are empty."""
    longest = max(one, other)
    return same / longest if longest else 1.0
