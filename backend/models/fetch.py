"""Fetching what a model needs: what it would take, and the phase of a job that does it."""

from collections.abc import Sequence
from typing import Any

from backend.contracts import (
    EngineSource,
    FetchedRepo,
    FetchFile,
    FetchPlan,
    FetchRequest,
    FetchResult,
    RepoPlan,
)
from backend.engines.request import engine_request
from backend.errors import Code, ErrorInfo, StudioError
from backend.jobs.children import run_child
from backend.jobs.context import JobContext
from backend.language import Text, text
from backend.models.catalog import Entry, find_model
from backend.models.files import corrupted
from backend.models.hub import free_disk, make_plan
from backend.models.hub_errors import repo_page
from backend.models.needs import Need, needs_of
from backend.settings import Settings

PHASE = "fetch"


def needs_of_request(entry: Entry, request: FetchRequest) -> tuple[Need, ...]:
    """Raises StudioError NOTHING_TO_FETCH, PREEXPORTED_MISSING, INVALID_REQUEST."""
    if request.source is EngineSource.EXPORT and (request.precision or request.module):
        problem = "precision and module are those of ready ONNX; the model itself comes whole"
        raise StudioError(Code.INVALID_REQUEST, problem=problem)
    needs = needs_of(entry, request.source, request.precision, request.module)
    if not needs:
        raise StudioError(Code.NOTHING_TO_FETCH, model=entry.id)
    return needs


# ---- before ----------------------------------------------------------------------------------


def plan_needs(model: str, needs: Sequence[Need]) -> FetchPlan:
    """What fetching would take, and what is in its way. Asks the hub, and waits for it."""
    repos = tuple(_plan_repo(need) for need in needs)
    total, here = sum(repo.total_bytes for repo in repos), sum(repo.here_bytes for repo in repos)
    folder, free = free_disk(0)
    problem = next((repo.problem for repo in repos if repo.problem), None)
    return FetchPlan(
        model=model,
        repos=repos,
        total_bytes=total,
        here_bytes=here,
        missing_bytes=total - here,
        folder=str(folder),
        disk_free_bytes=free,
        problem=problem or _disk_problem(total - here),
    )


def _plan_repo(need: Need) -> RepoPlan:
    url = repo_page(need.repo)
    try:
        plan = make_plan(need.repo, layout=need.layout)
    except StudioError as error:
        return RepoPlan(repo=need.repo, url=url, problem=error.info)
    missing = {file.etag for file in plan.missing}
    return RepoPlan(
        repo=need.repo,
        url=url,
        commit=plan.commit,
        files=tuple(
            FetchFile(name=file.name, size_bytes=file.size_bytes, here=file.etag not in missing)
            for file in plan.files
        ),
        total_bytes=plan.total_bytes,
        here_bytes=plan.here_bytes,
        offline=plan.offline,
    )


def _disk_problem(missing_bytes: int) -> ErrorInfo | None:
    try:
        free_disk(missing_bytes)
    except StudioError as error:
        return error.info
    return None


# ---- the phase -------------------------------------------------------------------------------


def fetch_model(context: JobContext, settings: Settings) -> dict[str, Any]:
    """The phase of a job that only fetches: what is here is compared with the hub too."""
    request = FetchRequest.model_validate(context.row.request)
    entry = find_model(settings, request.model)
    return _fetch(context, settings, entry.id, needs_of_request(entry, request))


def fetch_what_lacks(
    context: JobContext, settings: Settings, entry: Entry, needs: Sequence[Need]
) -> dict[str, Any]:
    """The first phase of a job that works with a model; silent when all of it is here."""
    lacking = [need for need in needs if not need.is_here()]
    if not lacking:
        return FetchResult(model=entry.id, repos=()).model_dump(mode="json")
    return _fetch(context, settings, entry.id, lacking)


def fetch_for_engines(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Fetch what engines are built from, and say what that is."""
    request = engine_request(context.row)
    entry = find_model(settings, request.model)
    source = request.source or EngineSource.EXPORT
    needs = needs_of(entry, source, request.precision, request.module)
    if needs:
        context.report(PHASE, message=text(f"job.source_{source}", repo=needs[0].repo))
    return fetch_what_lacks(context, settings, entry, needs)


def _fetch(
    context: JobContext, settings: Settings, model: str, needs: Sequence[Need]
) -> dict[str, Any]:
    """Raises StudioError as the child does, and MODEL_FILES_CORRUPTED when what arrived does not
    make a model."""
    context.report(PHASE)

    def on_news(news: dict[str, Any]) -> None:
        progress = {
            "step": news["step"],
            "total": news["total"],
            "rate": news.get("speed_bytes", 0),
        }
        for plan in news.get("plans", ()):
            context.report(PHASE, message=_said(plan), **progress)
        for name in news.get("ended", ()):
            fetched = text("job.fetched", repo=news["repo"], name=name)
            context.report(PHASE, message=fetched, **progress)
        context.report(PHASE, **progress)

    arguments = {"needs": [need.as_data() for need in needs]}
    plans = run_child("backend.models.fetch_child", arguments, on_news, context.check)
    problem = find_model(settings, model).problem
    if problem:
        raise corrupted(model, problem)
    repos = tuple(
        FetchedRepo(
            **{name: plan[name] for name in ("repo", "commit", "folder", "files", "total_bytes")},
            fetched_bytes=plan["missing_bytes"],
            offline=plan["offline"],
        )
        for plan in plans
    )
    return FetchResult(model=model, repos=repos).model_dump(mode="json")


def _said(plan: dict[str, Any]) -> Text:
    values = {name: plan[name] for name in ("repo", "files", "missing_bytes", "total_bytes")}
    if plan["offline"]:
        return text("job.fetch_offline", repo=plan["repo"])
    return text("job.fetch_plan" if plan["missing_bytes"] else "job.fetch_nothing", **values)
