"""The job that paints the same pictures with several variants, one variant after another.

The first one's text encoders make the prompts' embeddings, from which all paint: so what differs
comes from denoiser and VAE alone.
"""

import logging
import time
from collections.abc import Iterable

import torch
from diffusers import DiffusionPipeline

from backend.compare.machine import this_gpu
from backend.compare.order import Place, loading_order, missing, picture_request
from backend.compare.pictures import Book
from backend.compare.score import Scorer
from backend.contracts import (
    ComparedPicture,
    ComparedState,
    ImageResult,
    Runtime,
)
from backend.errors import ErrorInfo, StudioError
from backend.hardware.gpu import energy_j
from backend.images.device import pick_device, synchronize
from backend.images.generate import Drawn, draw
from backend.images.own_memory import OwnMemory
from backend.images.png import save_png
from backend.images.prompt_cache import Embeddings
from backend.images.prompts import encode_prompt
from backend.images.resident import Resident, resident
from backend.jobs.context import JobCancelled, JobContext, JobRequeued
from backend.jobs.failures import explain
from backend.language import Text, text
from backend.models.catalog import find_model, variant_key
from backend.models.pool import ModelPool
from backend.settings import Settings


@torch.inference_mode()
def paint(context: JobContext, settings: Settings, pool: ModelPool) -> None:
    """Paint what the report of the job lacks. A variant that fails says why in its place.

    Raises the first one's StudioError when all fail; JobCancelled, JobRequeued.
    """
    book = Book(settings, context.row)
    book.try_again()
    work = _Comparison(context, settings, pool, book)
    try:
        for index in loading_order(book.report, {one.key for one in pool.resident()}):
            work.attend(index)
        book.score(work.scorer.finish(lambda done, total: context.check()))
    finally:
        work.scorer.close()
    if len(work.failed) == len(book.request.variants):
        first = work.failed[min(work.failed)]
        raise StudioError(first.code, first.detail, **first.values)


class _Comparison:
    def __init__(
        self, context: JobContext, settings: Settings, pool: ModelPool, book: Book
    ) -> None:
        self.context, self.settings, self.pool, self.book = context, settings, pool, book
        self.scorer = Scorer(book.folder)
        self.failed: dict[int, ErrorInfo] = {}
        self._entry = find_model(settings, book.request.model)
        self._gpu = this_gpu()
        self._shared: dict[int, Embeddings] = {}
        """By prompt, on the CPU, for the variants that come after the one that encoded."""
        self._encode_ms: dict[int, float] = {}
        """By prompt, until the variant that encoded has painted it."""

    def attend(self, index: int) -> None:
        """Have a variant paint what it lacks; its failure is its own."""
        book = self.book
        places = missing(book.report, index)
        if not places and not self._is_to_encode():
            book.change(index, state=ComparedState.DONE)
            return
        book.change(index, state=ComparedState.RUNNING)
        failed = None
        try:
            self._load_and_paint(index, places)
        except (JobCancelled, JobRequeued):
            book.change(index, state=ComparedState.WAITING)
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it is this variant's alone
            failed = explain(error)
        self._encode_ms.clear()
        if failed is None:
            book.change(index, state=ComparedState.DONE)
        else:
            self._fail(index, failed)

    def _is_to_encode(self) -> bool:
        """Whether the next variant makes the embeddings that others need, too."""
        return (
            self.book.request.share_embeddings and not self._shared and bool(self._wanted_prompts())
        )

    def _wanted_prompts(self) -> list[int]:
        """Those that any variant has still to paint."""
        report = self.book.report
        lacking = (missing(report, index) for index in range(len(report.variants)))
        return sorted({place.prompt for places in lacking for place in places})

    def _load_and_paint(self, index: int, places: list[Place]) -> None:
        book, request = self.book, self.book.request
        variant = book.variant(index)
        on_cpu = variant.runtime is Runtime.ONNXRUNTIME
        device = torch.device("cpu") if on_cpu else pick_device()
        key = variant_key(self._entry.id, variant.precision, variant.runtime)
        if device.type == "cpu":
            book.score(self.scorer.finish(lambda done, total: self.context.check()))
        if not request.keep_loaded:
            self._let_go_of_others(key)
        encodes = self._is_to_encode() or not request.share_embeddings
        loads: list[float] = []
        self.context.report("load", message=self._named("compare.variant", index))
        own = OwnMemory(device)
        with (
            own.watched(),
            resident(
                self.context,
                self.settings,
                self.pool,
                self._entry,
                variant.precision,
                variant.runtime,
                (request.width, request.height),
                device,
                loads.append,
                encodes,
            ) as held,
        ):
            prompts = self._wanted_prompts() if request.share_embeddings else _prompts(places)
            embeddings = self._encode(held, prompts, index) if encodes else self._shared
            pipeline = held.painter()
            book.change(index, load_s=sum(loads) if loads else None)
            self._paint_all(pipeline, held, index, places, embeddings)
            peak_bytes = own.peak_bytes()
        self.context.peak_memory_bytes = max(self.context.peak_memory_bytes, peak_bytes or 0)
        book.change(
            index,
            peak_memory_bytes=None if request.keep_loaded else peak_bytes,
            memory_kind="gpu" if device.type == "cuda" else "cpu",
        )

    def _encode(self, held: Resident, prompts: list[int], index: int) -> dict[int, Embeddings]:
        """Embeddings by prompt; kept for all others where they are shared.

        Raises the StudioError of the one whose embeddings there are pictures of already."""
        request, report = self.book.request, self.book.report
        encoder = report.encoded_by
        if request.share_embeddings and encoder not in (None, index) and report.pictures:
            first = self.failed[encoder]
            raise StudioError(first.code, first.detail, **first.values)
        told = {one.prompt for one in report.pictures if one.variant == index}
        pipeline = held.parts.encoders(held.heard)
        found: dict[int, Embeddings] = {}
        for number, prompt in enumerate(prompts):
            self.context.check()
            self.context.report("encode", number, len(prompts))
            synchronize(held.parts.device)
            started = time.perf_counter()
            encoded = encode_prompt(
                pipeline,
                request.prompts[prompt],
                request.negative_prompt,
                request.guidance,
                self._entry.limits.max_prompt_tokens,
            )
            synchronize(held.parts.device)
            if prompt not in told:
                self._encode_ms[prompt] = (time.perf_counter() - started) * 1000
            found[prompt] = {name: one.cpu() for name, one in encoded.items()}
        if request.share_embeddings:
            self._shared = found
            self.book.encoded_by(index)
        return found

    def _paint_all(
        self,
        pipeline: DiffusionPipeline,
        held: Resident,
        index: int,
        places: list[Place],
        embeddings: dict[int, Embeddings],
    ) -> None:
        device, steps = held.parts.device, self.book.request.steps
        dtype = getattr(pipeline, self._entry.family.denoiser).dtype
        counts = _Progress(self.context, self.book, steps)
        for number, place in enumerate(places):
            self.context.check()
            encoded = {n: one.to(device, dtype) for n, one in embeddings[place.prompt].items()}
            one = picture_request(self.book.request, place)
            synchronize(device)
            energy = self._energy(device)
            counts.begin()
            drawn = draw(pipeline, one, encoded, lambda _pipe, step, _latents: counts.tell(step))
            used = _difference(energy, self._energy(device))
            file = self.book.folder / place.file
            save_png(drawn.picture, file, one)
            self.book.add(self._picture(place, drawn, number > 0, used))
            if device.type == "cuda":
                self.scorer.begin(self.book.report)
                self.book.score(self.scorer.finished())
            width, height = drawn.picture.size
            image = ImageResult(path=str(file), seed=one.seed, width=width, height=height)
            counts.finish(image)

    def _picture(
        self, place: Place, drawn: Drawn, warm: bool, energy: float | None
    ) -> ComparedPicture:
        width, height = drawn.picture.size
        return ComparedPicture(
            variant=place.variant,
            prompt=place.prompt,
            seed=place.seed,
            file=place.file,
            width=width,
            height=height,
            warm=warm,
            total_s=drawn.denoise_s + drawn.decode_s,
            step_ms=drawn.denoise_s * 1000 / self.book.request.steps,
            decode_ms=drawn.decode_s * 1000,
            text_encode_ms=self._encode_ms.pop(place.prompt, None),
            energy_j=energy,
        )

    def _energy(self, device: torch.device) -> float | None:
        on_gpu = device.type == "cuda" and self._gpu is not None
        return energy_j(self._gpu) if on_gpu and self._gpu is not None else None

    def _let_go_of_others(self, key: str) -> None:
        for other in self.pool.resident():
            if other.key != key and not other.in_use:
                self.pool.unload(other.key)
        self.pool.collect()

    def _fail(self, index: int, error: ErrorInfo) -> None:
        """Say it in the variant's place, and give back what it held."""
        self.failed[index] = error
        variant = self.book.variant(index)
        key = variant_key(self._entry.id, variant.precision, variant.runtime)
        logging.getLogger(__name__).warning("%s failed: %s", key, error.detail or error.message())
        self.pool.unload(key)
        self.pool.collect()
        shown = error.model_copy(update={"detail": ""})
        self.book.change(index, state=ComparedState.FAILED, error=shown)
        reason = Text(key=f"error.{error.code}.message", values=error.values)
        message = self._named("compare.variant_failed", index, reason=reason)
        self.context.report("pictures", message=message)

    def _named(self, key: str, index: int, **values: Text) -> Text:
        variant = self.book.variant(index)
        name = f"{variant.precision}/{variant.runtime}"
        count = len(self.book.request.variants)
        return text(key, variant=name, index=index + 1, count=count, **values)


class _Progress:
    """Steps over all pictures of all variants; their rate is that of the variant at work."""

    def __init__(self, context: JobContext, book: Book, steps: int) -> None:
        request = book.request
        pictures = len(request.variants) * len(request.prompts) * len(request.seeds)
        self._context, self._steps, self._total = context, steps, pictures * steps
        self._done = len(book.report.pictures) * steps
        self._own, self._spent_s, self._begun_at = 0, 0.0, 0.0

    def begin(self) -> None:
        self._begun_at = time.perf_counter()
        self._context.report("pictures", self._done, self._total)

    def tell(self, step: int) -> None:
        """Raises JobCancelled, JobRequeued."""
        self._context.check()
        self._context.report(
            "pictures", self._done + step + 1, self._total, rate=self._rate(step + 1)
        )

    def finish(self, image: ImageResult) -> None:
        self._done += self._steps
        self._own += self._steps
        self._spent_s += time.perf_counter() - self._begun_at
        self._context.report("pictures", self._done, self._total, image=image)

    def _rate(self, steps: int) -> float:
        spent = self._spent_s + time.perf_counter() - self._begun_at
        return (self._own + steps) / spent


def _prompts(places: Iterable[Place]) -> list[int]:
    return sorted({place.prompt for place in places})


def _difference(before: float | None, after: float | None) -> float | None:
    """None as well where the counter did not move: the picture took less than one of its ticks."""
    if before is None or after is None or after <= before:
        return None
    return after - before
