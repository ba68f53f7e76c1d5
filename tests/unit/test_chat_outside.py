"""How the picker learns of a server that runs elsewhere."""

import asyncio
from types import SimpleNamespace
from typing import Any

from backend.contracts import Endpoint, ServerKind
from backend.errors import Code, StudioError
from ui.chat_sides import Outside

FOUND = Endpoint(kind=ServerKind.OUTSIDE, url="http://gpu-box:8000", model_id="m", model="m")


def test_a_server_that_cannot_be_reached_is_asked_again_and_one_that_can_is_not() -> None:
    asked = []

    async def outside() -> Endpoint:
        asked.append(1)
        if len(asked) < 3:
            raise StudioError(Code.SERVER_UNREACHABLE, server="http://gpu-box:8000")
        return FOUND

    studio: Any = SimpleNamespace(
        settings=SimpleNamespace(chat_url="http://gpu-box:8000"),
        chat=SimpleNamespace(outside=outside),
    )
    looks = Outside(studio)

    async def look() -> list[Any]:
        return [await looks.known() for _ in range(5)]

    first, second, *later = asyncio.run(look())
    assert first.code is second.code is Code.SERVER_UNREACHABLE
    assert later == [FOUND] * 3
    assert len(asked) == 3
