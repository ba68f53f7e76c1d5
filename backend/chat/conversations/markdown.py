"""Conversations as Markdown, to be read by people."""

from collections.abc import Sequence
from datetime import datetime, timezone

from backend.contracts import AnswerMetrics, AnswerState, Author, Conversation, Turn
from backend.language import human_bytes, human_seconds, say


def as_markdown(sides: Sequence[Conversation], language: str) -> str:
    """What is shown of a conversation, or of two side by side, one after the other."""
    began = datetime.fromtimestamp(sides[0].created_at, timezone.utc)
    parts = [f"# {sides[0].title}", f"{began:%Y-%m-%d %H:%M} UTC"]
    for number, side in enumerate(sides, start=1):
        if len(sides) > 1:
            parts.append(f"# {say('export.side', language, number=number)}")
        if side.settings.system.strip():
            parts.append(f"**{say('export.system', language)}**")
            parts.append("\n".join(f"> {line}" for line in side.settings.system.splitlines()))
        for turn in side.turns:
            parts += _question(turn, language) if turn.role == "user" else _answer(turn, language)
    return "\n\n".join(parts) + "\n"


def _question(turn: Turn, language: str) -> list[str]:
    pictures = [f"![{say('export.picture', language)}]({image})" for image in turn.images]
    return [f"## {say('export.question', language)}", turn.content, *pictures]


def _answer(turn: Turn, language: str) -> list[str]:
    parts = [f"## {_author(turn.author) or say('export.answer', language)}"]
    if turn.reasoning:
        parts.append(_folded(turn, language))
    parts.append(turn.content)
    if turn.state is not None and turn.state is not AnswerState.DONE:
        parts.append(f"**{say(f'answer.{turn.state}', language)}**")
    if turn.error is not None:
        parts.append(f"`{turn.error.code}` {turn.error.message(language)}")
    if turn.metrics is not None:
        parts.append(f"*{_measured(turn.metrics, turn.peak_memory_bytes, language)}*")
    return [part for part in parts if part]


def _author(author: Author | None) -> str:
    if author is None:
        return ""
    simulated = "weights only, simulated" if author.simulated else ""
    told = [part for part in (author.precision, simulated, str(author.kind)) if part]
    if simulated in author.precision and simulated:
        told.remove(simulated)
    return f"{author.model} ({', '.join(told)})"


def _folded(turn: Turn, language: str) -> str:
    seconds = turn.metrics.reasoning_s if turn.metrics else None
    took = f" ({human_seconds(seconds)})" if seconds is not None else ""
    inside = turn.reasoning.replace("</details", "&lt;/details")
    title = say("export.reasoning", language)
    return f"<details><summary>{title}{took}</summary>\n\n{inside}\n\n</details>"


def _measured(metrics: AnswerMetrics, peak_bytes: int | None, language: str) -> str:
    """The figures of an answer; those that are not known are left out."""
    parts = {
        "prompt": metrics.prompt_tokens,
        "completion": metrics.completion_tokens,
        "ttft": None if metrics.ttft_s is None else human_seconds(metrics.ttft_s),
        "rate": None if metrics.tokens_per_s is None else f"{metrics.tokens_per_s:.1f}",
        "total": human_seconds(metrics.total_s),
        "ended": metrics.finish_reason,
        "peak": None if peak_bytes is None else human_bytes(peak_bytes),
    }
    return " · ".join(
        say(f"measured.{name}", language, value=value)
        for name, value in parts.items()
        if value is not None
    )
