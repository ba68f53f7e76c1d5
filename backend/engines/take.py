"""The export phase of engines whose ONNX is there already."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.contracts import EngineProfile, EngineRequest
from backend.engines.plan import ModuleBuild
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.language import text
from backend.models import preexported
from backend.models.catalog import Entry
from backend.models.hub_cache import snapshot_of


def take_preexported(
    context: JobContext,
    entry: Entry,
    request: EngineRequest,
    profile: EngineProfile,
    missing: Sequence[ModuleBuild],
    work: Path,
) -> list[Any]:
    """What `prepare` tells of exports of our own, of the ONNX files that were fetched."""
    repo = preexported.REPOS[entry.id]

    def on_news(news: dict[str, Any]) -> None:
        module = news.get("module")
        message = text("job.taking_onnx", module=module, repo=repo) if module else None
        context.report("export", news["step"], news["total"], message=message)

    arguments = {
        "folder": str(snapshot_of(repo)),
        "repo": repo,
        "precision": str(request.precision),
        "modules": [one.key.module for one in missing],
        "profile": profile.model_dump(),
        "max_prompt_tokens": entry.limits.max_prompt_tokens,
        "work": str(work),
    }
    found: list[Any] = run_child("backend.engines.preexported", arguments, on_news, context.check)
    return found
