"""The wizard's last step: its job while it runs and how it ended, and the reader's others."""

from collections.abc import Iterable

from backend.contracts import (
    Checkpoint,
    JobKind,
    JobSnapshot,
    JobState,
    QuantizeImagesResult,
    QuantizeResult,
)
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.job_card import job_card, state_mark
from ui.parts.markup import button, esc, icon
from ui.parts.quantize_frame import facts
from ui.parts.quantize_result_list import likeness


def run_panel(
    job: JobSnapshot | None, others: Iterable[JobSnapshot], language: str, now: float
) -> str:
    return (_job(job, language, now) if job else "") + _others(others, language)


def result_key(job: JobSnapshot | None) -> str:
    """What the results call what a job made; empty while there is nothing."""
    if job is None or not job.result:
        return ""
    return f"{'pictures' if job.kind is JobKind.QUANTIZE_IMAGES else 'job'}:{job.id}"


def _job(job: JobSnapshot, language: str, now: float) -> str:
    if job.state is JobState.SUCCEEDED:
        pictures = job.kind is JobKind.QUANTIZE_IMAGES
        body, end = (_compared if pictures else _done)(job, language), ""
    else:
        body = job_card(job, language, now)
        stop = button(t("label.stop", language), "cancel", symbol="stop", job=job.id)
        end = stop if job.state.is_live else ""
    recipe = job.request.get("recipe", "")
    return (
        f'<article class="q-job" data-key="{esc(job.id)}" data-job="{esc(job.id)}" '
        f'data-state="{esc(job.state)}" data-result="{esc(result_key(job))}"><header>'
        f'<strong dir="auto">{esc(job.title)}</strong><span>{esc(recipe)}</span>{end}</header>'
        f"{body}{_ways_on(job, language)}</article>"
    )


def _done(job: JobSnapshot, language: str) -> str:
    result = QuantizeResult.model_validate(job.result)
    made, quality = result.checkpoint, result.quality
    rows = [
        _size("whole", made, language),
        (
            "perplexity",
            f"{quality.perplexity_reference:.3f} → {quality.perplexity:.3f}",
            t(f"page.quantize.scope.{quality.scope}", language),
        ),
        ("time", _spent(job), ""),
        ("out", made.path, ""),
    ]
    return _card("done", rows, job, language)


def _compared(job: JobSnapshot, language: str) -> str:
    result = QuantizeImagesResult.model_validate(job.result)
    scope = "simulated" if result.quality.simulated else "engine"
    rows = [
        _size("denoiser", result.checkpoint, language),
        (
            "likeness",
            likeness(result.quality, language),
            t(f"page.quantize.scope.{scope}", language, pictures=result.quality.pictures),
        ),
        ("time", _spent(job), ""),
    ]
    return _card("done_pictures", rows, job, language)


def _size(name: str, made: Checkpoint, language: str) -> tuple[str, str, str]:
    return (
        name,
        f"{human_bytes(made.source_size_bytes)} → {human_bytes(made.size_bytes)}",
        t("page.quantize.times", language, ratio=f"{made.ratio_whole:.2f}"),
    )


def _spent(job: JobSnapshot) -> str:
    return human_seconds((job.finished_at or 0.0) - (job.started_at or 0.0))


def _card(said: str, rows: list[tuple[str, str, str]], job: JobSnapshot, language: str) -> str:
    open_ = (
        '<button type="button" class="e-primary" data-action="quantize-result" '
        f'id="quantize-see" data-result="{esc(result_key(job))}">'
        f"{esc(t('page.quantize.see_result', language))}</button>"
    )
    return (
        f'<section class="s-card q-done"><p class="q-good">{icon("check")}'
        f"<strong>{esc(t(f'page.quantize.{said}', language))}</strong></p>"
        f'{facts(rows, language)}<div class="s-row">{open_}</div></section>'
    )


def _ways_on(job: JobSnapshot, language: str) -> str:
    """From a job that has ended: other settings, or another model."""
    if job.state.is_live:
        return ""
    change = ""
    if job.state is not JobState.SUCCEEDED:
        words = t("page.quantize.change", language)
        change = button(words, "quantize-step", symbol="settings", name="preflight")
    new = button(t("page.quantize.new", language), "quantize-new", symbol="plus")
    return f'<div class="s-row q-ways">{change}{new}</div>'


def _others(jobs: Iterable[JobSnapshot], language: str) -> str:
    items = "".join(_other(job, language) for job in jobs)
    if not items:
        return ""
    title = esc(t("page.quantize.others", language))
    return f'<section class="q-others" data-key="others"><h3>{title}</h3><ul>{items}</ul></section>'


def _other(job: JobSnapshot, language: str) -> str:
    words = t("page.quantize.look", language)
    look = button(words, "quantize-look", symbol="eye", kind="quiet", job=job.id)
    share = f" {100 * job.step // job.total} %" if job.state.is_live and job.total else ""
    phase = t(f"phase.{job.phase}", language) + share if job.state.is_live and job.phase else ""
    return (
        f'<li data-key="{esc(job.id)}" data-job="{esc(job.id)}">{state_mark(job.state, language)}'
        f'<span dir="auto">{esc(job.title)}<small>{esc(job.request.get("recipe", ""))}'
        f"{f' · {esc(phase)}' if phase else ''}</small></span>{look}</li>"
    )
