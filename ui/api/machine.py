"""The public API's endpoints about what there is: models, engines, memory."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backend.contracts import Engine, Model
from ui.api.answers import told

if TYPE_CHECKING:
    from backend.studio import Studio


def machine_endpoints(studio: "Studio") -> tuple[Callable[..., Any], ...]:
    def models() -> list[dict[str, Any]]:
        """Every model, its limits, and where each of its variants stands on this machine."""
        with told():
            return [_model(model) for model in studio.models.all()]

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


def _model(model: Model) -> dict[str, Any]:
    variants = [
        variant.model_dump(mode="json") | {"reason": variant.reason.render()}
        for variant in model.variants
    ]
    return model.model_dump(mode="json") | {"variants": variants}


def _engine(engine: Engine) -> dict[str, Any]:
    made = engine.manifest
    return made.model_dump(mode="json") | {
        "check": made.check and made.check.render(),
        "validation": made.validation and made.validation.render(),
        "state": str(engine.state),
        "reason": engine.reason.render(),
    }
