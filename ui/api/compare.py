"""The public API's endpoint that compares variants of a picture model."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import gradio as gr

from backend.contracts import CompareRequest, JobState
from ui.access import owner_of
from ui.api.answers import told, valid
from ui.api.follow import Follow, News

if TYPE_CHECKING:
    from backend.studio import Studio


def compare_endpoints(studio: "Studio", follow: Follow) -> tuple[Callable[..., News], ...]:
    def compare(
        request: gr.Request,
        precisions: list[str],
        prompts: list[str],
        model: str = "demo-flux",
        seeds: list[int] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        width: int | None = None,
        height: int | None = None,
        negative_prompt: str = "",
        share_embeddings: bool = True,
        keep_loaded: bool = False,
    ) -> News:
        """Paint the same pictures with two to six variants, each like `fp8` (the first that is
        ready) or `fp8/onnxruntime`; the first is the reference. Yields the job as it proceeds; the
        last one has `rows`, a variant's figures each, and the `report`."""
        given = {
            "model": model,
            "prompts": tuple(prompts),
            "seeds": None if seeds is None else tuple(seeds),
            "steps": steps,
            "guidance": guidance,
            "width": width,
            "height": height,
            "negative_prompt": negative_prompt,
            "share_embeddings": share_embeddings,
            "keep_loaded": keep_loaded,
        }

        def submit(owner: str) -> str:
            return studio.compare.compare(_complete(studio, precisions, given), owner)

        yield from with_report(studio, request, follow(request, submit), studio.compare.rows)

    return (compare,)


def with_report(
    studio: "Studio", request: gr.Request, jobs: News, rows: Callable[[Any], Iterable[Any]]
) -> News:
    """The last one of a comparison's news with its report and `rows` of that."""
    for job in jobs:
        if job["state"] != JobState.SUCCEEDED:
            yield job
            continue
        with told():
            report = studio.compare.show(job["job_id"], owner_of(request))
        yield job | {"rows": list(rows(report)), "report": report.model_dump(mode="json")}


def _complete(studio: "Studio", precisions: list[str], given: dict[str, Any]) -> CompareRequest:
    """The request with everything that was left out (None) filled in from the model."""
    limits = studio.models.find(given["model"]).limits
    usual = {
        "steps": limits.default_steps,
        "guidance": limits.default_guidance,
        "width": limits.native_width,
        "height": limits.native_height,
    }
    told = {name: value for name, value in given.items() if value is not None}
    variants = studio.compare.variants(map(str, precisions), given["model"])
    return valid(CompareRequest, usual | told | {"variants": variants})
