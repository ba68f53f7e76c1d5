"""An answer's request as a command and as a program, for the reader to send by themselves."""

import json
import pprint
from typing import Any

from backend.chat.client.capabilities import build_body
from backend.contracts import ChatRequest, Endpoint, ServerKind

KEY_NAME = "OPENAI_API_KEY"
NAMED = frozenset(
    {"model", "messages", "prompt", "stream", "stream_options", "temperature", "top_p"}
    | {"seed", "stop", "max_tokens", "max_completion_tokens"}
)
"""Arguments of the openai package; other fields go in `extra_body`."""


def as_curl(request: ChatRequest, endpoint: Endpoint) -> str:
    """With curl; the key, where there is one, comes from the environment."""
    body = json.dumps(build_body(request, endpoint), ensure_ascii=False, indent=2)
    lines = [f"curl -N {endpoint.url}/v1/{_path(request)}"]
    lines.append("-H 'Content-Type: application/json'")
    if endpoint.kind is ServerKind.OUTSIDE:
        lines.append(f'-H "Authorization: Bearer ${KEY_NAME}"')
    lines.append(f"--data-binary @- <<'JSON'\n{body}\nJSON\n")
    return " \\\n  ".join(lines)


def as_python(request: ChatRequest, endpoint: Endpoint) -> str:
    """With the openai package."""
    body = build_body(request, endpoint)
    extra = {name: body.pop(name) for name in list(body) if name not in NAMED}
    arguments = [f"    {name}={_literal(value)}," for name, value in body.items()]
    if extra:
        arguments.append(f"    extra_body={_literal(extra)},")
    outside = endpoint.kind is ServerKind.OUTSIDE
    key = f'os.environ["{KEY_NAME}"]' if outside else '"none"'
    piece = "text" if request.prompt is not None else "delta.content"
    lines = [
        *(["import os", ""] if outside else []),
        "from openai import OpenAI",
        "",
        f"client = OpenAI(base_url={endpoint.url + '/v1'!r}, api_key={key})",
        f"stream = client.{_path(request).replace('/', '.')}.create(",
        *arguments,
        ")",
        "for chunk in stream:",
        "    for choice in chunk.choices:",
        f'        print(choice.{piece} or "", end="", flush=True)',
    ]
    return "\n".join(lines) + "\n"


def _path(request: ChatRequest) -> str:
    return "completions" if request.prompt is not None else "chat/completions"


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=92, sort_dicts=False).replace("\n", "\n    ")
