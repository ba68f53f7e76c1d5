"""The line of figures under an answer: while it is written, and when it has ended."""

from backend.contracts import AnswerNews, Author, Turn
from backend.language import human_bytes, human_seconds
from backend.studio import SERVER_TITLES
from ui.i18n import t
from ui.parts.markup import esc

REASONS = frozenset({"stop", "length", "stopped"})


def precision_mark(precision: str, simulated: bool, language: str) -> str:
    """What an answer is really computed from, and whether that is simulated."""
    mark = ""
    if precision:
        colour = esc(precision.lower())
        mark = f'<b class="e-precision" data-precision="{colour}">{esc(precision)}</b>'
    if simulated:
        mark += f'<em class="c-simulated">{esc(t("chat.simulated", language))}</em>'
    return mark


def author_mark(author: Author | None, language: str) -> str:
    if author is None:
        return ""
    title = SERVER_TITLES[author.kind]
    return (
        f'<span class="c-author"><strong>{esc(author.model)}</strong> '
        f"{precision_mark(author.precision, author.simulated, language)} "
        f'<span title="{esc(author.server)}">{esc(title)}</span></span>'
    )


def figures(turn: Turn, language: str) -> str:
    """All that is known of a whole answer; what is unknown is left out."""
    metrics = turn.metrics
    shown: dict[str, str] = {}
    if metrics is not None:
        about = metrics.counted == "chunks"
        if metrics.prompt_tokens is not None:
            shown["prompt"] = f"{metrics.prompt_tokens:,}"
        if metrics.completion_tokens is not None:
            shown["completion"] = _number(f"{metrics.completion_tokens:,}", about, language)
        if metrics.ttft_s is not None:
            shown["ttft"] = human_seconds(metrics.ttft_s)
        if metrics.tokens_per_s is not None:
            shown["speed"] = _number(_rate(metrics.tokens_per_s), about, language)
        if metrics.finish_reason:
            shown["finish"] = _finish(metrics.finish_reason, language)
    if turn.peak_memory_bytes:
        shown["peak"] = human_bytes(turn.peak_memory_bytes)
    return _line(turn, shown, language)


def live_figures(news: AnswerNews, language: str) -> str:
    """What is known while an answer is written."""
    turn, shown = news.turn, dict[str, str]()
    if news.waiting is None and news.ttft_s is None:
        shown["reading"] = f"{news.elapsed_s:.1f} s"
    if news.ttft_s is not None:
        shown["ttft"] = human_seconds(news.ttft_s)
        shown["completion"] = _number(f"{news.tokens:,}", True, language)
    if news.tokens_per_s is not None:
        shown["speed"] = _number(_rate(news.tokens_per_s), True, language)
    return _line(turn, shown, language)


def _line(turn: Turn, shown: dict[str, str], language: str) -> str:
    cells = "".join(
        f'<div data-figure="{name}"><dt>{esc(t(f"chat.figure.{name}", language))}</dt>'
        f"<dd>{esc(value)}</dd></div>"
        for name, value in shown.items()
    )
    return f'{author_mark(turn.author, language)}<dl class="c-figures">{cells}</dl>'


def _rate(tokens_per_s: float) -> str:
    return f"{tokens_per_s:.{0 if tokens_per_s >= 100 else 1}f} tok/s"


def _number(value: str, about: bool, language: str) -> str:
    return t("chat.about", language, value=value) if about else value


def _finish(reason: str, language: str) -> str:
    return t(f"chat.finish.{reason}", language) if reason in REASONS else reason
