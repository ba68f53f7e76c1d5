"""The bar on top: device, worker, memory, resident models, queue, and the reader's choices."""

from backend.contracts import (
    DROP_CACHES,
    GpuSample,
    MemorySample,
    ResidentModel,
    ServerPhase,
    ServerStatus,
    StudioStatus,
    WorkerStatus,
)
from backend.language import human_bytes
from ui.document import THEMES
from ui.i18n import LANGUAGE_NAMES, t
from ui.parts.markup import button, esc, icon
from ui.parts.metrics_line import variant_name
from ui.parts.server_card import held, label_of, name_of


def status_bar(status: StudioStatus, language: str, guest: bool = False) -> str:
    """What changes by itself, once a second. A visitor has no buttons in it."""
    worker = next((worker for worker in status.workers if worker.alive), None)
    if worker is None:
        return f"{_worker_state(None, language)}{_queue(status, language)}"
    return (
        f'<span class="s-device" title="{esc(worker.device)}">{esc(worker.device)}</span>'
        f"{_worker_state(worker, language)}{_meter(worker, language)}"
        f"{_gpu(worker.gpu)}"
        f"{_residents(worker.resident, language, guest)}{_servers(status, language, guest)}"
        f"{_queue(status, language)}"
    )


def _worker_state(worker: WorkerStatus | None, language: str) -> str:
    state = "ready" if worker else "missing"
    return (
        f'<span class="s-mark" data-state="{state}" id="worker-state">'
        f"{esc(t(f'page.worker.{state}', language))}</span>"
    )


def _meter(worker: WorkerStatus, language: str) -> str:
    memory = worker.memory
    label = t(f"page.memory.{memory.kind}", language)
    used = 100 * memory.used_bytes / memory.total_bytes
    own = 100 * min(memory.process_bytes, memory.used_bytes) / memory.total_bytes
    free_for_others = memory.used_bytes - min(memory.process_bytes, memory.used_bytes)
    mark = min(100.0, 100 * (free_for_others + worker.budget_bytes) / memory.total_bytes)
    numbers = f"{_gib(memory.used_bytes)} / {_gib(memory.total_bytes)} GiB"
    explained = t(
        "page.memory.explained",
        language,
        own_bytes=memory.process_bytes,
        used_bytes=memory.used_bytes,
        total_bytes=memory.total_bytes,
        budget_bytes=worker.budget_bytes,
    )
    return (
        f'<span class="s-meter" id="memory" title="{esc(explained)}"><span>{esc(label)}</span>'
        f'<span class="s-meter-bar" role="meter" aria-label="{esc(label)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{used:.0f}" aria-valuetext="{esc(numbers)}">'
        f'<i style="width:{used:.1f}%"></i><b style="width:{own:.1f}%"></b>'
        f'<u style="left:{mark:.1f}%"></u></span><span class="s-num">{esc(numbers)}</span></span>'
        f"{_cache_hint(memory, language)}"
    )


def _gpu(gpu: GpuSample | None) -> str:
    """How busy, hungry and hot the GPU is, as far as its driver tells."""
    if gpu is None:
        return ""
    told = (
        (gpu.utilisation_percent, "%"),
        (gpu.power_w, "W"),
        (gpu.temperature_c, "°C"),
    )
    numbers = " · ".join(f"{value:.0f} {unit}" for value, unit in told if value is not None)
    return f'<span class="s-num" id="gpu">{esc(numbers)}</span>' if numbers else ""


def _gib(size: int) -> str:
    return f"{size / 1024**3:.1f}"


def _cache_hint(memory: MemorySample, language: str) -> str:
    if not memory.page_cache_trap:
        return ""
    return (
        f'<details class="s-hint" data-key="cache"><summary>{icon("warning")}'
        f"{esc(t('page.memory.cache', language))}</summary><div>"
        f"<p>{esc(t('page.memory.cache_hint', language))}</p><code>{esc(DROP_CACHES)}</code>"
        f"{button(t('page.memory.copy', language), 'copy', symbol='copy')}</div></details>"
    )


def _residents(residents: tuple[ResidentModel, ...], language: str, guest: bool) -> str:
    chips = ""
    for model in residents:
        name = variant_name(model.key)
        unload = button(
            t("page.memory.unload", language, model=name),
            "unload",
            symbol="close",
            compact=True,
            key=model.key,
        )
        chips += (
            f'<li class="s-chip" data-key="{esc(model.key)}"{" data-busy" if model.in_use else ""}>'
            f"{esc(name)} "
            f"<small>{esc(human_bytes(model.memory_bytes))}</small>"
            f"{'' if model.in_use or guest else unload}</li>"
        )
    return (
        f'<ul class="s-chips" aria-label="{esc(t("page.memory.resident", language))}">{chips}</ul>'
    )


def _servers(status: StudioStatus, language: str, guest: bool) -> str:
    """Of all workers: a server is asked by whoever chats, wherever it runs."""
    servers = [one for worker in status.workers if worker.alive for one in worker.servers]
    chips = "".join(_server(one, language, guest) for one in servers)
    label = esc(t("page.servers.title", language))
    return f'<ul class="s-chips" id="status-servers" aria-label="{label}">{chips}</ul>'


def _server(server: ServerStatus, language: str, guest: bool) -> str:
    name, phase = name_of(server), t(f"page.servers.phase.{server.phase}", language)
    stop = button(
        t("page.servers.stop", language, server=variant_name(server.key)),
        "server-stop",
        symbol="close",
        compact=True,
        key=server.key,
        confirm=t("page.servers.stop_word", language),
    )
    said = "" if server.phase is ServerPhase.READY else phase
    memory = held(server, language) if server.phase.is_live else ""
    return (
        f'<li class="s-chip" data-key="{esc(server.key)}" data-phase="{esc(server.phase)}" '
        f'title="{esc(f"{variant_name(server.key)}: {phase}")}"><b>{esc(name)}</b>'
        f"{label_of(server, language)}<small>{esc(f'{said} {memory}'.strip())}</small>"
        f"{'' if guest else stop}</li>"
    )


def _queue(status: StudioStatus, language: str) -> str:
    count = status.running + status.waiting
    key = "page.queue.idle" if count == 0 else "page.queue.count"
    text = t(key, language, running=status.running, waiting=status.waiting)
    return f'<span class="s-queue-count" id="queue-count">{esc(text)}</span>'


def choices(language: str, theme: str) -> str:
    """Theme, language and whether the side is open, remembered by the browser."""
    side = button(
        t("page.side.toggle", language), "side", symbol="side", kind="quiet", compact=True
    )
    themes = [(name, t(f"page.theme.{name}", language)) for name in THEMES]
    return (
        _choice("theme", t("page.theme.label", language), themes, theme)
        + _choice(
            "language", t("page.language.label", language), list(LANGUAGE_NAMES.items()), language
        )
        + side
    )


def _choice(name: str, label: str, options: list[tuple[str, str]], chosen: str) -> str:
    items = "".join(
        f'<option value="{esc(value)}"{" selected" if value == chosen else ""}>{esc(text)}</option>'
        for value, text in options
    )
    return (
        f'<select id="choose-{name}" class="s-select" data-choice="{name}" '
        f'aria-label="{esc(label)}" title="{esc(label)}">{items}</select>'
    )
