"""Servers of language models as cards: while they start, while they run, and why they failed."""

from pathlib import PurePath
from urllib.parse import urlsplit

from backend.contracts import (
    JobSnapshot,
    JobState,
    Precision,
    ServerKind,
    ServerPhase,
    ServerStatus,
)
from backend.language import human_bytes, human_seconds
from ui.i18n import t
from ui.parts.curve import memory_curve
from ui.parts.error_card import error_card
from ui.parts.job_card import job_card
from ui.parts.markup import button, details, esc
from ui.parts.metrics_line import SERVER_NAMES

KNOWN = frozenset(Precision)


def server_cards(
    servers: tuple[ServerStatus, ...], jobs: tuple[JobSnapshot, ...], language: str, now: float
) -> str:
    """Every server, and the reader's jobs that have not come to one yet or never did. What failed
    makes room for its next try."""
    pairs = [(one, _starter(one, jobs)) for one in servers]
    pairs = [(one, job) for one, job in pairs if not (_failed(one) and job and job.state.is_live)]
    begun = {job.id for _, job in pairs if job is not None}
    cards = [_server(one, job, language, now) for one, job in pairs]
    cards += [_job(job, language, now) for job in jobs if job.id not in begun]
    if cards:
        return "".join(cards)
    return f'<p class="s-muted v-none">{esc(t("page.servers.none", language))}</p>'


def _starter(server: ServerStatus, jobs: tuple[JobSnapshot, ...]) -> JobSnapshot | None:
    """The reader's job that starts this server, or that it failed."""
    if server.phase is ServerPhase.READY:
        return None
    mine = (job for job in jobs if server.key in _keys(job, server))
    return next((job for job in mine if job.state.is_live or _failed(server)), None)


def _failed(server: ServerStatus) -> bool:
    return server.phase is ServerPhase.FAILED


def _keys(job: JobSnapshot, server: ServerStatus) -> set[str]:
    """What the job's server may be called: a folder is called by its last name, a simulation by
    what it was made of."""
    model, kind = str(job.request["model"]), job.request["kind"]
    names = {model, PurePath(model).name}
    if job.request.get("simulated"):
        begins = tuple(f"{name.replace('/', '--')}-simulated-" for name in names)
        return {server.key} if server.endpoint.model.startswith(begins) else set()
    return {f"{name}/{kind}" for name in names}


def _server(server: ServerStatus, job: JobSnapshot | None, language: str, now: float) -> str:
    if server.error is not None and _failed(server):
        retry = ""
        if job is not None and job.retryable:
            retry = button(t("page.job.retry", language), "retry", symbol="retry", job=job.id)
        body = error_card(
            server.error,
            language,
            key=f"error-{server.key}",
            actions=retry,
        )
        body += _log(server, language)
    elif server.phase is ServerPhase.READY:
        body = _told(server, language)
    else:
        head = job_card(job, language, now) if job is not None else ""
        body = head + _told(server, language)
    return (
        f'<article class="v-server" data-key="{esc(server.key)}" data-server="{esc(server.key)}" '
        f'data-phase="{esc(server.phase)}">{_head(server, job, language)}{body}</article>'
    )


def _told(server: ServerStatus, language: str) -> str:
    return f'<section class="s-card">{_facts(server, language)}{_log(server, language)}</section>'


def _head(server: ServerStatus, job: JobSnapshot | None, language: str) -> str:
    phase = t(f"page.servers.phase.{server.phase}", language)
    shown = {ServerPhase.READY: "ready", ServerPhase.FAILED: "failed"}.get(server.phase, "waiting")
    return (
        f'<header><strong dir="auto">{esc(name_of(server))}</strong> '
        f"{precision(server, language)}"
        f'<span class="s-mark" data-state="{shown}" aria-live="polite">{esc(phase)}</span>'
        f"{_end(server, job, language)}</header>"
    )


def _end(server: ServerStatus, job: JobSnapshot | None, language: str) -> str:
    """Cancel of who starts it, Stop for everybody, or away with what failed."""
    if _failed(server):
        words = t("page.servers.dismiss", language)
        gone = {"job": job.id} if job is not None else {}
        return button(
            words, "server-stop", symbol="close", kind="quiet", compact=True, key=server.key, **gone
        )
    if job is not None:
        words = t("page.queue.stop", language)
        return button(words, "cancel", symbol="close", kind="quiet", compact=True, job=job.id)
    return button(
        t("page.servers.stop_word", language),
        "server-stop",
        symbol="close",
        kind="quiet",
        key=server.key,
        confirm=t("page.servers.stop_sure", language),
    )


def name_of(server: ServerStatus) -> str:
    return shown_name(server.endpoint.model, server.endpoint.simulated)


def shown_name(name: str, simulated: bool) -> str:
    """A model's; of a simulation that of its checkpoint, as a label stands beside."""
    return name.rpartition("-simulated-")[0] or name if simulated else name


def label_of(server: ServerStatus, language: str) -> str:
    """What must be said wherever a simulation is shown."""
    if not server.endpoint.simulated:
        return ""
    return f'<em class="v-simulated">{esc(t("page.servers.simulated", language))}</em>'


def precision(server: ServerStatus, language: str) -> str:
    """What really runs, and whether it is only a simulation."""
    name = server.endpoint.precision.partition(" (")[0]
    known = name.lower() if name.lower() in KNOWN else "other"
    label = label_of(server, language)
    return f'<b class="e-precision" data-precision="{known}">{esc(name)}</b>{label}'


def _facts(server: ServerStatus, language: str) -> str:
    port = urlsplit(server.endpoint.url).port
    tokens = server.endpoint.context_tokens
    rows = [
        ("server", SERVER_NAMES[server.endpoint.kind]),
        ("port", str(port) if port else ""),
        ("context", t("page.servers.tokens", language, count=tokens) if tokens else ""),
        ("memory", held(server, language)),
        ("peak", human_bytes(server.peak_memory_bytes) if visible(server) else ""),
        ("aside", human_bytes(server.estimate_bytes)),
        ("ready", human_seconds(server.ready_s) if server.ready_s is not None else ""),
        ("restarts", str(server.restarts) if server.restarts else ""),
    ]
    cells = "".join(
        f"<div><dt>{esc(t(f'page.servers.row.{name}', language))}</dt><dd>{esc(value)}</dd></div>"
        for name, value in rows
        if value
    )
    return f'<div class="v-facts"><dl class="s-metrics">{cells}</dl>{curve(server, language)}</div>'


def visible(server: ServerStatus) -> bool:
    """A container's processes are not ours to look at."""
    return server.endpoint.kind is not ServerKind.CONTAINER


def held(server: ServerStatus, language: str) -> str:
    if not visible(server):
        return t("page.servers.unseen", language)
    return human_bytes(server.memory_bytes)


def curve(server: ServerStatus, language: str) -> str:
    """Its memory over the time it was looked at, as high as what is set aside or more."""
    samples = server.memory if visible(server) else ()
    if not samples:
        return ""
    words = t(
        "page.servers.curve",
        language,
        spent_s=round(max(samples[-1][0] - samples[0][0], 0.1)),
        peak_bytes=max(size for _, size in samples),
    )
    return memory_curve(samples, words, server.peak_memory_bytes, server.estimate_bytes)


def _log(server: ServerStatus, language: str) -> str:
    if not server.log:
        return ""
    lines = "\n".join(server.log)
    return details(
        f"log-{server.key}",
        t("page.servers.log", language),
        f'<pre class="s-details v-log" tabindex="0">{esc(lines)}</pre>',
    )


def _job(job: JobSnapshot, language: str, now: float) -> str:
    """A start that waits, fetches or unpacks, or that ended before there was a server."""
    if job.state.is_live:
        words, action = t("page.queue.stop", language), "cancel"
    else:
        words, action = t("page.servers.dismiss", language), "delete"
    state = "failed" if job.state is JobState.FAILED else "waiting"
    end = button(words, action, symbol="close", kind="quiet", compact=True, job=job.id)
    title = SERVER_NAMES[ServerKind(job.request["kind"])]
    return (
        f'<article class="v-server" data-key="{esc(job.id)}" data-job="{esc(job.id)}" '
        f'data-phase="{state}"><header><strong dir="auto">{esc(job.title)}</strong> '
        f"<span>{esc(title)}</span>{end}</header>{job_card(job, language, now)}</article>"
    )
