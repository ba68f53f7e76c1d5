"""The jobs of the Engines tab: builds and loads, while they run and how they ended."""

from backend.contracts import JobSnapshot, JobState
from backend.language import human_seconds
from ui.i18n import t
from ui.parts.job_card import job_card
from ui.parts.markup import button, esc, icon


def engine_jobs(jobs: tuple[JobSnapshot, ...], language: str, now: float) -> str:
    return "".join(_job(job, language, now) for job in jobs)


def _job(job: JobSnapshot, language: str, now: float) -> str:
    kind = t(f"kind.{job.kind}", language)
    if job.state == JobState.SUCCEEDED:
        body = f'<p class="s-card e-done">{icon("check")}{esc(_done(job, language))}</p>'
    else:
        body = job_card(job, language, now)
    return (
        f'<article class="e-job" data-key="{esc(job.id)}" data-job="{esc(job.id)}" '
        f'data-state="{esc(job.state)}"><header><strong>{esc(kind)}</strong> '
        f'<span dir="auto">{esc(job.title)}</span>{_button(job, language)}</header>{body}</article>'
    )


def _done(job: JobSnapshot, language: str) -> str:
    result = job.result or {}
    spent = (job.finished_at or 0.0) - (job.started_at or 0.0)
    if "built" in result:
        there = len(result["engines"]) - result["built"]
        return t("page.engines.built", language, count=result["built"], there=there, spent_s=spent)
    return t("page.engines.loaded", language, time=human_seconds(spent))


def _button(job: JobSnapshot, language: str) -> str:
    if job.state.is_live:
        words, action, symbol = t("page.queue.stop", language), "cancel", "close"
    else:
        words, action, symbol = t("page.engines.dismiss", language), "delete", "close"
    return button(words, action, symbol=symbol, kind="quiet", compact=True, job=job.id)
