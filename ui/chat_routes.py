"""The private routes of the Chat tab."""

import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from backend.errors import Code, StudioError
from backend.studio import is_guest
from ui.access import page_owner
from ui.chat_sides import Asking, Outside, settled, side_of, whole, with_twin
from ui.chat_stream import answer_events
from ui.i18n import language_of
from ui.parts.chat_frame import chat_frame
from ui.parts.chat_list import conversation_list
from ui.parts.chat_picker import meter, pickers

if TYPE_CHECKING:
    from backend.studio import Studio

MAX_BODY_BYTES = 64 * 1024**2
MEDIA = {"md": "text/markdown", "json": "application/json"}


class Saying(Asking):
    text: str
    images: tuple[str, ...] = ()
    instead_of: str | None = None


class Again(Asking):
    turn: str


class Renaming(BaseModel):
    title: str


class Choosing(BaseModel):
    turn: str


def chat_routes(studio: "Studio") -> APIRouter:
    router = APIRouter(prefix="/studio/chat")
    _looking(router, studio)
    _asking(router, studio)
    _keeping(router, studio)
    return router


def _looking(router: APIRouter, studio: "Studio") -> None:
    outside = Outside(studio)

    @router.get("/frame")
    def read_frame(request: Request) -> dict[str, str]:
        page_owner(request)
        return chat_frame(language_of(request))

    @router.get("/pickers")
    async def read_pickers(request: Request) -> dict[str, Any]:
        guest = is_guest(page_owner(request))
        servers = await run_in_threadpool(studio.chat.servers)
        return pickers(servers, await outside.known(), language_of(request), guest)

    @router.get("/conversations")
    def read_list(
        request: Request, search: str = "", limit: int = 50, opened: str = ""
    ) -> dict[str, str]:
        limit = min(max(limit, 1), 1000)
        page = studio.chat.conversations(page_owner(request), search[:500], limit)
        return {"html": conversation_list(page, search, opened, language_of(request))}

    @router.get("/conversations/{conversation_id}")
    def read_conversation(request: Request, conversation_id: str) -> dict[str, Any]:
        """It, and the one beside it."""
        owner = page_owner(request)
        return whole(studio, studio.chat.sides(conversation_id, owner), language_of(request))

    @router.get("/conversations/{conversation_id}/meter")
    def read_meter(request: Request, conversation_id: str) -> dict[str, str]:
        used, limit = studio.chat.context(
            studio.chat.conversation(conversation_id, page_owner(request))
        )
        return {"html": meter(used, limit, language_of(request))}

    @router.get("/conversations/{conversation_id}/turns/{turn_id}/{kind}")
    def read_text(
        request: Request,
        conversation_id: str,
        turn_id: str,
        kind: Literal["text", "curl", "python"],
    ) -> dict[str, str]:
        """What is copied of a message."""
        owner = page_owner(request)
        if kind == "curl":
            return {"text": studio.chat.as_curl(conversation_id, owner, turn_id)}
        if kind == "python":
            return {"text": studio.chat.as_python(conversation_id, owner, turn_id)}
        turns = studio.chat.conversation(conversation_id, owner).turns
        found = next((turn for turn in turns if turn.id == turn_id), None)
        if found is None:
            raise StudioError(Code.TURN_NOT_FOUND)
        return {"text": found.content}

    @router.get("/answers/{turn_id}")
    async def read_answer(
        request: Request, turn_id: str, conversation: str = ""
    ) -> StreamingResponse:
        """Server-sent events, see `ui.chat_stream`."""
        news = studio.chat.watch(turn_id, page_owner(request))
        first = await anext(news)
        return StreamingResponse(
            answer_events(first, news, conversation, language_of(request)),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )


def _asking(router: APIRouter, studio: "Studio") -> None:
    @router.post("/say")
    def say(request: Request, body: Saying) -> dict[str, Any]:
        """Ask, in a new conversation where none is named; the messages that this adds."""
        sides = studio.chat.say(
            body.conversation,
            page_owner(request),
            body.text,
            body.images,
            body.instead_of,
            body.settings(),
        )
        return whole(studio, sides, language_of(request), sides[0].turns[-2].id)

    @router.post("/again")
    def again(request: Request, body: Again) -> dict[str, Any]:
        owner, language = page_owner(request), language_of(request)
        first = settled(studio, body, owner)
        side = side_of(studio, first, owner, body.turn)
        news = studio.chat.again(side, owner, body.turn)
        return whole(studio, studio.chat.sides(first, owner), language, news.turn.id)

    @router.post("/settings")
    def settle(request: Request, body: Asking) -> dict[str, str]:
        return {"conversation": settled(studio, body, page_owner(request))}

    @router.post("/conversations/{conversation_id}/version")
    def choose(request: Request, conversation_id: str, body: Choosing) -> dict[str, Any]:
        owner, language = page_owner(request), language_of(request)
        for side, turn in with_twin(studio.chat.sides(conversation_id, owner), body.turn):
            studio.chat.choose(side, owner, turn)
        sides = studio.chat.sides(conversation_id, owner)
        return whole(studio, sides, language, body.turn)

    @router.post("/answers/{turn_id}/stop")
    def stop(request: Request, turn_id: str) -> dict[str, str]:
        studio.chat.stop_answer(turn_id, page_owner(request))
        return {"turn": turn_id}


def _keeping(router: APIRouter, studio: "Studio") -> None:
    @router.post("/conversations/{conversation_id}/title")
    def rename(request: Request, conversation_id: str, body: Renaming) -> dict[str, str]:
        done = studio.chat.change(conversation_id, page_owner(request), title=body.title)
        return {"title": done.title}

    @router.post("/conversations/{conversation_id}/delete")
    def delete(request: Request, conversation_id: str) -> dict[str, str]:
        studio.chat.delete(conversation_id, page_owner(request))
        return {"conversation": conversation_id}

    @router.get("/conversations/{conversation_id}/export/{kind}")
    def export(request: Request, conversation_id: str, kind: Literal["md", "json"]) -> Response:
        owner = page_owner(request)
        title = studio.chat.conversation(conversation_id, owner).title
        name = re.sub(r"[^\w-]+", "-", title)[:60].strip("-") or "conversation"
        return Response(
            studio.chat.export(conversation_id, owner, kind),
            media_type=MEDIA[kind],
            headers={
                "content-disposition": f"attachment; filename*=UTF-8''{quote(name)}.{kind}",
                "x-content-type-options": "nosniff",
            },
        )

    @router.post("/import")
    async def import_(request: Request) -> dict[str, str]:
        """Keep a conversation that was exported as JSON; the body is the file."""
        owner = page_owner(request)
        content = b""
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                break
        made = await run_in_threadpool(studio.chat.import_, content, owner)
        return {"conversation": made.id}
