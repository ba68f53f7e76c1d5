"""One's own jobs, newest first, as thumbnails that open on the stage."""

from backend.contracts import HistoryPage, JobKind, JobSnapshot
from ui.files import file_address
from ui.i18n import t
from ui.parts.job_card import state_mark
from ui.parts.markup import button, esc, icon


def history(page: HistoryPage, search: str, language: str) -> str:
    """The list; the search field around it is part of the page."""
    if not page.jobs:
        key = "page.history.nothing_found" if search else "page.history.empty"
        return f'<p class="s-muted">{esc(t(key, language, search=search[:80]))}</p>'
    items = "".join(_entry(job, language) for job in page.jobs)
    more = ""
    if page.total > len(page.jobs):
        more = button(t("page.history.more", language), "more", kind="quiet")
    return f'<ul class="s-history">{items}</ul>{more}'


def _comparison(job: JobSnapshot) -> str:
    """The reference's first picture, and how many variants stand beside each other."""
    width, height = job.request["width"], job.request["height"]
    return (
        f'<img src="/files/{esc(job.id)}/v0-p0-s0.png" alt="" loading="lazy" decoding="async" '
        f'width="{width}" height="{height}"><b class="s-count">{icon("columns")}'
        f"{len(job.request['variants'])}</b>"
    )


def _entry(job: JobSnapshot, language: str) -> str:
    if job.kind == JobKind.COMPARE and job.result and job.result["rows"][0]["pictures"]:
        face = _comparison(job)
    elif job.images:
        image = job.images[0]
        face = (
            f'<img src="{esc(file_address(job, image))}" alt="" loading="lazy" decoding="async" '
            f'width="{image.width}" height="{image.height}">'
        )
        if len(job.images) > 1:
            face += f'<b class="s-count">{len(job.images)}</b>'
    else:
        face = state_mark(job.state, language)
        if job.kind != JobKind.GENERATE:
            face = f"<span>{esc(t(f'kind.{job.kind}', language))}<br>{face}</span>"
    return (
        f'<li data-key="{esc(job.id)}"><button type="button" data-action="show" '
        f'data-job="{esc(job.id)}" data-kind="{esc(job.kind)}" data-state="{esc(job.state)}" '
        f'title="{esc(job.title[:300])}" '
        f'aria-label="{esc(t("page.history.open", language, prompt=job.title[:120]))}">'
        f"{face}</button></li>"
    )
