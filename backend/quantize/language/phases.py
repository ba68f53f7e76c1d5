"""The phases of a job that quantises a language model: fetch, quantise, check.

The second is one child process, which tells the phases within it: load, score the original,
calibrate, score, export. What a killed one has finished is in the job's work folder, so the next
goes on from there. A job that fails or is stopped leaves nothing.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.chat.fetch import bring_language_model
from backend.chat.models import MANIFEST
from backend.chat.servers.kinds import device
from backend.contracts import (
    Checkpoint,
    CheckpointManifest,
    LayerError,
    LayerSensitivity,
    Quality,
    QuantizeRequest,
    QuantizeResult,
    RecipeSize,
    Samples,
)
from backend.errors import Code, StudioError
from backend.hardware import memory
from backend.jobs.children import run_child
from backend.jobs.context import JobContext, JobRequeued
from backend.language import Text
from backend.models.pool import ModelPool
from backend.quantize.language.needs import disk_bytes, memory_bytes, place
from backend.quantize.language.order import (
    Order,
    check_target,
    is_ours,
    make_order,
    put_in_place,
    size_of,
    size_view,
)
from backend.quantize.language.questions import ANSWER_TOKENS
from backend.settings import Settings

FORMAT = 1
EXPORT = "export"
Results = dict[str, Any]


def fetch(context: JobContext, settings: Settings) -> Results:
    """The model's files, and nothing in the way of the rest."""
    request = QuantizeRequest.model_validate(context.row.request)
    bring_language_model(context, settings, request.model)
    order = make_order(settings, request)
    check_target(order.target, request.replace)
    check_disk(order)
    return {"folder": order.source.model.folder}


def check_disk(order: Order) -> None:
    """Raises StudioError QUANTIZE_DISK_LOW."""
    free, needed = shutil.disk_usage(order.target.parent).free, disk_bytes(order)
    if needed > free:
        path = str(order.target.parent)
        raise StudioError(Code.QUANTIZE_DISK_LOW, path=path, needed_bytes=needed, free_bytes=free)


def quantise(context: JobContext, settings: Settings, pool: ModelPool) -> Results:
    """What `backend.quantize.language.work` answers; the checkpoint is in the work folder."""
    order = _order(context, settings)
    arguments = _arguments(context, settings, order) | {
        "left_out": list(order.size.left_out),
        "expected_bytes": order.size.whole,
    }
    with _tidy(order.work(context.row.id)), _room(context, pool, order):
        found: Results = run_child(
            "backend.quantize.language.work", arguments, _told(context), context.check
        )
    return found


def check(context: JobContext, settings: Settings, pool: ModelPool, made: Results) -> Results:
    """The checkpoint looked at, and put in its place with its manifest."""
    order = _order(context, settings)
    kept = [each["layer"] for each in made["sensitivity"] if each["chosen"] == "none"]
    if kept:
        order = replace(
            order,
            size=size_of(order.source, order.recipe, order.kv, [*order.request.leave_out, *kept]),
        )
    work = order.work(context.row.id)
    if not (work / EXPORT).exists() and is_ours(order.target):
        return _result(_manifest_in(order.target), order)  # killed after it was put in place
    arguments = _arguments(context, settings, order) | {
        "algorithm": order.recipe.algorithm,
        "layers": dict.fromkeys(order.size.layers, order.recipe.name),
        "quality": made["quality"],
        "answers": made["answers"],
    }
    with _tidy(work), _room(context, pool, order):
        looked = run_child(
            "backend.quantize.language.verify", arguments, _told(context), context.check
        )
        manifest = _manifest(order, made, looked)
        (work / EXPORT / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
        put_in_place(work / EXPORT, order)
    shutil.rmtree(work, ignore_errors=True)
    return _result(manifest, order)


def _order(context: JobContext, settings: Settings) -> Order:
    return make_order(settings, QuantizeRequest.model_validate(context.row.request))


def _arguments(context: JobContext, settings: Settings, order: Order) -> Results:
    return {
        "source": order.source.model.folder,
        "work": str(order.work(context.row.id)),
        "home": str(settings.home),
        "request": order.request.model_dump(mode="json"),
        "answer_tokens": ANSWER_TOKENS,
    }


def _told(context: JobContext) -> Callable[[Results], None]:
    def on_news(news: Results) -> None:
        context.peak_memory_bytes = max(context.peak_memory_bytes, news["memory_bytes"])
        message = Text.model_validate(news["message"]) if news["message"] else None
        context.report(
            news["phase"],
            news["step"],
            news["total"],
            message=message,
            held_bytes=news["held_bytes"],
        )

    return on_news


@contextmanager
def _tidy(work: Path) -> Iterator[None]:
    """Leave nothing of a job that fails or is stopped; all of one that another worker goes on
    with."""
    work.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except JobRequeued:
        raise
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


@contextmanager
def _room(context: JobContext, pool: ModelPool, order: Order) -> Iterator[None]:
    """Memory set aside while the block runs. Raises StudioError MODEL_TOO_LARGE where there is
    never as much, QUANTIZE_OUT_OF_MEMORY where it was not enough, QUANTIZE_DISK_LOW."""
    check_disk(order)
    needed = memory_bytes(order, place(device() == "cuda", memory.sample()))
    try:
        with context.memory(pool, f"quantise {context.row.variant}", needed):
            yield
    except StudioError as error:
        if error.code is not Code.OUT_OF_MEMORY:
            raise
        loaded = ", ".join(model.key for model in pool.resident()) or "-"
        raise StudioError(
            Code.QUANTIZE_OUT_OF_MEMORY, error.info.detail, needed_bytes=needed, loaded=loaded
        ) from error


def _manifest(order: Order, made: Results, looked: Results) -> CheckpointManifest:
    request, source = order.request, order.source
    whole = sum(size for name, size in looked["files"].items() if name.endswith(".safetensors"))
    size = size_view(order.size)
    measured = {"whole_bytes": whole, "ratio_whole": size.source_bytes / whole}
    return CheckpointManifest(
        format=FORMAT,
        source=request.model,
        revision=source.revision,
        source_digest=source.digest,
        recipe=order.recipe.name,
        algorithm=order.recipe.algorithm,
        kv_cache=request.kv_cache,
        left_out=order.size.left_out,
        calibration=request.calibration,
        calibration_digest=made["calibration_digest"],
        evaluation_digest=made["evaluation_digest"],
        samples=made["samples"],
        length=request.length,
        batch=made["batch"],
        versions=made["versions"],
        device=made["device"],
        made_at=time.time(),
        phases=made["phases"] | looked["phases"],
        size=RecipeSize.model_validate(size.model_dump() | measured),
        estimated_bytes=order.size.whole,
        files=looked["files"],
        quality=Quality.model_validate(looked["quality"]),
        effective_bits=request.effective_bits,
        sensitivity=tuple(LayerSensitivity.model_validate(each) for each in made["sensitivity"]),
        layer_errors=tuple(
            LayerError(layer=layer, relative_error=error)
            for layer, error in looked["errors"].items()
        ),
        answers=Samples.model_validate(looked["answers"]),
        request=request,
    )


def _manifest_in(folder: Path) -> CheckpointManifest:
    return CheckpointManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))


def _result(manifest: CheckpointManifest, order: Order) -> Results:
    size = manifest.size
    checkpoint = Checkpoint(
        path=str(order.target),
        size_bytes=size.whole_bytes,
        source_size_bytes=size.source_bytes,
        ratio_whole=size.ratio_whole,
        ratio_quantised_layers=size.ratio_quantised_layers,
    )
    return QuantizeResult(checkpoint=checkpoint, quality=manifest.quality).model_dump(mode="json")
