"""The public API's endpoint for quantising language models and picture models."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from backend.contracts import QuantizeImagesRequest, QuantizeRequest
from backend.errors import Code, StudioError
from ui.api.answers import valid
from ui.api.follow import Follow, News

if TYPE_CHECKING:
    from backend.studio import Studio


def quantize_endpoints(studio: "Studio", follow: Follow) -> tuple[Callable[..., News], ...]:
    def quantize(
        request: gr.Request,
        model: str,
        recipe: str = "nvfp4",
        kv_cache: str | None = None,
        leave_out: list[str] | None = None,
        calibration: str | None = None,
        samples: int | None = None,
        length: int | None = None,
        out: str | None = None,
        replace: bool = False,
        level: float | None = None,
        smoothquant_alpha: float | None = None,
        percentile: float | None = None,
        calibration_prompts: list[str] | None = None,
        calibration_steps: int | None = None,
        runtime: str | None = None,
        target: str | None = None,
        prompts: list[str] | None = None,
        count: int | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> News:
        """Quantise a model. A language model becomes a Hugging Face checkpoint, scored on text that
        it was not calibrated on; `kv_cache` to `replace` are its own, and `calibration` is
        `general` or `demo-chat`. A picture model becomes engines, whose pictures are compared with
        the reference's; `level` to `height` are its own."""
        both = {"model": model, "recipe": recipe, "samples": samples}
        of_language = {
            "kv_cache": kv_cache,
            "leave_out": tuple(leave_out) if leave_out else None,
            "calibration": calibration,
            "length": length,
            "out": out,
            "replace": replace or None,
        }
        of_pictures = {
            "level": level,
            "smoothquant_alpha": smoothquant_alpha,
            "percentile": percentile,
            "calibration": calibration_prompts,
            "calibration_steps": calibration_steps,
            "runtime": runtime,
            "target": target,
            "prompts": prompts,
            "count": count,
            "seed": seed,
            "steps": steps,
            "guidance": guidance,
            "width": width,
            "height": height,
        }

        def submit(owner: str) -> str:
            if not studio.quantize_images.knows(model):
                _refuse("a language model", of_pictures)
                language = valid(QuantizeRequest, _given(both | of_language))
                return studio.quantize.quantize(language, owner)
            _refuse("a picture model", of_language)
            values = _given(both | of_pictures)
            for name in ("calibration", "prompts"):
                if name in values:
                    content = "\n".join(map(str, values[name])).encode()
                    values[name] = studio.engines.keep_prompts(content, name)
            pictures = valid(QuantizeImagesRequest, values)
            return studio.quantize_images.quantize(pictures, owner)

        yield from follow(request, submit)

    return (quantize,)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _refuse(kind: str, values: dict[str, Any]) -> None:
    """Refuse what says nothing of this kind of model. Raises StudioError INVALID_REQUEST."""
    names = ", ".join(_given(values))
    if names:
        raise StudioError(Code.INVALID_REQUEST, problem=f"{kind} has no {names}")
