"""What went wrong between the studio and a server, in the studio's terms."""

import json
import re
from typing import Any

from backend.contracts import Endpoint
from backend.errors import Code, ErrorInfo, StudioError
from backend.jobs.failures import says_out_of_memory

CONTEXT = re.compile(
    r"(maximum |max_)?(context|model|seq(uence)?)[ _]?(length|len|window)"
    r"|exceeds? .{0,60}max_(seq_len|num_tokens|model_len|input_len)"
    r"|prompt.{0,40}too long|too many tokens|context_length_exceeded|exceed_context_size",
    re.IGNORECASE,
)
WRONG_MODEL = re.compile(
    r"pinned to|model.{0,200}(does not exist|not found|unknown)|no such model|model_not_found",
    re.IGNORECASE,
)
TEMPLATE = re.compile(r"chat.?template", re.IGNORECASE)
UNKNOWN_FIELD = re.compile(
    r"unexpected fields?|extra[_ ](inputs|fields?|forbidden)|unknown (field|parameter)"
    r"|unrecognized (request )?argument|not permitted",
    re.IGNORECASE,
)


def explain(error: BaseException, endpoint: Endpoint, begun: bool) -> ErrorInfo:
    """The failure of a request. `begun`: whether a part of the answer had come."""
    import openai

    if isinstance(error, StudioError):
        return error.info
    if isinstance(error, json.JSONDecodeError):
        return _told(error.doc, endpoint)
    if isinstance(error, openai.APIStatusError):
        return _refused(error.status_code, _text(error.body) or error.message, endpoint)
    if isinstance(error, openai.APIConnectionError):
        code = Code.SERVER_DIED if begun else Code.SERVER_UNREACHABLE
        detail = repr(error.__cause__ or error)
        return ErrorInfo(code=code, values=_named(endpoint), detail=detail)
    if isinstance(error, openai.APIError):
        return _told(_text(error.body) or error.message, endpoint)
    return _told(f"{type(error).__name__}: {error}", endpoint)


def _refused(status: int, text: str, endpoint: Endpoint) -> ErrorInfo:
    named = _named(endpoint)
    if status in (401, 403):
        return ErrorInfo(code=Code.SERVER_KEY_REFUSED, values=named, detail=text)
    if status == 503:
        return ErrorInfo(code=Code.SERVER_NOT_READY, values=named, detail=text)
    if WRONG_MODEL.search(text):
        values = named | {"model": endpoint.model_id}
        return ErrorInfo(code=Code.SERVED_MODEL_UNKNOWN, values=values, detail=text)
    if status in (404, 405):
        return ErrorInfo(code=Code.NOT_A_SERVER, values=named, detail=text)
    return _told(text, endpoint, refused=status < 500)


def _told(text: str, endpoint: Endpoint, refused: bool = False) -> ErrorInfo:
    """What a server says went wrong."""
    named = _named(endpoint)
    if says_out_of_memory(text):
        values = {"model": endpoint.model}
        return ErrorInfo(code=Code.SERVER_OUT_OF_MEMORY, values=values, detail=text)
    if UNKNOWN_FIELD.search(text):
        values = named | {"problem": _short(text)}
        return ErrorInfo(code=Code.CHAT_FIELD_REFUSED, values=values, detail=text)
    if CONTEXT.search(text):
        limit = endpoint.context_tokens or "?"
        return ErrorInfo(code=Code.CONTEXT_EXCEEDED, values={"limit": limit}, detail=text)
    if TEMPLATE.search(text):
        values = {"model": endpoint.model}
        return ErrorInfo(code=Code.CHAT_TEMPLATE_MISSING, values=values, detail=text)
    code = Code.CHAT_REQUEST_REFUSED if refused else Code.SERVER_ERROR
    return ErrorInfo(code=code, values=named | {"problem": _short(text)}, detail=text)


def _named(endpoint: Endpoint) -> dict[str, Any]:
    return {"server": endpoint.url}


def _text(body: object) -> str:
    """The words in an error's body, whatever form it has."""
    if isinstance(body, dict):
        for name in ("message", "detail", "error"):
            if body.get(name):
                return _text(body[name])
    return "" if body is None else body if isinstance(body, str) else json.dumps(body)


def _short(text: str) -> str:
    return " ".join(text.split())[:200].rstrip(".")
