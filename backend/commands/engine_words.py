"""Engines as the command line tells of them."""

from collections.abc import Iterable
from typing import Any

from backend.contracts import Engine
from backend.language import human_bytes, human_seconds

FIELDS = {
    "id", "model", "module", "edition", "version", "target", "precision", "runtime", "size_bytes",
    "build_s", "layer_count", "profile", "shapes", "relative_error", "validated", "source",
    "onnx_source",
}  # fmt: skip


def as_data(engine: Engine) -> dict[str, Any]:
    made = engine.manifest
    return made.model_dump(mode="json", include=FIELDS) | {
        "check": made.check and made.check.render(),
        "validation": made.validation and made.validation.render(),
        "state": engine.state,
        "reason": engine.reason.render(),
    }


def rows_of(engines: Iterable[Engine]) -> list[tuple[str, ...]]:
    return [
        (
            engine.manifest.id,
            engine.state,
            human_bytes(engine.manifest.size_bytes),
            human_seconds(engine.manifest.build_s),
            engine.manifest.source,
            engine.reason.render(),
        )
        for engine in engines
    ]
