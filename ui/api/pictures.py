"""The public API's endpoints that make pictures, and fetch what they are made with."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from backend.contracts import (
    FetchRequest,
    GenerateRequest,
    Precision,
    Runtime,
    Variant,
    VariantState,
)
from backend.studio import random_seed
from ui.api.answers import valid
from ui.api.follow import Follow, News

if TYPE_CHECKING:
    from backend.studio import Studio


def picture_endpoints(studio: "Studio", follow: Follow) -> tuple[Callable[..., News], ...]:
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
    ) -> News:
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
        yield from follow(
            request,
            lambda owner: studio.pictures.generate(_complete_request(studio, given), owner),
        )

    def fetch(
        request: gr.Request, model: str, source: str = "export", precision: str | None = None
    ) -> News:
        """Download a model from the Hugging Face hub, or its pre-exported ONNX. Yields the job as
        it proceeds, its steps being bytes; what is here already is kept."""
        given = {"model": model, "source": source, "precision": precision}
        yield from follow(
            request, lambda owner: studio.models.fetch(valid(FetchRequest, given), owner)
        )

    return generate, fetch


def _complete_request(studio: "Studio", given: dict[str, Any]) -> GenerateRequest:
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
    return valid(
        GenerateRequest,
        chosen | {name: value for name, value in given.items() if value is not None},
    )


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
