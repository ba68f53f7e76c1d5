"""The page's private routes for downloads: what one would take, and the button that starts it."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from backend.contracts import EngineRequest, FetchRequest
from backend.errors import ErrorInfo
from ui.access import page_owner
from ui.i18n import language_of

if TYPE_CHECKING:
    from backend.studio import Studio


def fetch_routes(studio: "Studio") -> APIRouter:
    router = APIRouter(prefix="/studio")

    @router.post("/fetch")
    def fetch(request: Request, body: FetchRequest) -> dict[str, str]:
        return {"job": studio.models.fetch(body, page_owner(request))}

    @router.post("/fetch/plan")
    def plan_fetch(request: Request, body: FetchRequest) -> dict[str, Any]:
        return plan_data(request, studio, body)

    @router.post("/fetch/plan/engine")
    def plan_engine(request: Request, body: EngineRequest) -> dict[str, Any]:
        return plan_data(request, studio, body)

    return router


def plan_data(
    request: Request, studio: "Studio", asked: FetchRequest | EngineRequest
) -> dict[str, Any]:
    """What a download would take; problems in the reader's language, without their details."""
    page_owner(request)
    plan = studio.models.plan_fetch(asked)
    language = language_of(request)
    data = plan.model_dump(mode="json")
    data["problem"] = _problem(plan.problem, language)
    for repo, shown in zip(plan.repos, data["repos"], strict=True):
        shown["problem"] = _problem(repo.problem, language)
    return data


def _problem(error: ErrorInfo | None, language: str) -> dict[str, str] | None:
    if error is None:
        return None
    return {
        "code": str(error.code),
        "message": error.message(language),
        "hint": error.hint(language),
    }
