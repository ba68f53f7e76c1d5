"""The public API's endpoint that builds engines of models."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr

from backend.contracts import EngineRequest
from ui.api.answers import valid
from ui.api.follow import Follow, News

if TYPE_CHECKING:
    from backend.studio import Studio


def engine_endpoints(studio: "Studio", follow: Follow) -> tuple[Callable[..., News], ...]:
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
    ) -> News:
        """Build engines. Yields the job as it proceeds; those there already are kept.

        Sizes are pixels of a picture's sides; what is left out is what the model takes. `prompts`
        are those to calibrate with, one a line.
        """
        sizes = {
            "min_side": min_side,
            "max_side": max_side,
            "opt_width": opt_width,
            "opt_height": opt_height,
            "batch": batch,
            "static": static,
        }
        given = {
            "model": model,
            "precision": precision,
            "runtime": runtime,
            "module": module,
            "target": target,
            "source": source,
            "optimization_level": optimization_level,
            "workspace_bytes": workspace_bytes,
            "weight_streaming": weight_streaming,
            "refit": refit,
            "level": level,
            "smoothquant_alpha": alpha,
            "percentile": percentile,
            "calibration_prompts": calibration_prompts,
            "calibration_steps": calibration_steps,
        }

        def submit(owner: str) -> str:
            made = {
                "profile": studio.engines.profile(model, **sizes),
                "prompts": _kept(studio, prompts),
            }
            return studio.engines.build(valid(EngineRequest, given | made), owner)

        yield from follow(request, submit)

    return (build_engine,)


def _kept(studio: "Studio", prompts: str | None) -> str | None:
    """Raises StudioError PROMPTS_UNREADABLE."""
    if not prompts:
        return None
    return studio.engines.keep_prompts(prompts.encode("utf-8", "surrogatepass"), "prompts")
