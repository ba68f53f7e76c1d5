"""Which servers can be asked, how full a context is, and what to do in an empty conversation."""

from typing import Any

from backend.contracts import Endpoint, ServerKind, ServerPhase, ServerStatus
from backend.errors import ErrorInfo
from backend.studio import SERVER_TITLES, sampling_ranges
from ui.i18n import t
from ui.parts.chat_figures import precision_mark
from ui.parts.markup import button, esc, icon

OUTSIDE = "outside"
EXAMPLES = ("nvfp4", "sum", "story")
FIRST_MODEL, FIRST_SERVER = "demo-chat", ServerKind.TRANSFORMERS
"""What an empty conversation offers to start: it runs anywhere."""
NEAR, FULL = 0.8, 0.95
"""Shares of the context from which the meter warns."""


def pickers(
    servers: tuple[ServerStatus, ...],
    outside: Endpoint | ErrorInfo | None,
    language: str,
    guest: bool = False,
) -> dict[str, Any]:
    """The options of a picker, and by a server's key what the page needs to know of it. A visitor
    is not offered to start one."""
    live = [one for one in servers if one.phase.is_live]
    known = {
        one.key: _known(one.endpoint, one.phase is ServerPhase.READY, language) for one in live
    }
    options = "".join(
        _option(one.key, one.endpoint, _state(one, language), language) for one in live
    )
    if isinstance(outside, Endpoint):
        known[OUTSIDE] = _known(outside, True, language)
        options += _option(OUTSIDE, outside, "", language)
    elif outside is not None:
        words = f"{SERVER_TITLES[ServerKind.OUTSIDE]}: {outside.message(language)}"
        options += f'<option value="{OUTSIDE}" disabled>{esc(words)}</option>'
    ready = sum(one["ready"] for one in known.values())
    return {
        "options": options,
        "servers": known,
        "none": t("chat.picker.none" if ready == 0 else "chat.picker.choose", language),
        "gone": t("chat.picker.gone", language, server="{server}"),
        "unreached": isinstance(outside, ErrorInfo),
        "empty": empty(ready > 0, live[0].endpoint.model if live else "", language, guest),
    }


def _known(endpoint: Endpoint, ready: bool, language: str) -> dict[str, Any]:
    mark = precision_mark(endpoint.precision, endpoint.simulated, language)
    return {
        "ready": ready,
        "mark": mark,
        "fields": sampling_ranges(endpoint.kind),
        "images": endpoint.takes_images,
        "template": endpoint.has_template,
        "context": endpoint.context_tokens,
    }


def _option(key: str, endpoint: Endpoint, state: str, language: str) -> str:
    simulated = t("chat.simulated", language) if endpoint.simulated else ""
    server = SERVER_TITLES[endpoint.kind]
    parts = [endpoint.model, endpoint.precision, simulated, server, state]
    words = " · ".join(part for part in parts if part)
    return f'<option value="{esc(key)}"{" disabled" if state else ""}>{esc(words)}</option>'


def _state(one: ServerStatus, language: str) -> str:
    return "" if one.phase is ServerPhase.READY else t("chat.picker.loading", language)


def empty(ready: bool, starting: str, language: str, guest: bool) -> str:
    """What an empty conversation says: what one can ask at once, or how to come to that. `starting`
    names the model of a server that is not ready yet."""
    examples = "".join(
        f"<li>{button(words, 'chat-example', kind='s-example', prompt=words)}</li>"
        for words in (t(f"chat.example.{name}", language) for name in EXAMPLES)
    )
    if ready:
        said, more = t("chat.empty.ready", language), ""
    elif guest:
        said, more = t("visitors.no_server", language), ""
    elif starting:
        said, more = t("chat.empty.starting", language, model=starting), _more("look", language)
    else:
        said = t("chat.empty.none", language)
        words = t("chat.empty.begin", language, model=FIRST_MODEL)
        first = button(
            words, "chat-start", kind="c-first", model=FIRST_MODEL, server=str(FIRST_SERVER)
        )
        note = f'<p class="s-muted">{esc(t("chat.empty.start", language))}</p>'
        more = f'{note}<p class="c-begin">{first}{_more("servers", language)}</p>'
    return (
        f'<section class="s-empty c-empty" data-key="empty">{icon("chat")}'
        f'<p role="status">{esc(said)}</p>{more}<ul>{examples}</ul></section>'
    )


def _more(words: str, language: str) -> str:
    text = t(f"chat.empty.{words}", language)
    return button(text, "chat-house", kind="quiet", symbol="server", open="1")


def meter(used: int | None, limit: int | None, language: str) -> str:
    """How much of the context the conversation takes; empty where it is not known."""
    if limit is None:
        return ""
    if used is None:
        words = t("chat.context.limit", language, limit=f"{limit:,}")
        return f'<span class="s-muted s-num">{esc(words)}</span>'
    share = used / limit
    state = "full" if share >= FULL else "near" if share >= NEAR else "free"
    words = t("chat.context.used", language, used=f"{used:,}", limit=f"{limit:,}")
    warning = ""
    if state != "free":
        told = esc(t(f"chat.context.{state}", language))
        warning = f'<span class="c-context-told">{icon("warning")}{told}</span>'
    return (
        f'{warning}<span class="c-context-bar" role="meter" data-state="{state}" '
        f'aria-label="{esc(t("chat.context", language))}" aria-valuemin="0" '
        f'aria-valuemax="{limit}" aria-valuenow="{min(used, limit)}" '
        f'aria-valuetext="{esc(words)}" title="{esc(words)}">'
        f'<i style="width:{100 * min(1.0, share):.1f}%"></i></span>'
        f'<span class="s-muted s-num">{esc(words)}</span>'
    )
