"""The public API's endpoint for quantising language models."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr

from backend.contracts import QuantizeRequest
from ui.api.answers import valid
from ui.api.follow import Follow, News

if TYPE_CHECKING:
    from backend.studio import Studio


def quantize_endpoints(studio: "Studio", follow: Follow) -> tuple[Callable[..., News], ...]:
    def quantize(
        request: gr.Request,
        model: str,
        recipe: str = "nvfp4",
        kv_cache: str = "none",
        leave_out: list[str] | None = None,
        calibration: str = "general",
        samples: int = 128,
        length: int = 512,
        out: str | None = None,
        replace: bool = False,
    ) -> News:
        """Quantise a language model to a Hugging Face checkpoint, scored on text that it was not
        calibrated on. `calibration` is `general` or `demo-chat`."""
        values = {
            "model": model,
            "recipe": recipe,
            "kv_cache": kv_cache,
            "leave_out": tuple(leave_out or ()),
            "calibration": calibration,
            "samples": samples,
            "length": length,
            "out": out,
            "replace": replace,
        }
        yield from follow(
            request, lambda owner: studio.quantize.quantize(valid(QuantizeRequest, values), owner)
        )

    return (quantize,)
