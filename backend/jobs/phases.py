"""What each kind of job does: its phases in order.

A phase is one DBOS step: when the worker dies, finished phases are not done again. It gets the
job's context and the results of the phases before it, and returns plain data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backend.contracts import JobKind, Precision, VerifyRequest, VerifyResult
from backend.engines import phases as engines
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.jobs.main_thread import MainThread
from backend.language import text
from backend.models.catalog import Entry, find_model
from backend.models.files import corrupted
from backend.models.pool import ModelPool
from backend.settings import Settings

Results = dict[str, Any]


@dataclass(frozen=True)
class Resources:
    """What a worker lends to its jobs."""

    settings: Settings
    pool: ModelPool
    main_thread: MainThread


@dataclass(frozen=True)
class Phase:
    name: str
    run: Callable[[JobContext, Resources, Results], Any]


def _generate(context: JobContext, resources: Resources, done: Results) -> Any:
    from backend.images.generate import generate

    return resources.main_thread.call(lambda: generate(context, resources.settings, resources.pool))


def _load(context: JobContext, resources: Resources, done: Results) -> Any:
    from backend.images.load import load

    return resources.main_thread.call(lambda: load(context, resources.settings, resources.pool))


def _model_to_verify(context: JobContext, settings: Settings) -> Entry:
    entry = find_model(settings, VerifyRequest.model_validate(context.row.request).model)
    if entry.folder is None:
        raise corrupted(entry.id, "it is not on this machine")
    return entry


def _digest(context: JobContext, resources: Resources, done: Results) -> Any:
    entry = _model_to_verify(context, resources.settings)
    context.report("digest")

    def on_news(news: dict[str, Any]) -> None:
        checked = news.get("checked")
        message = text("job.checked", name=checked) if checked else None
        context.report("digest", news["step"], news["total"], message=message)

    arguments = {"model": entry.id, "folder": str(entry.folder), "digests": entry.digests}
    return run_child("backend.models.verify", arguments, on_news, context.check)


def _try(context: JobContext, resources: Resources, done: Results) -> Any:
    entry = _model_to_verify(context, resources.settings)
    precision = Precision.BF16 if entry.parameters > 10**9 else Precision.FP32
    arguments = {
        "model": entry.id,
        "folder": str(entry.folder),
        "precision": str(precision),
        "side": entry.limits.min_side,
        "max_prompt_tokens": entry.limits.max_prompt_tokens,
    }
    with context.memory(resources.pool, f"try {entry.id}", entry.memory_bytes(precision)):
        context.report("try", 0, 2)
        run_child(
            "backend.images.try_model",
            arguments,
            lambda news: context.report("try", news["step"], news["total"]),
            context.check,
        )
    return VerifyResult.model_validate(done["digest"]).model_dump(mode="json")


def _calibrate_engines(context: JobContext, resources: Resources, done: Results) -> Any:
    return engines.calibrate(context, resources.settings)


def _export_engines(context: JobContext, resources: Resources, done: Results) -> Any:
    return engines.export(context, resources.settings, done["calibrate"])


def _build_engines(context: JobContext, resources: Resources, done: Results) -> Any:
    return engines.build(context, resources.settings, done["calibrate"], done["export"])


PHASES: dict[JobKind, tuple[Phase, ...]] = {
    JobKind.GENERATE: (Phase("generate", _generate),),
    JobKind.LOAD: (Phase("load", _load),),
    JobKind.VERIFY: (Phase("digest", _digest), Phase("try", _try)),
    JobKind.ENGINE: (
        Phase("calibrate", _calibrate_engines),
        Phase("export", _export_engines),
        Phase("build", _build_engines),
    ),
}
RESUMABLE = frozenset(kind for kind, phases in PHASES.items() if len(phases) > 1)
"""Kinds that go on from their last finished phase when their worker died."""
