"""What the routes of the Chat tab ask the studio for, and what they give the page."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from backend.contracts import Conversation, ConversationSettings, Endpoint, Sampling
from backend.errors import Code, ErrorInfo, StudioError
from ui.i18n import t
from ui.parts.chat_message import messages
from ui.parts.chat_picker import meter

if TYPE_CHECKING:
    from backend.studio import Studio

OUTSIDE_S = 3.0
"""How long a picker waits for the outside server to name its models."""
OUTSIDE_KNOWN_S = 10.0


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


def settled(studio: "Studio", body: Asking, owner: str) -> str:
    """The id of the conversation, which from now on is asked as the page shows."""
    if not body.conversation:
        first, *rest = body.settings()
        return studio.chat.begin(first, owner, *rest).id
    studio.chat.settle(body.conversation, owner, body.settings())
    return body.conversation


def side_of(studio: "Studio", conversation_id: str, owner: str, turn_id: str) -> str:
    """The side that a message, or a version of it that is not shown, is in."""
    for side in studio.chat.sides(conversation_id, owner):
        if any(turn_id in (turn.id, *turn.versions) for turn in side.turns):
            return side.id
    raise StudioError(Code.TURN_NOT_FOUND)


def with_twin(sides: tuple[Conversation, ...], turn_id: str) -> list[tuple[str, str]]:
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


def whole(
    studio: "Studio", sides: tuple[Conversation, ...], language: str, since: str | None = None
) -> dict[str, Any]:
    """What the page draws of a conversation, from the message `since` on."""
    places = [n for side in sides for n, turn in enumerate(side.turns) if turn.id == since]
    first = places[0] if places else 0
    return {
        "conversation": sides[0].id,
        "title": sides[0].title or t("chat.untitled", language),
        "settings": [side.settings.model_dump(mode="json") for side in sides],
        "columns": [
            {
                "conversation": side.id,
                "first": first,
                "html": messages(side, first, place > 0, language),
                "meter": meter(*studio.chat.context(side), language),
            }
            for place, side in enumerate(sides)
        ],
    }


class Outside:
    """The owner's own server, asked for its models once in a while, and each time while it cannot
    be reached."""

    def __init__(self, studio: "Studio") -> None:
        self._studio = studio
        self._at = float("-inf")
        self._last: Endpoint | None = None

    async def known(self) -> Endpoint | ErrorInfo | None:
        """It, or why it cannot be asked; None where none is set."""
        if not self._studio.settings.chat_url:
            return None
        if self._last is not None and time.monotonic() - self._at < OUTSIDE_KNOWN_S:
            return self._last
        found = await self._asked()
        self._at, self._last = time.monotonic(), found if isinstance(found, Endpoint) else None
        return found

    async def _asked(self) -> Endpoint | ErrorInfo:
        try:
            return await asyncio.wait_for(self._studio.chat.outside(), OUTSIDE_S)
        except StudioError as error:
            return error.info
        except asyncio.TimeoutError:
            url = self._studio.settings.chat_url
            return StudioError(Code.SERVER_UNREACHABLE, server=url).info
