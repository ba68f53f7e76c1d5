"""`fetch`: bring a model onto this machine."""

from typing import Annotated, Any

import typer

from backend.commands.output import answer, error_data, failing_plainly, table
from backend.commands.pictures import Json
from backend.commands.session import follow, with_worker
from backend.contracts import EngineSource, FetchPlan, FetchRequest, FetchResult, Precision
from backend.language import human_bytes
from backend.settings import load_settings
from backend.studio import Studio


def fetch(
    model: Annotated[str, typer.Option(help="As `spark-studio models` names it.")],
    source: Annotated[
        EngineSource,
        typer.Option(help="export: the model itself; preexported: ready ONNX for engines."),
    ] = EngineSource.EXPORT,
    precision: Annotated[Precision | None, typer.Option(help="Of the ready ONNX.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would take.")] = False,
    as_json: Json = False,
) -> None:
    """Download a model from the Hugging Face hub. What is here already is kept; an interrupted
    download goes on where it stopped."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        request = FetchRequest(model=model, source=source, precision=precision)
        if plan:
            found = studio.models.plan_fetch(request)
            answer(as_json, {"plan": _as_data(found)}, _in_words(found))
            return
        with with_worker(studio):
            job = follow(studio, studio.models.fetch(request, None))
        result = FetchResult.model_validate(job.result)
        rows = [
            (repo.repo, human_bytes(repo.fetched_bytes), f"{repo.files} files", repo.folder)
            for repo in result.repos
        ]
        answer(as_json, {"job": job.id, "fetched": result.model_dump(mode="json")}, table(rows))


def _as_data(plan: FetchPlan) -> dict[str, Any]:
    data = plan.model_dump(mode="json")
    data["problem"] = plan.problem and error_data(plan.problem)
    for repo, shown in zip(plan.repos, data["repos"], strict=True):
        shown["problem"] = repo.problem and error_data(repo.problem)
    return data


def _in_words(plan: FetchPlan) -> str:
    rows = [
        (repo.repo, human_bytes(repo.total_bytes), f"{human_bytes(repo.here_bytes)} here")
        if repo.problem is None
        else (repo.repo, repo.problem.message(), repo.problem.hint())
        for repo in plan.repos
    ]
    words = (
        f"{table(rows)}\nTo fetch: {human_bytes(plan.missing_bytes)}; "
        f"free in {plan.folder}: {human_bytes(plan.disk_free_bytes)}."
    )
    if plan.problem is None:
        return words
    return f"{words}\n{plan.problem.code}: {plan.problem.message()}\n{plan.problem.hint()}"
