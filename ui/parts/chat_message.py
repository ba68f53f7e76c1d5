"""The messages of a conversation: questions, and answers with all that belongs to them."""

from backend.contracts import AnswerState, Conversation, Turn
from backend.language import human_seconds
from ui.i18n import t
from ui.parts.chat_figures import author_mark, figures
from ui.parts.error_card import error_card
from ui.parts.markdown import markdown
from ui.parts.markup import button, esc, icon

PICTURE = "data:image/"
MARKED = (AnswerState.STOPPED, AnswerState.INTERRUPTED, AnswerState.FAILED)


def messages(conversation: Conversation, first: int, second_column: bool, language: str) -> str:
    """The messages from the one at place `first` on."""
    return "".join(
        question(turn, conversation.id, second_column, language)
        if turn.role == "user"
        else answer(turn, conversation.id, language)
        for turn in conversation.turns[first:]
    )


def question(turn: Turn, conversation: str, second_column: bool, language: str) -> str:
    """What was asked, as it was typed. A question to two models is edited in the first column."""
    pictures = "".join(
        f'<img src="{esc(image)}" alt="{esc(t("chat.image.alt", language))}">'
        for image in turn.images
        if image.startswith(PICTURE)
    )
    actions = _copy(turn, conversation, "text", "copy", language)
    if not second_column:
        actions = (
            _versions(turn, conversation, language)
            + button(
                t("chat.edit", language),
                "chat-edit",
                symbol="edit",
                kind="quiet",
                compact=True,
                turn=turn.id,
            )
            + actions
        )
    return (
        f'<article class="c-turn c-question" data-key="{esc(turn.id)}" data-turn="{esc(turn.id)}" '
        f'aria-label="{esc(t("chat.question", language))}">'
        f'<div class="c-bubble"><div class="c-said" dir="auto">{esc(turn.content)}</div>'
        f'{pictures}</div><div class="c-actions">{actions}</div></article>'
    )


def answer(turn: Turn, conversation: str, language: str) -> str:
    state = turn.state or AnswerState.DONE
    busy = ' aria-busy="true"' if state is AnswerState.WRITING else ""
    return (
        f'<article class="c-turn c-answer" data-key="{esc(turn.id)}" data-turn="{esc(turn.id)}" '
        f'data-state="{esc(state)}" data-conversation="{esc(conversation)}"{busy} '
        f'aria-label="{esc(t("chat.answer", language))}">'
        f"{inside(turn, conversation, language)}</article>"
    )


def inside(turn: Turn, conversation: str, language: str) -> str:
    """An answer's parts. One that is being written is filled in as `ui.chat_stream` tells."""
    if turn.state is AnswerState.WRITING:
        return (
            f'{reasoning("", "", language, hidden=True)}<div class="c-blocks c-text"></div>'
            f'<div class="c-line">{author_mark(turn.author, language)}</div>'
        )
    spent = turn.metrics.reasoning_s if turn.metrics else None
    thought = thought_words(spent, language)
    return (
        f"{reasoning(thought, markdown(turn.reasoning, language), language)}"
        f'<div class="c-blocks c-text">{markdown(turn.content, language)}</div>'
        f"{_ending(turn, language)}"
        f'<div class="c-line">{figures(turn, language)}</div>'
        f'<div class="c-actions">{_actions(turn, conversation, language)}</div>'
    )


def reasoning(title: str, html: str, language: str, hidden: bool = False) -> str:
    """The fold of what a model thought first; kept, though hidden, where it thought nothing."""
    shut = " hidden" if hidden or not html else ""
    return (
        f'<details class="s-fold c-reasoning" data-key="reasoning"{shut}>'
        f'<summary>{icon("more")}<span class="c-thought">{esc(title)}</span></summary>'
        f'<div class="c-blocks">{html}</div></details>'
    )


def thought_words(seconds: float | None, language: str) -> str:
    if seconds is None:
        return t("chat.thoughts", language)
    return t("chat.thought", language, spent=human_seconds(seconds))


def _ending(turn: Turn, language: str) -> str:
    """Why it ended before its end; what had come stays above."""
    if turn.error is not None:
        title = t(f"chat.ended.{turn.state}", language)
        return error_card(turn.error, language, title=title, key=f"error-{turn.id}")
    if turn.state not in MARKED:
        return ""
    words = t(f"chat.ended.{turn.state}", language)
    return (
        f'<p class="c-ended" data-state="{esc(turn.state)}">'
        f"{icon('stop' if turn.state is AnswerState.STOPPED else 'warning')}{esc(words)}</p>"
    )


def _actions(turn: Turn, conversation: str, language: str) -> str:
    again = button(
        t("chat.again", language),
        "chat-again",
        symbol="retry",
        kind="quiet",
        compact=True,
        turn=turn.id,
        conversation=conversation,
    )
    return (
        _versions(turn, conversation, language)
        + _copy(turn, conversation, "text", "copy", language)
        + again
        + _copy(turn, conversation, "curl", "", language)
        + _copy(turn, conversation, "python", "", language)
    )


def _copy(turn: Turn, conversation: str, kind: str, symbol: str, language: str) -> str:
    return button(
        t(f"chat.copy.{kind}", language),
        "chat-copy",
        symbol=symbol,
        kind="quiet",
        compact=bool(symbol),
        turn=turn.id,
        conversation=conversation,
        kind_of=kind,
    )


def _versions(turn: Turn, conversation: str, language: str) -> str:
    """`‹ 2/3 ›`, where a message was written more than once."""
    if len(turn.versions) < 2:
        return ""
    here = turn.versions.index(turn.id)
    count = len(turn.versions)

    def step(name: str, to: int) -> str:
        known = 0 <= to < count
        html = button(
            t(f"chat.version.{name}", language),
            "chat-version",
            symbol=name,
            kind="quiet",
            compact=True,
            turn=turn.versions[to] if known else "",
            conversation=conversation,
        )
        return html if known else html.replace("<button", "<button disabled", 1)

    where = t("chat.version", language, number=here + 1, count=count)
    return (
        f'<span class="c-versions">{step("previous", here - 1)}'
        f'<span class="s-num" aria-label="{esc(where)}">{here + 1}/{count}</span>'
        f"{step('next', here + 1)}</span>"
    )
