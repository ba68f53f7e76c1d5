"""What is needed from the hub for a model, and what of it is not here yet."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from backend.contracts import EngineSource, Precision
from backend.errors import Code, StudioError
from backend.models import layouts, preexported
from backend.models.catalog import Entry
from backend.models.hub_cache import lacking
from backend.models.layouts import Layout

PIPELINE, SETTINGS, ONNX = "pipeline", "settings", "onnx"


class Need(BaseModel):
    """Some files of one repository, as the child that fetches them is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo: str
    what: str
    """`pipeline`, `settings` or `onnx`."""
    precision: Precision | None = None
    module: str | None = None

    @property
    def layout(self) -> Layout:
        if self.what == ONNX:
            assert self.precision is not None
            return preexported.layout(self.precision, self.module)
        return layouts.PIPELINE if self.what == PIPELINE else layouts.SETTINGS

    def is_here(self) -> bool:
        """Whether the cache holds all of it; the hub is not asked for news."""
        return not lacking(self.repo, self.layout)

    def as_data(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def needs_of(
    entry: Entry,
    source: EngineSource,
    precision: Precision | None = None,
    module: str | None = None,
) -> tuple[Need, ...]:
    """What running or building a model needs from the hub; nothing for a model of a folder.

    Pre-exported ONNX comes from a repository of its own, and of the model only what runs around
    engines. Raises StudioError PREEXPORTED_MISSING, INVALID_REQUEST.
    """
    if not entry.repo:
        return ()
    if source is EngineSource.EXPORT:
        return (Need(repo=entry.repo, what=PIPELINE),)
    if precision is None or not preexported.exists_for(entry.id, precision):
        raise StudioError(
            Code.PREEXPORTED_MISSING, model=entry.id, precision=str(precision or "any precision")
        )
    if module is not None and module not in preexported.MODULES:
        problem = f"a module is one of {', '.join(preexported.MODULES)}"
        raise StudioError(Code.INVALID_REQUEST, problem=problem)
    onnx = Need(repo=preexported.REPOS[entry.id], what=ONNX, precision=precision, module=module)
    return (onnx, Need(repo=entry.repo, what=SETTINGS))
