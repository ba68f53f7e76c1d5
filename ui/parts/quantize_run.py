"""The wizard's last step: its job while it runs and how it ended, and the reader's others."""

from collections.abc import Iterable
from pathlib import Path

from backend.contracts import JobSnapshot, JobState, QuantizeResult
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.job_card import job_card, state_mark
from ui.parts.markup import button, esc, icon
from ui.parts.quantize_frame import facts


def run_panel(
    job: JobSnapshot | None, others: Iterable[JobSnapshot], language: str, now: float
) -> str:
    return (_job(job, language, now) if job else "") + _others(others, language)


def result_key(job: JobSnapshot | None) -> str:
    """What the results call the checkpoint that a job made; empty while there is none."""
    if job is None or not job.result:
        return ""
    return f"checkpoint:{Path(job.result['checkpoint']['path']).name}"


def _job(job: JobSnapshot, language: str, now: float) -> str:
    if job.state is JobState.SUCCEEDED:
        body, end = _done(job, language), ""
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
    spent = (job.finished_at or 0.0) - (job.started_at or 0.0)
    rows = [
        (
            "whole",
            f"{human_bytes(made.source_size_bytes)} → {human_bytes(made.size_bytes)}",
            t("page.quantize.times", language, ratio=f"{made.ratio_whole:.2f}"),
        ),
        (
            "perplexity",
            f"{quality.perplexity_reference:.3f} → {quality.perplexity:.3f}",
            t(f"page.quantize.scope.{quality.scope}", language),
        ),
        ("time", human_seconds(spent), ""),
        ("out", made.path, ""),
    ]
    open_ = (
        '<button type="button" class="e-primary" data-action="quantize-result" '
        f'id="quantize-see" data-result="{esc(result_key(job))}">'
        f"{esc(t('page.quantize.see_result', language))}</button>"
    )
    return (
        f'<section class="s-card q-done"><p class="q-good">{icon("check")}'
        f"<strong>{esc(t('page.quantize.done', language))}</strong></p>"
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
