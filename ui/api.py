"""The public API: typed functions for `gradio_client` and plain HTTP, in English.

An error reaches the client as `CODE: message hint`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import gradio as gr
from gradio.events import api
from pydantic import ValidationError

from backend.contracts import (
    Contract,
    EngineRequest,
    FetchRequest,
    GenerateRequest,
    GenerateResult,
    JobSnapshot,
    JobState,
    Precision,
    Runtime,
    Text,
    Variant,
    VariantState,
)
from backend.errors import Code, ErrorInfo, StudioError
from backend.studio import random_seed
from ui.access import FileKeys, http_request, owner_of
from ui.files import file_address
from ui.onnx_api import onnx_endpoints

if TYPE_CHECKING:
    from backend.studio import Studio

NEWS_EVERY_S = 0.5
WAITING_CALLS = 16
R = TypeVar("R", bound=Contract)


def public_api(studio: "Studio", keys: FileKeys) -> None:
    """Add the API's endpoints to the current Blocks; they are all that its schema shows."""
    _long_endpoints(studio, keys)
    _job_endpoints(studio, keys)
    _machine_endpoints(studio)


def _long_endpoints(studio: "Studio", keys: FileKeys) -> None:
    """Those that follow a job to its end."""

    def generate(
        request: gr.Request,
        prompt: str,
        model: str = "demo-flux",
        precision: str | None = None,
        runtime: str | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        width: int | None = None,
        height: int | None = None,
        count: int = 1,
        negative_prompt: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Make pictures. Yields the job as it proceeds; the last one has the pictures.

        What is left out is chosen: the first variant that is ready, a random seed, and the
        model's own steps, guidance and size.
        """
        given = {
            "model": model,
            "precision": precision,
            "runtime": runtime,
            "prompt": prompt,
            "seed": seed,
            "steps": steps,
            "guidance": guidance,
            "width": width,
            "height": height,
            "count": count,
            "negative_prompt": negative_prompt,
        }
        with _told():
            asked = complete_request(studio, given)
            yield from _followed(request, lambda owner: studio.pictures.generate(asked, owner))

    def build_engine(
        request: gr.Request,
        model: str = "demo-flux",
        precision: str = "fp32",
        runtime: str = "tensorrt",
        module: str | None = None,
        target: str | None = None,
        min_side: int | None = None,
        max_side: int | None = None,
        opt_width: int | None = None,
        opt_height: int | None = None,
        batch: int | None = None,
        static: bool = False,
        optimization_level: int = 3,
        workspace_bytes: int | None = None,
        weight_streaming: bool = False,
        refit: bool = False,
        level: float | None = None,
        alpha: float | None = None,
        percentile: float | None = None,
        calibration_prompts: int | None = None,
        calibration_steps: int | None = None,
        prompts: str | None = None,
        source: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Build engines. Yields the job as it proceeds; those there already are kept.

        Sizes are pixels of a picture's sides; what is left out is what the model takes. `prompts`
        are those to calibrate with, one a line.
        """
        with _told():
            given = {
                "model": model,
                "precision": precision,
                "runtime": runtime,
                "module": module,
                "target": target,
                "source": source,
                "profile": studio.engines.profile(
                    model,
                    min_side=min_side,
                    max_side=max_side,
                    opt_width=opt_width,
                    opt_height=opt_height,
                    batch=batch,
                    static=static,
                ),
                "optimization_level": optimization_level,
                "workspace_bytes": workspace_bytes,
                "weight_streaming": weight_streaming,
                "refit": refit,
                "level": level,
                "smoothquant_alpha": alpha,
                "percentile": percentile,
                "calibration_prompts": calibration_prompts,
                "calibration_steps": calibration_steps,
                "prompts": studio.engines.keep_prompts(
                    prompts.encode("utf-8", "surrogatepass"), "prompts"
                )
                if prompts
                else None,
            }
            asked = _valid(EngineRequest, given)
            yield from _followed(request, lambda owner: studio.engines.build(asked, owner))

    def fetch(
        request: gr.Request, model: str, source: str = "export", precision: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Download a model from the Hugging Face hub, or its pre-exported ONNX. Yields the job as
        it proceeds, its steps being bytes; what is here already is kept."""
        given = {"model": model, "source": source, "precision": precision}
        with _told():
            yield from _followed(
                request, lambda owner: studio.models.fetch(_valid(FetchRequest, given), owner)
            )

    def _followed(request: gr.Request, submit: Callable[[str], str]) -> Iterator[dict[str, Any]]:
        owner = owner_of(request)
        job_id = submit(owner)
        while (job := studio.jobs.wait(job_id, owner, NEWS_EVERY_S)).state.is_live:
            yield job_data(job, keys, request)
        if job.state != JobState.SUCCEEDED:
            raise UnfinishedError(job)
        yield job_data(job, keys, request)

    def follow(
        request: gr.Request,
        kind: type[R],
        given: dict[str, Any],
        submit: Callable[[R, str], str],
    ) -> Iterator[dict[str, Any]]:
        with _told():
            yield from _followed(request, lambda owner: submit(_valid(kind, given), owner))

    endpoints: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
        "generate": generate,
        "build_engine": build_engine,
        "fetch": fetch,
        **onnx_endpoints(studio, follow),
    }
    for name, followed in endpoints.items():
        followed.__annotations__["return"] = dict[str, Any]  # of each yield, for the schema
        api(followed, api_name=name, concurrency_limit=WAITING_CALLS)


def _job_endpoints(studio: "Studio", keys: FileKeys) -> None:
    def jobs(request: gr.Request, search: str = "", limit: int = 30) -> list[dict[str, Any]]:
        """One's own jobs, newest first, whose prompt contains `search`."""
        with _told():
            page = studio.jobs.history(owner_of(request), search, limit=min(max(limit, 1), 500))
            return [job_data(job, keys, request) for job in page.jobs]

    def job(request: gr.Request, job_id: str) -> dict[str, Any]:
        """One job as it stands now."""
        with _told():
            return job_data(studio.jobs.get(job_id, owner_of(request)), keys, request)

    def cancel(request: gr.Request, job_id: str) -> dict[str, Any]:
        """Stop a job that waits or runs."""
        with _told():
            owner = owner_of(request)
            studio.jobs.cancel(job_id, owner)
            return job_data(studio.jobs.wait(job_id, owner, 2 * NEWS_EVERY_S), keys, request)

    for function in (jobs, job, cancel):
        api(function, api_name=function.__name__, queue=False)


def _machine_endpoints(studio: "Studio") -> None:
    def models() -> list[dict[str, Any]]:
        """Every model, its limits, and where each of its variants stands on this machine."""
        with _told():
            return [
                each.model_dump(mode="json") | {"variants": [_variant(v) for v in each.variants]}
                for each in studio.models.all()
            ]

    def memory() -> list[dict[str, Any]]:
        """The memory of each worker's device in bytes, and the models that it holds."""
        with _told():
            return [
                worker.model_dump(
                    mode="json",
                    include={"name", "device", "alive", "budget_bytes", "memory", "resident"},
                )
                for worker in studio.machine.status().workers
            ]

    def engines() -> list[dict[str, Any]]:
        """Every engine, what made it, and where it stands on this machine."""
        with _told():
            return [
                engine.manifest.model_dump(mode="json")
                | {
                    "check": engine.manifest.check and engine.manifest.check.render(),
                    "validation": engine.manifest.validation
                    and engine.manifest.validation.render(),
                    "state": str(engine.state),
                    "reason": engine.reason.render(),
                }
                for engine in studio.engines.all()
            ]

    for function in (models, engines, memory):
        api(function, api_name=function.__name__, queue=False)


class UnfinishedError(StudioError):
    """A job that came to no good end."""

    def __init__(self, job: JobSnapshot) -> None:
        stopped = ErrorInfo(code=Code.JOB_STOPPED, values={"state": Text(key=f"state.{job.state}")})
        info = job.error or stopped
        super().__init__(info.code, info.detail, **info.values)


@contextmanager
def _told() -> Iterator[None]:
    """Tell the client of a StudioError, instead of Gradio's bare `Error`."""
    try:
        yield
    except StudioError as error:
        info = error.info
        text = f"{info.code}: {info.message()} {info.hint()}"
        raise gr.Error(text, print_exception=False) from error


def complete_request(studio: "Studio", given: dict[str, Any]) -> GenerateRequest:
    """The request with everything that was left out (None) filled in from the model."""
    model = studio.models.find(given["model"])
    limits = model.limits
    variant = _first_ready(model.variants, given["precision"], given["runtime"])
    chosen = {
        "precision": variant.precision if variant else Precision.FP32,
        "runtime": variant.runtime if variant else Runtime.TORCH,
        "seed": random_seed(),
        "steps": limits.default_steps,
        "guidance": limits.default_guidance,
        "width": limits.native_width,
        "height": limits.native_height,
    }
    return _valid(
        GenerateRequest,
        chosen | {name: value for name, value in given.items() if value is not None},
    )


def _valid(kind: type[R], values: dict[str, Any]) -> R:
    """Raises StudioError INVALID_REQUEST."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise StudioError(Code.INVALID_REQUEST, problem=problem) from error


def _first_ready(
    variants: tuple[Variant, ...], precision: str | None, runtime: str | None
) -> Variant | None:
    for variant in variants:
        if (
            variant.state == VariantState.READY
            and precision in (None, variant.precision)
            and runtime in (None, variant.runtime)
        ):
            return variant
    return None


def job_data(job: JobSnapshot, keys: FileKeys, request: gr.Request) -> dict[str, Any]:
    """A job as the API tells of it.

    `file` is a picture's place on the server; were it called `path`, `gradio_client` would put a
    download of its own in place of the whole entry. `url` can be fetched without a cookie.
    """
    result = GenerateResult.model_validate(job.result) if job.result and job.images else None
    base = str(http_request(request).base_url).rstrip("/")
    return {
        "job_id": job.id,
        "kind": str(job.kind),
        "state": str(job.state),
        "phase": job.phase,
        "step": job.step,
        "total": job.total,
        "position": job.position,
        "wait_s": job.wait_s,
        "eta_s": job.eta_s,
        "created_at": job.created_at,
        "variant": job.variant,
        "request": job.request,
        "images": [
            {
                "file": image.path,
                "url": f"{base}{file_address(job, image)}"
                f"?key={keys.sign(job.id, Path(image.path).name)}",
                "seed": image.seed,
                "width": image.width,
                "height": image.height,
            }
            for image in job.images
        ],
        "metrics": result.metrics.model_dump(mode="json") if result else None,
        "result": None if result else job.result,
        "error": _error(job.error),
    }


def _error(error: ErrorInfo | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"code": str(error.code), "message": error.message(), "hint": error.hint()}


def _variant(variant: Variant) -> dict[str, Any]:
    return variant.model_dump(mode="json") | {"reason": variant.reason.render()}
