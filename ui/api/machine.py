"""The public API's endpoints about what there is: models, engines, memory."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from backend.contracts import Engine, Model
from ui.access import by_visitor, http_request
from ui.api.answers import told

if TYPE_CHECKING:
    from backend.studio import Studio


def machine_endpoints(studio: "Studio") -> tuple[Callable[..., Any], ...]:
    def models(request: gr.Request) -> list[dict[str, Any]]:
        """Every model, its limits, and where each of its variants stands on this machine."""
        with told():
            visitor = by_visitor(http_request(request))
            return [_model(model, visitor) for model in studio.models.all()]

    def memory() -> list[dict[str, Any]]:
        """The memory of each worker's device in bytes, and the models that it holds."""
        told_of = {"name", "device", "alive", "budget_bytes", "memory", "resident"}
        with told():
            workers = studio.machine.status().workers
            return [worker.model_dump(mode="json", include=told_of) for worker in workers]

    def engines() -> list[dict[str, Any]]:
        """Every engine, what made it, and where it stands on this machine."""
        with told():
            return [_engine(engine) for engine in studio.engines.all()]

    return models, engines, memory


def _model(model: Model, visitor: bool) -> dict[str, Any]:
    """A visitor is told no folder."""
    variants = [
        variant.model_dump(mode="json") | {"reason": variant.reason.render()}
        for variant in model.variants
    ]
    folder = Path(model.source).is_absolute()
    source = model.id if visitor and folder else model.source
    return model.model_dump(mode="json") | {"source": source, "variants": variants}


def _engine(engine: Engine) -> dict[str, Any]:
    made = engine.manifest
    return made.model_dump(mode="json") | {
        "check": made.check and made.check.render(),
        "validation": made.validation and made.validation.render(),
        "state": str(engine.state),
        "reason": engine.reason.render(),
    }
