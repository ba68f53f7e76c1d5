"""Everybody's waiting and running jobs, in order; of others only that they are there."""

from backend.contracts import JobState, QueueEntry
from backend.language import human_seconds
from ui.i18n import t
from ui.parts.markup import button, esc
from ui.parts.metrics_line import variant_name


def queue_panel(entries: tuple[QueueEntry, ...], language: str, guest: bool = False) -> str:
    """To a visitor, others are no more than their number."""
    heading = t("page.queue.title", language)
    if not entries:
        return (
            f'<section class="s-panel"><h2>{esc(heading)}</h2>'
            f'<p class="s-muted">{esc(t("page.queue.empty", language))}</p></section>'
        )
    shown = [entry for entry in entries if entry.mine or not guest]
    items = "".join(_entry(entry, language) for entry in shown)
    others = ""
    if len(shown) < len(entries):
        words = t("visitors.others", language, count=len(entries) - len(shown))
        others = f'<p class="s-muted">{esc(words)}</p>'
    return (
        f'<section class="s-panel"><h2>{esc(heading)} <b class="s-count">{len(entries)}</b></h2>'
        f'<ol class="s-queue">{items}</ol>{others}</section>'
    )


def _entry(entry: QueueEntry, language: str) -> str:
    place = t(f"state.{entry.state}", language)
    if entry.state == JobState.QUEUED and entry.position:
        place = t("page.queue.position", language, position=entry.position)
        if entry.wait_s is not None:
            place += f" · {human_seconds(entry.wait_s)}"
    if entry.waits:
        place = t("page.queue.waits", language)
    if entry.mine and entry.id:
        name = esc(entry.title or t(f"kind.{entry.kind}", language))
        title = (
            f'<button type="button" class="s-link" data-action="show" data-job="{esc(entry.id)}" '
            f'data-kind="{esc(entry.kind)}" '
            f'dir="auto">{name}</button>'
        )
        stop = button(
            t("page.queue.stop", language), "cancel", symbol="close", compact=True, job=entry.id
        )
    else:
        title = f'<span class="s-muted">{esc(t("page.queue.other", language))}</span>'
        stop = ""
    key = entry.id or f"other-{entry.created_at}"
    return (
        f'<li data-key="{esc(key)}" data-state="{esc(entry.state)}"><div>{title}'
        f"<small>{esc(place)} · {esc(variant_name(entry.variant))}</small></div>{stop}</li>"
    )
