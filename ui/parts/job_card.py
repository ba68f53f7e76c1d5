"""A job that is not done: where it stands, phase by phase, instead of a spinner."""

from backend.contracts import BYTE_PHASES, JobKind, JobSnapshot, JobState, PhaseView
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.curve import memory_curve
from ui.parts.error_card import error_card
from ui.parts.markup import button, clock, details, esc, icon
from ui.parts.metrics_line import variant_name

PHASES = {
    JobKind.GENERATE: ("queue", "wait", "load", "encode", "denoise", "decode", "save"),
    JobKind.VERIFY: ("queue", "fetch", "digest", "wait", "try"),
    JobKind.ENGINE: ("queue", "fetch", "wait", "calibrate", "export", "build"),
    JobKind.LOAD: ("queue", "load"),
    JobKind.FETCH: ("queue", "fetch"),
    JobKind.LOOK: ("queue", "fetch_file", "look"),
    JobKind.NETWORK: ("queue", "fetch_file", "look", "convert", "wait", "build"),
    JobKind.RUN: ("queue", "compare"),
    JobKind.LANGUAGE_EXPORT: ("queue", "fetch_file", "export"),
    JobKind.TEXT: ("queue", "write"),
    JobKind.TIMES: ("queue", "wait", "times"),
    JobKind.SERVE: (
        *("queue", "fetch_file", "simulate", "wait"),
        *("server_starting", "server_loading", "server_warming"),
    ),
    JobKind.QUANTIZE: (
        *("queue", "fetch_file", "wait", "load", "reference", "samples_before", "calibrate"),
        *("evaluate", "samples_after", "export", "check"),
    ),
    JobKind.QUANTIZE_IMAGES: (
        *("queue", "fetch", "wait", "calibrate", "export", "build"),
        *("pictures", "score", "sensitivity"),
    ),
    JobKind.PUSH: ("queue", "push"),
    JobKind.COMPARE: ("queue", "fetch", "wait", "load", "encode", "pictures", "score", "write"),
    JobKind.COMPARE_TEXT: ("queue", "fetch_file", "simulate", "wait", "server_starting", "answer"),
}
WATCHED = (JobKind.SERVE, JobKind.QUANTIZE)
"""Whose memory is shown as it is held, and whose title says what they are about."""
SHOWN_WHEN_REACHED = frozenset({"wait", "fetch", "fetch_file", "calibrate", "simulate"})


def job_card(job: JobSnapshot, language: str, now: float) -> str:
    """The card of a live, failed, stopped or interrupted job."""
    if job.error is not None:
        return error_card(
            job.error,
            language,
            title=t(f"page.job.{job.state}", language),
            key=f"error-{job.id}",
            actions=_retry(job, language),
        )
    body = _live(job, language, now) if job.state.is_live else _ended(job, language)
    return (
        f'<section class="s-card s-job" data-key="job-{esc(job.id)}" data-state="{esc(job.state)}">'
        f"{body}</section>"
    )


def _retry(job: JobSnapshot, language: str) -> str:
    if not job.retryable:
        return ""
    return button(t("page.job.retry", language), "retry", symbol="retry", job=job.id)


def _ended(job: JobSnapshot, language: str) -> str:
    said = esc(t(f"page.job.{job.state}", language))
    return (
        f'<div class="s-job-head"><strong>{said}</strong></div>'
        f'<div class="s-row">{_retry(job, language)}</div>'
    )


def _live(job: JobSnapshot, language: str, now: float) -> str:
    headline = esc(_headline(job, language))
    return (
        f'<div class="s-job-head"><strong aria-live="polite">{headline}</strong>'
        f'<span class="s-num">{esc(_times(job, language, now))}</span></div>'
        f"{_bar(job)}{_stepper(job, language, now)}{_numbers(job, language)}{_log(job, language)}"
    )


def _headline(job: JobSnapshot, language: str) -> str:
    if job.state == JobState.QUEUED:
        if job.waits_for:
            return t("page.job.waits_for", language)
        if job.wait_s is None:
            return t("page.job.position", language, position=job.position or 1)
        return t("page.job.wait", language, position=job.position or 1, wait_s=job.wait_s)
    if job.phase is None:
        return t("page.job.starting", language)
    name = t(f"phase.{job.phase}", language)
    if not job.total:
        return name
    if job.phase in BYTE_PHASES:
        return f"{name} {human_bytes(job.step)} / {human_bytes(job.total)}"
    return f"{name} {job.step}/{job.total}"


def _times(job: JobSnapshot, language: str, now: float) -> str:
    elapsed = clock(now - (job.started_at or job.created_at))
    if job.eta_s is None:
        return elapsed
    return t("page.job.elapsed_eta", language, elapsed=elapsed, eta=clock(job.eta_s + 0.5))


def _bar(job: JobSnapshot) -> str:
    if not job.total:
        return '<div class="s-bar" data-busy="true"><i></i></div>'
    share = 100 * job.step / job.total
    return (
        f'<div class="s-bar" role="progressbar" aria-valuemin="0" aria-valuemax="{job.total}" '
        f'aria-valuenow="{job.step}"><i style="width:{share:.1f}%"></i></div>'
    )


def _stepper(job: JobSnapshot, language: str, now: float) -> str:
    reached = {phase.name for phase in job.phases}
    known = PHASES[job.kind]
    others = [phase.name for phase in job.phases if phase.name not in known]
    order = [name for name in known if name in reached or name not in SHOWN_WHEN_REACHED]
    order[1:1] = dict.fromkeys(others)
    furthest = max((order.index(name) for name in reached if name in order), default=0)
    items = ""
    for index, name in enumerate(order):
        current = name == (job.phase or "queue")
        if current:
            state = "current"
        elif index < furthest:
            state = "done" if name in reached or name == "queue" else "skipped"
        else:
            state = "done" if name in reached else "waiting"
        seconds = _spent(job, name, now)
        spent = f"<small>{human_seconds(seconds)}</small>" if seconds and not current else ""
        here = ' aria-current="step"' if current else ""
        items += (
            f'<li data-state="{state}"{here}>'
            f"<span>{esc(t(f'phase.{name}', language))}</span>{spent}</li>"
        )
    return f'<ol class="s-steps" aria-label="{esc(t("page.job.phases", language))}">{items}</ol>'


def _spent(job: JobSnapshot, name: str, now: float) -> float:
    """Seconds spent in all passes through a phase."""
    return sum(_length(phase, now) for phase in job.phases if phase.name == name)


def _length(phase: PhaseView, now: float) -> float:
    return (phase.finished_at or now) - phase.started_at


def _numbers(job: JobSnapshot, language: str) -> str:
    served = job.kind in WATCHED
    shown = [] if served else [("variant", variant_name(job.variant))]
    if job.steps_per_s:
        in_bytes = job.phase in BYTE_PHASES
        speed = human_bytes(job.steps_per_s) if in_bytes else f"{job.steps_per_s:.1f} it"
        shown.append(("speed", f"{speed}/s"))
    if job.peak_memory_bytes and not served:
        shown.append(("peak", human_bytes(job.peak_memory_bytes)))
    cells = "".join(
        f"<div><dt>{esc(t(f'page.metric.{key}', language))}</dt><dd>{esc(value)}</dd></div>"
        for key, value in shown
    )
    news = job.message if not job.total else None
    message = f"<p>{esc(news.render(language))}</p>" if news else ""
    return f'<dl class="s-metrics">{cells}{_memory(job, language)}</dl>{message}'


def _memory(job: JobSnapshot, language: str) -> str:
    """What the work holds and held, where it tells."""
    if not job.memory:
        return ""
    peak = max(size for _, size in job.memory)
    spent = job.memory[-1][0] - job.memory[0][0]
    words = t("page.job.curve", language, spent_s=round(spent), peak_bytes=peak)
    now = t("page.job.holds", language, held_bytes=job.memory[-1][1], peak_bytes=peak)
    return (
        f"<div><dt>{esc(t('page.metric.memory', language))}</dt><dd>{esc(now)}</dd></div>"
        f"<div>{memory_curve(job.memory, words, peak)}</div>"
    )


def _log(job: JobSnapshot, language: str) -> str:
    if not job.log:
        return ""
    lines = "".join(f"<li>{esc(line.render(language))}</li>" for line in job.log)
    return details(f"log-{job.id}", t("page.job.log", language), f'<ol class="s-log">{lines}</ol>')


def state_mark(state: JobState, language: str) -> str:
    """A small mark of a job's state with its name for screen readers."""
    name = esc(t(f"state.{state}", language))
    symbol = icon("warning") if state in (JobState.FAILED, JobState.INTERRUPTED) else ""
    return f'<span class="s-mark" data-state="{esc(state)}" title="{name}">{symbol}{name}</span>'
