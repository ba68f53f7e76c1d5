"""A server with the OpenAI API that writes tokens at a set pace, whoever else asks: what is slower
through the studio is the studio's. `python -m benchmarks.paced PORT`."""

import asyncio
import json
import sys
from typing import Any

import uvicorn

MODEL = "paced"
TOKENS = 800
TOKENS_PER_S = 200
FIRST_S = 0.1
WORDS = ("quick", "brown", "foxes", "jump", "over", "lazy", "dogs", "**today**.\n\n")
Send = Any


async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["path"] == "/v1/chat/completions":
        while (await receive()).get("more_body"):
            pass
        await answer(send)
    else:
        await start(send, b"application/json")
        body = json.dumps({"object": "list", "data": [{"id": MODEL}]}).encode()
        await send({"type": "http.response.body", "body": body})


async def answer(send: Send) -> None:
    await start(send, b"text/event-stream")
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(TOKENS):
        due = began + FIRST_S + number / TOKENS_PER_S
        await asyncio.sleep(max(0.0, due - loop.time()))
        await tell(send, {"delta": {"content": WORDS[number % len(WORDS)] + " "}})
    usage = {"prompt_tokens": 10, "completion_tokens": TOKENS}
    await tell(send, {"delta": {}, "finish_reason": "stop"}, usage=usage)
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def start(send: Send, kind: bytes) -> None:
    headers = [(b"content-type", kind)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def tell(send: Send, choice: dict[str, Any], **more: Any) -> None:
    chunk = {"model": MODEL, "choices": [{"index": 0} | choice]} | more
    body = f"data: {json.dumps(chunk)}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", ws="none")
