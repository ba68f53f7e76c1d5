"""Blind votes: the document on a phone, and the owner's panel.

`/vote/...` needs no account, only a vote's code; `/studio/votes/...` is the owner's.
"""

import io
import re
from typing import TYPE_CHECKING, Any

import segno
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from backend.contracts import Poll, VoteQuestion, VoteResult
from backend.errors import Code, StudioError
from ui.access import new_visitor, page_owner, visitor_of, voter_named, voter_of
from ui.i18n import language_of, t
from ui.light_document import Page, light_document
from ui.parts.vote_names import polled_names, report_names

if TYPE_CHECKING:
    from backend.studio import Studio

VOTE_PAGE = Page("vote", ("tokens", "light", "poll", "vote"), ("vote.",))
ADDRESS = re.compile(r"https?://[\w.:\[\]-]{1,200}")
KEPT = {"cache-control": "private, max-age=86400, immutable", "x-content-type-options": "nosniff"}


class Choice(BaseModel):
    item: int
    option: int


class Opening(BaseModel):
    question: VoteQuestion
    variants: tuple[int, ...]
    early: bool = True


def vote_routes(studio: "Studio", stamp: str) -> APIRouter:
    router = APIRouter()
    _voting(router, studio, stamp)
    _owning(router, studio)
    return router


def result_view(poll: Poll, result: VoteResult | None, language: str) -> dict[str, Any] | None:
    if result is None:
        return None
    named = {"names": polled_names(poll, language), "reference": poll.reference}
    return result.model_dump(mode="json") | named


def _voting(router: APIRouter, studio: "Studio", stamp: str) -> None:
    def result_of(poll: Poll, voter: str, language: str) -> dict[str, Any] | None:
        return result_view(poll, studio.votes.result_for(poll.code, voter), language)

    def ballot(code: str, voter: str, language: str) -> dict[str, Any]:
        """All that the document draws at first."""
        poll = studio.votes.poll(code)
        items = studio.votes.items(code, voter)
        drawn = [item.model_dump() for item in items]
        if not poll.pictures:
            for item in drawn:
                numbers = range(item["options"])
                told = [studio.votes.option(code, voter, item["item"], n) for n in numbers]
                item["answers"] = told
        return {
            "code": poll.code,
            "question": poll.question,
            "pictures": poll.pictures,
            "open": poll.open,
            "early": poll.early,
            "mark": studio.votes.mark(code, voter),
            "items": drawn,
            "result": result_of(poll, voter, language),
        }

    @router.get("/vote")
    @router.get("/vote/{code}")
    def read_document(request: Request, code: str = "") -> Response:
        language, visitor = language_of(request), visitor_of(request.cookies) or new_visitor()
        status = 200
        try:
            data = ballot(code, voter_named(request, visitor), language) if code else {}
        except StudioError as error:
            said = {"message": error.info.message(language), "hint": error.info.hint(language)}
            data, status = {"problem": said | {"code": error.code}}, 404
        title = t("vote.title", language)
        return light_document(request, VOTE_PAGE, stamp, title, data, visitor, status)

    @router.get("/vote/{code}/picture/{item}/{option}")
    def read_picture(request: Request, code: str, item: int, option: int) -> Response:
        picture = studio.votes.option(code, voter_of(request), item, option)
        if isinstance(picture, str):
            raise StudioError(Code.VOTE_INVALID)
        return Response(picture, media_type="image/png", headers=KEPT)

    @router.get("/vote/{code}/result")
    def read_result(request: Request, code: str) -> dict[str, Any]:
        poll = studio.votes.poll(code)
        result = result_of(poll, voter_of(request), language_of(request))
        return {"open": poll.open, "result": result}

    @router.post("/vote/{code}")
    def vote(request: Request, code: str, choice: Choice) -> dict[str, Any]:
        voter = voter_of(request)
        studio.votes.vote(code, voter, choice.item, choice.option)
        poll = studio.votes.poll(code)
        return {"result": result_of(poll, voter, language_of(request))}


def _owning(router: APIRouter, studio: "Studio") -> None:
    def all_polls(request: Request, report: str) -> dict[str, Any]:
        owner, language = page_owner(request), language_of(request)
        return {
            "polls": [
                poll.model_dump(mode="json")
                | {"result": result_view(poll, studio.votes.result(poll.code, owner), language)}
                for poll in studio.votes.polls(report, owner)
            ]
        }

    @router.get("/studio/votes/qr")
    def read_qr(request: Request, address: str, code: str) -> Response:
        """The QR code (ISO/IEC 18004) of a vote's link, dark on light in any theme."""
        page_owner(request)
        poll = studio.votes.poll(code)
        if not ADDRESS.fullmatch(address):
            raise StudioError(Code.INVALID_REQUEST, problem="address")
        drawing = io.BytesIO()
        link = segno.make(f"{address}/vote/{poll.code}", error="m", micro=False)
        link.save(drawing, kind="svg", border=3, light="white", omitsize=True)
        return Response(drawing.getvalue(), media_type="image/svg+xml", headers=KEPT)

    @router.get("/studio/votes/{report}")
    def read_polls(request: Request, report: str) -> dict[str, Any]:
        return all_polls(request, report)

    @router.get("/studio/votes/{report}/variants")
    def read_variants(request: Request, report: str) -> list[str]:
        shown = studio.compare.show(report, page_owner(request))
        return report_names(shown, language_of(request))

    @router.post("/studio/votes/{report}")
    def open_poll(request: Request, report: str, opening: Opening) -> dict[str, str]:
        owner = page_owner(request)
        asked = opening.question, opening.variants
        return {"code": studio.votes.open(report, *asked, owner, early=opening.early)}

    @router.post("/studio/votes/{code}/{action}")
    def act(request: Request, code: str, action: str) -> dict[str, str]:
        actions = {
            "close": studio.votes.close,
            "reset": studio.votes.reset,
            "delete": studio.votes.delete,
        }
        if action not in actions:
            raise StudioError(Code.INVALID_REQUEST, problem=action[:40])
        actions[action](code, page_owner(request))
        return {"code": code}
