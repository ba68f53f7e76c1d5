"""An answer as it is written, told to the page as what changed since the last time."""

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool

from backend.contracts import AnswerNews, AnswerState
from ui.i18n import t
from ui.parts.chat_figures import live_figures
from ui.parts.chat_message import inside, thought_words
from ui.parts.markdown_draft import Draft
from ui.parts.markup import esc

MOST_SPOKEN = 1500
"""Characters of an answer that a screen reader is given at once."""


class AnswerDrawing:
    """What one reader's page shows of an answer so far."""

    def __init__(self, conversation: str, language: str) -> None:
        self.conversation = conversation
        self.language = language
        self._reasoning = Draft(language)
        self._text = Draft(language)

    def changes(self, news: AnswerNews) -> dict[str, Any]:
        """What the page has to draw: blocks by their places, and the line of figures."""
        turn, language = news.turn, self.language
        if turn.state is not AnswerState.WRITING:
            return {
                "end": inside(turn, self.conversation, language),
                "state": str(turn.state),
                "said": turn.content[:MOST_SPOKEN],
            }
        thinking = bool(turn.reasoning) and not turn.content
        title = t("chat.thinking", language)
        if not thinking:
            title = thought_words(news.reasoning_s, language)
        waiting = news.waiting.render(language) if news.waiting else ""
        return {
            "thinking": thinking,
            "thought": title if turn.reasoning else "",
            "reasoning": _drawn(self._reasoning, turn.reasoning),
            "text": _drawn(self._text, turn.content),
            "line": live_figures(news, language)
            + (f'<span class="c-waiting">{esc(waiting)}</span>' if waiting else ""),
        }


def _drawn(draft: Draft, text: str) -> dict[str, Any]:
    changed = draft.update(text)
    return {"blocks": changed, "count": draft.count}


async def answer_events(
    first: AnswerNews, later: AsyncIterator[AnswerNews], conversation: str, language: str
) -> AsyncIterator[str]:
    """Server-sent events, ending with the whole answer once it is written."""
    drawing = AnswerDrawing(conversation, language)
    yield await _event(drawing, first)
    async for news in later:
        yield await _event(drawing, news)


async def _event(drawing: AnswerDrawing, news: AnswerNews) -> str:
    changes = await run_in_threadpool(drawing.changes, news)
    return f"data: {json.dumps(changes, ensure_ascii=False)}\n\n"
