"""The private routes of the Chat tab."""

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from backend.contracts import (
    Conversation,
    ConversationSettings,
    Endpoint,
    Sampling,
)
from backend.errors import Code, ErrorInfo, StudioError
from ui.access import page_owner
from ui.chat_stream import answer_events
from ui.i18n import language_of, t
from ui.parts.chat_frame import chat_frame
from ui.parts.chat_list import conversation_list
from ui.parts.chat_message import messages
from ui.parts.chat_picker import meter, pickers

if TYPE_CHECKING:
    from backend.studio import Studio

MAX_BODY_BYTES = 64 * 1024**2
OUTSIDE_S = 3.0
"""How long a picker waits for the outside server to name its models."""
OUTSIDE_KNOWN_S = 10.0
MEDIA = {"md": "text/markdown", "json": "application/json"}


class Asking(BaseModel):
    """How the page asks: one server, or two side by side."""

    conversation: str = ""
    """Empty for one that begins now."""
    servers: tuple[str, ...] = ("",)
    system: str = ""
    sampling: Sampling = Sampling()
    completion: bool = False

    def settings(self) -> list[ConversationSettings]:
        return [
            ConversationSettings(
                server=server,
                system=self.system,
                sampling=self.sampling,
                completion=self.completion,
            )
            for server in self.servers[:2]
        ]


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
        page_owner(request)
        servers = await run_in_threadpool(studio.chat.servers)
        return pickers(servers, await outside.known(), language_of(request))

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
        return _whole(studio, conversation_id, owner, language_of(request))

    @router.get("/conversations/{conversation_id}/meter")
    def read_meter(request: Request, conversation_id: str) -> dict[str, str]:
        used, limit = studio.chat.context(conversation_id, page_owner(request))
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
        owner, language = page_owner(request), language_of(request)
        first = _settled(studio, body, owner)
        try:
            news = studio.chat.say(first, owner, body.text, body.images, body.instead_of)
        except StudioError:
            if not body.conversation:
                studio.chat.delete(first, owner)
            raise
        return _whole(studio, first, owner, language, news[0].turn.parent)

    @router.post("/again")
    def again(request: Request, body: Again) -> dict[str, Any]:
        owner, language = page_owner(request), language_of(request)
        first = _settled(studio, body, owner)
        side = _side_of(studio, first, owner, body.turn)
        news = studio.chat.again(side, owner, body.turn)
        return _whole(studio, first, owner, language, news.turn.id)

    @router.post("/settings")
    def settle(request: Request, body: Asking) -> dict[str, str]:
        return {"conversation": _settled(studio, body, page_owner(request))}

    @router.post("/conversations/{conversation_id}/version")
    def choose(request: Request, conversation_id: str, body: Choosing) -> dict[str, Any]:
        owner, language = page_owner(request), language_of(request)
        for side, turn in _with_twin(_sides(studio, conversation_id, owner), body.turn):
            studio.chat.choose(side, owner, turn)
        return _whole(studio, conversation_id, owner, language, body.turn)

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


def _settled(studio: "Studio", body: Asking, owner: str) -> str:
    """The id of the conversation, which from now on is asked as the page shows."""
    first, *rest = body.settings()
    if not body.conversation:
        return studio.chat.begin(first, owner, rest[0] if rest else None).id
    for side, wanted in zip(_sides(studio, body.conversation, owner), (first, *rest), strict=False):
        if side.settings != wanted:
            studio.chat.change(side.id, owner, settings=wanted)
    return body.conversation


def _sides(studio: "Studio", conversation_id: str, owner: str) -> list[Conversation]:
    """A conversation, and the one beside it. The page names a pair by its first side."""
    one = studio.chat.conversation(conversation_id, owner)
    return [one, studio.chat.conversation(one.beside, owner)] if one.beside else [one]


def _side_of(studio: "Studio", conversation_id: str, owner: str, turn_id: str) -> str:
    """The side that a message, or a version of it that is not shown, is in."""
    for side in _sides(studio, conversation_id, owner):
        if any(turn_id in (turn.id, *turn.versions) for turn in side.turns):
            return side.id
    raise StudioError(Code.TURN_NOT_FOUND)


def _with_twin(sides: list[Conversation], turn_id: str) -> list[tuple[str, str]]:
    """A version of a message with the side that it is in; and of a question that was put to two
    sides, the same version on the other one."""
    for side in sides:
        for place, turn in enumerate(side.turns):
            if turn_id not in turn.versions:
                continue
            number = turn.versions.index(turn_id)
            others = [one for one in sides if one is not side and turn.role == "user"]
            twins = [
                (one.id, one.turns[place].versions[number])
                for one in others
                if place < len(one.turns) and number < len(one.turns[place].versions)
            ]
            return [(side.id, turn_id), *twins]
    raise StudioError(Code.TURN_NOT_FOUND)


def _whole(
    studio: "Studio", conversation_id: str, owner: str, language: str, since: str | None = None
) -> dict[str, Any]:
    """What the page draws of a conversation, from the message `since` on."""
    sides = _sides(studio, conversation_id, owner)
    places = [n for side in sides for n, turn in enumerate(side.turns) if turn.id == since]
    first = places[0] if places else 0
    return {
        "conversation": conversation_id,
        "title": sides[0].title or t("chat.untitled", language),
        "settings": [side.settings.model_dump(mode="json") for side in sides],
        "columns": [
            {
                "conversation": side.id,
                "first": first,
                "html": messages(side, first, place > 0, language),
                "meter": meter(*studio.chat.context(side.id, owner), language),
            }
            for place, side in enumerate(sides)
        ],
    }


class Outside:
    """The owner's own server, asked for its models once in a while."""

    def __init__(self, studio: "Studio") -> None:
        self._studio = studio
        self._at = float("-inf")
        self._last: Endpoint | ErrorInfo | None = None

    async def known(self) -> Endpoint | ErrorInfo | None:
        """It, or why it cannot be asked; None where none is set."""
        if not self._studio.settings.chat_url:
            return None
        if time.monotonic() - self._at > OUTSIDE_KNOWN_S:
            self._last = await self._asked()
            self._at = time.monotonic()
        return self._last

    async def _asked(self) -> Endpoint | ErrorInfo:
        try:
            return await asyncio.wait_for(self._studio.chat.outside(), OUTSIDE_S)
        except StudioError as error:
            return error.info
        except asyncio.TimeoutError:
            url = self._studio.settings.chat_url
            return StudioError(Code.SERVER_UNREACHABLE, server=url).info
