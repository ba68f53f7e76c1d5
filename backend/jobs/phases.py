"""What each kind of job does: its phases in order.

A phase is one DBOS step: when the worker dies, finished phases are not done again. It gets the
job's context and the results of the phases before it, and returns plain data.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from backend.chat.servers import house
from backend.compare import pictures as comparison
from backend.compare.text.run import compare_text
from backend.compare.text.sides import Worker
from backend.contracts import EngineSource, JobKind, Precision, VerifyRequest, VerifyResult
from backend.engines import phases as engines
from backend.engines import times
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.jobs.main_thread import MainThread
from backend.jobs.room import check_phases, room
from backend.language import text
from backend.models import fetch
from backend.models.catalog import Entry, find_model
from backend.models.files import corrupted
from backend.models.needs import needs_of
from backend.models.pool import ModelPool
from backend.networks import bring
from backend.networks import phases as networks
from backend.quantize.images import phases as images
from backend.quantize.language import phases as language
from backend.quantize.language import push
from backend.settings import Settings

Results = dict[str, Any]


@dataclass(frozen=True)
class Resources:
    """What a worker lends to its jobs."""

    settings: Settings
    pool: ModelPool
    main_thread: MainThread
    servers: house.Servers


@dataclass(frozen=True)
class Phase:
    name: str
    run: Callable[[JobContext, Resources, Results], Any]


def _generate(context: JobContext, resources: Resources, done: Results) -> Any:
    def on_main_thread() -> Any:
        from backend.images.generate import generate

        return generate(context, resources.settings, resources.pool)

    return resources.main_thread.call(on_main_thread)


def _load(context: JobContext, resources: Resources, done: Results) -> Any:
    def on_main_thread() -> Any:
        from backend.images.load import load

        return load(context, resources.settings, resources.pool)

    return resources.main_thread.call(on_main_thread)


def _model_to_verify(context: JobContext, settings: Settings) -> Entry:
    entry = find_model(settings, VerifyRequest.model_validate(context.row.request).model)
    if entry.folder is None:
        raise corrupted(entry.id, "it is not on this machine")
    return entry


def _fetch_to_verify(context: JobContext, resources: Resources, done: Results) -> Any:
    model = VerifyRequest.model_validate(context.row.request).model
    entry = find_model(resources.settings, model)
    needs = needs_of(entry, EngineSource.EXPORT)
    return fetch.fetch_what_lacks(context, resources.settings, entry, needs)


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


def _fetch_model(context: JobContext, resources: Resources, done: Results) -> Any:
    return fetch.fetch_model(context, resources.settings)


def _fetch_for_engines(context: JobContext, resources: Resources, done: Results) -> Any:
    return fetch.fetch_for_engines(context, resources.settings)


def _calibrate_engines(context: JobContext, resources: Resources, done: Results) -> Any:
    with _room(context, resources, "calibrate", on_host=False):
        return engines.calibrate(context, resources.settings)


def _export_engines(context: JobContext, resources: Resources, done: Results) -> Any:
    with _room(context, resources, "export", on_host=True):
        return engines.export(context, resources.settings, done["calibrate"])


def _build_engines(context: JobContext, resources: Resources, done: Results) -> Any:
    with _room(context, resources, "build", on_host=False):
        return engines.build(context, resources.settings, done["calibrate"], done["export"])


def _room(
    context: JobContext, resources: Resources, phase: str, on_host: bool
) -> AbstractContextManager[None]:
    """Room for a phase of an engine's job; none where there is nothing left for it to do."""
    settings = resources.settings
    needs = engines.needs_of(context, settings)
    check_phases(context, resources.pool, needs)
    if phase not in needs:
        return nullcontext()
    return room(context, resources.pool, settings.home, phase, needs[phase], on_host)


def _time_layers(context: JobContext, resources: Resources, done: Results) -> Any:
    return times.time_layers(context, resources.settings, resources.pool)


def _fetch_network(context: JobContext, resources: Resources, done: Results) -> Any:
    return bring.fetch(context, resources.settings)


def _look(context: JobContext, resources: Resources, done: Results) -> Any:
    return networks.look_only(context, done["fetch"]["file"])


def _look_to_build(context: JobContext, resources: Resources, done: Results) -> Any:
    looked = networks.look(context, done["fetch"]["file"], digest=True)
    networks.build_of(context, looked)
    return looked


def _convert_network(context: JobContext, resources: Resources, done: Results) -> Any:
    return networks.convert(context, resources.settings, done["look"])


def _build_network(context: JobContext, resources: Resources, done: Results) -> Any:
    return networks.build(
        context, resources.settings, resources.pool, done["look"], done["convert"]
    )


def _run_network(context: JobContext, resources: Resources, done: Results) -> Any:
    return networks.run(context, resources.settings, resources.pool)


def _write_text(context: JobContext, resources: Resources, done: Results) -> Any:
    return networks.write(context, resources.settings, resources.pool)


def _fetch_language_model(context: JobContext, resources: Resources, done: Results) -> Any:
    return bring.fetch_language_model(context)


def _export_language_model(context: JobContext, resources: Resources, done: Results) -> Any:
    return networks.export_language_model(
        context, resources.settings, resources.pool, done["fetch"]["folder"]
    )


def _bring_to_serve(context: JobContext, resources: Resources, done: Results) -> Any:
    return house.bring(context, resources.settings)


def _simulate_to_serve(context: JobContext, resources: Resources, done: Results) -> Any:
    return house.simulate_if_asked(context, resources.settings, done["fetch"])


def _serve(context: JobContext, resources: Resources, done: Results) -> Any:
    return house.serve(
        context, resources.settings, resources.pool, resources.servers, done["simulate"]
    )


def _fetch_to_quantise(context: JobContext, resources: Resources, done: Results) -> Any:
    return language.fetch(context, resources.settings)


def _quantise(context: JobContext, resources: Resources, done: Results) -> Any:
    return language.quantise(context, resources.settings, resources.pool)


def _check_quantised(context: JobContext, resources: Resources, done: Results) -> Any:
    return language.check(context, resources.settings, resources.pool, done["quantise"])


def _of_pictures(name: str, run: Callable[[JobContext, Resources, Results], Any]) -> Phase:
    """A phase of a job that quantises a picture model: what it takes is told beside what it
    finds."""

    def phase(context: JobContext, resources: Resources, done: Results) -> Any:
        found = {each: result["found"] for each, result in done.items()}
        with images.tidy(context, resources.settings):
            return images.timed(lambda: run(context, resources, found))

    return Phase(name, phase)


def _fetch_for_pictures(context: JobContext, resources: Resources, done: Results) -> Any:
    """What is fetched, and nothing in the way of the rest."""
    fetched = _fetch_for_engines(context, resources, done)
    images.order_of(context, resources.settings)
    return fetched


def _paint_both(context: JobContext, resources: Resources, done: Results) -> Any:
    return images.pictures(context, resources.settings, resources.pool, done["calibrate"])


def _score_pictures(context: JobContext, resources: Resources, done: Results) -> Any:
    return images.score(context, resources.settings)


def _measure_blocks(context: JobContext, resources: Resources, done: Results) -> Any:
    with images.tidy(context, resources.settings):
        return images.sensitivity(context, resources.settings, resources.pool, done)


def _compare_text(context: JobContext, resources: Resources, done: Results) -> Any:
    return compare_text(Worker(context, resources.settings, resources.pool, resources.servers))


def _compare_paint(context: JobContext, resources: Resources, done: Results) -> Any:
    def work() -> None:
        # imported there: that thread may be importing the same libraries right now
        from backend.images.compare import paint

        paint(context, resources.settings, resources.pool)

    return resources.main_thread.call(work)


def _compare_score(context: JobContext, resources: Resources, done: Results) -> Any:
    return comparison.score(context, resources.settings, resources.main_thread)


def _compare_write(context: JobContext, resources: Resources, done: Results) -> Any:
    return comparison.write(context, resources.settings)


def _push(context: JobContext, resources: Resources, done: Results) -> Any:
    return push.push(context, resources.settings)


PHASES: dict[JobKind, tuple[Phase, ...]] = {
    JobKind.GENERATE: (Phase("generate", _generate),),
    JobKind.LOAD: (Phase("load", _load),),
    JobKind.FETCH: (Phase("fetch", _fetch_model),),
    JobKind.VERIFY: (
        Phase("fetch", _fetch_to_verify),
        Phase("digest", _digest),
        Phase("try", _try),
    ),
    JobKind.ENGINE: (
        Phase("fetch", _fetch_for_engines),
        Phase("calibrate", _calibrate_engines),
        Phase("export", _export_engines),
        Phase("build", _build_engines),
    ),
    JobKind.TIMES: (Phase("times", _time_layers),),
    JobKind.LOOK: (Phase("fetch", _fetch_network), Phase("look", _look)),
    JobKind.NETWORK: (
        Phase("fetch", _fetch_network),
        Phase("look", _look_to_build),
        Phase("convert", _convert_network),
        Phase("build", _build_network),
    ),
    JobKind.RUN: (Phase("run", _run_network),),
    JobKind.TEXT: (Phase("write", _write_text),),
    JobKind.LANGUAGE_EXPORT: (
        Phase("fetch", _fetch_language_model),
        Phase("export", _export_language_model),
    ),
    JobKind.SERVE: (
        Phase("fetch", _bring_to_serve),
        Phase("simulate", _simulate_to_serve),
        Phase("serve", _serve),
    ),
    JobKind.QUANTIZE: (
        Phase("fetch", _fetch_to_quantise),
        Phase("quantise", _quantise),
        Phase("check", _check_quantised),
    ),
    JobKind.QUANTIZE_IMAGES: (
        _of_pictures("fetch", _fetch_for_pictures),
        _of_pictures("calibrate", _calibrate_engines),
        _of_pictures("export", _export_engines),
        _of_pictures("build", _build_engines),
        _of_pictures("pictures", _paint_both),
        _of_pictures("score", _score_pictures),
        Phase("sensitivity", _measure_blocks),
    ),
    JobKind.PUSH: (Phase("push", _push),),
    JobKind.COMPARE_TEXT: (Phase("compare", _compare_text),),
    JobKind.COMPARE: (
        Phase("paint", _compare_paint),
        Phase("score", _compare_score),
        Phase("write", _compare_write),
    ),
}
RESUMABLE = frozenset(kind for kind in PHASES if kind is not JobKind.GENERATE)
"""Kinds that go on from their last finished phase when their worker died; a fetch goes on within
its one."""
