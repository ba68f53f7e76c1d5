"""Is a server ready: asked as its own kind wants to be asked."""

import json
from enum import Enum
from http.client import HTTPConnection, HTTPException
from typing import Any

from backend.chat.servers.commands import HOST

LOOK_S = 2.0
GENERATE_S = 600.0
"""The first token may wait for kernels to be compiled."""


class Health(Enum):
    REFUSED = "refused"
    LOADING = "loading"
    UP = "up"


def ask(
    port: int, path: str, body: dict[str, Any] | None = None, timeout_s: float = LOOK_S
) -> tuple[int, bytes]:
    """Status and answer of a request to a server of this machine. Raises OSError, HTTPException."""
    connection = HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if data else {}
        connection.request("POST" if data else "GET", path, data, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def health(port: int) -> Health:
    try:
        status, _ = ask(port, "/health")
    except ConnectionRefusedError:
        return Health.REFUSED
    except (OSError, HTTPException):
        return Health.LOADING
    return Health.UP if status == 200 else Health.LOADING


def listed_model(port: int) -> str | None:
    """The first model of `/v1/models`."""
    try:
        status, answer = ask(port, "/v1/models")
        models = json.loads(answer)["data"] if status == 200 else []
        return str(models[0]["id"]) if models else None
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return None


def can_generate(port: int, gate: str, model_id: str) -> str | None:
    """Have the server write one token; what it says instead, or None. Raises OSError,
    HTTPException where it does not answer."""
    body = None
    if gate.endswith("completions"):
        body = {"model": model_id, "prompt": "1", "max_tokens": 1}
    status, answer = ask(port, gate, body, GENERATE_S)
    return None if status == 200 else f"{status} {answer[:500].decode(errors='replace')}"
