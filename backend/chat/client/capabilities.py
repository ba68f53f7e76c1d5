"""What each kind of server takes in a request, and requests built from that."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from backend.contracts import ChatRequest, Endpoint, Message, Sampling, ServerKind
from backend.errors import Code, StudioError

TITLES = {
    ServerKind.TENSORRT_LLM: "TensorRT-LLM",
    ServerKind.CONTAINER: "TensorRT-LLM (container)",
    ServerKind.VLLM: "vLLM",
    ServerKind.TRANSFORMERS: "transformers",
    ServerKind.OUTSIDE: "OpenAI API",
}
STANDARD = frozenset({"temperature", "top_p", "seed", "stop", "max_tokens"})
EXTENDED = STANDARD | {"top_k", "min_p", "repetition_penalty", "chat_template_kwargs"}
DEFAULT_MAX_TOKENS = 1024
"""Sent to transformers where nothing is asked for: what it takes itself then, except that with a
`generation_config` it takes 20."""
MAX_CHARACTERS = 400_000
MAX_STOPS = 16
IMAGE = "data:image/"
RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 5),
    "top_p": (0, 1),
    "top_k": (0, 100_000),
    "min_p": (0, 1),
    "repetition_penalty": (0.01, 10),
    "seed": (0, 2**31 - 1),
    "max_tokens": (1, 1_000_000),
}


@dataclass(frozen=True)
class Capabilities:
    """Of `/v1/chat/completions` of a server."""

    fields: frozenset[str]
    """Fields of `Sampling` that it takes."""
    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    usage: Literal["asked", "always"] = "asked"
    """Whether `stream_options.include_usage` must be sent for it to tell usage."""
    in_generation_config: bool = False
    """Sampling goes as JSON in `generation_config`."""
    sends_stop: bool = False
    """The stop string itself is in the text."""
    checks_context: bool = True
    """It refuses what is longer than the model's context."""


CAPABILITIES: dict[ServerKind, Capabilities] = {
    ServerKind.TENSORRT_LLM: Capabilities(EXTENDED, "max_completion_tokens"),
    ServerKind.CONTAINER: Capabilities(EXTENDED, "max_completion_tokens"),
    ServerKind.VLLM: Capabilities(EXTENDED, "max_completion_tokens"),
    ServerKind.TRANSFORMERS: Capabilities(
        EXTENDED,
        usage="always",
        in_generation_config=True,
        sends_stop=True,
        checks_context=False,
    ),
    ServerKind.OUTSIDE: Capabilities(STANDARD),
}
"""TensorRT-LLM: `trtllm_serve_api.yaml` in its repository, its list of stable fields. vLLM: its
`protocol.py`. transformers 5.14: run, and its `cli/serving`. Outside: what OpenAI documents, since
nothing more is known."""


def sampling_ranges(kind: ServerKind) -> dict[str, tuple[float, float]]:
    """The fields of `Sampling` that a server takes, with the least and the greatest value of those
    that are numbers."""
    return {name: RANGES.get(name, (0, 0)) for name in sorted(CAPABILITIES[kind].fields)}


def given(sampling: Sampling) -> dict[str, Any]:
    """The fields that are asked for."""
    fields = sampling.model_dump(exclude_none=True)
    if not fields["stop"]:
        del fields["stop"]
    return fields


def check_request(request: ChatRequest, endpoint: Endpoint) -> None:
    """Raises StudioError MESSAGE_EMPTY, MESSAGE_TOO_LONG, MESSAGE_IMAGE_INVALID,
    CHAT_TEMPLATE_MISSING, SAMPLING_OUT_OF_RANGE, CHAT_FIELD_UNSUPPORTED, INVALID_REQUEST."""
    if (request.prompt is None) == (not request.messages):
        problem = "either messages or a prompt"
        raise StudioError(Code.INVALID_REQUEST, problem=problem)
    last = request.prompt if request.prompt is not None else request.messages[-1].content
    images = [image for message in request.messages for image in message.images]
    if not last.strip() and not (request.messages and request.messages[-1].images):
        raise StudioError(Code.MESSAGE_EMPTY)
    length = len(request.prompt or "") + sum(len(each.content) for each in request.messages)
    if length > MAX_CHARACTERS:
        raise StudioError(Code.MESSAGE_TOO_LONG, count=length, limit=MAX_CHARACTERS)
    if images and not endpoint.takes_images:
        raise StudioError(Code.CHAT_FIELD_UNSUPPORTED, field="images", server=TITLES[endpoint.kind])
    if not all(image.startswith(IMAGE) for image in images):
        raise StudioError(Code.MESSAGE_IMAGE_INVALID)
    if request.messages and not endpoint.has_template:
        raise StudioError(Code.CHAT_TEMPLATE_MISSING, model=endpoint.model)
    _check_sampling(request, endpoint)


def _check_sampling(request: ChatRequest, endpoint: Endpoint) -> None:
    fields = given(request.sampling)
    taken = CAPABILITIES[endpoint.kind].fields
    if request.prompt is not None:
        taken -= {"chat_template_kwargs"}
    for name, value in fields.items():
        if name not in taken:
            raise StudioError(Code.CHAT_FIELD_UNSUPPORTED, field=name, server=TITLES[endpoint.kind])
        low, high = RANGES.get(name, (0, 0))
        if name in RANGES and not low <= value <= high:
            raise StudioError(
                Code.SAMPLING_OUT_OF_RANGE, field=name, value=value, low=low, high=high
            )
    if len(request.sampling.stop) > MAX_STOPS:
        raise StudioError(
            Code.SAMPLING_OUT_OF_RANGE,
            field="stop",
            value=len(request.sampling.stop),
            low=0,
            high=MAX_STOPS,
        )


def build_body(request: ChatRequest, endpoint: Endpoint) -> dict[str, Any]:
    """The JSON of a streaming request to `/v1/chat/completions`, or `/v1/completions` for a prompt,
    from one that `check_request` lets pass."""
    takes = CAPABILITIES[endpoint.kind]
    fields = given(request.sampling)
    body: dict[str, Any] = {"model": endpoint.model_id, "stream": True}
    if request.prompt is not None:
        body["prompt"] = request.prompt
    else:
        body["messages"] = [_message(each) for each in request.messages]
    if takes.usage == "asked":
        body["stream_options"] = {"include_usage": True}
    if takes.in_generation_config:
        return body | _for_transformers(fields)
    limit = fields.pop("max_tokens", None)
    if limit is not None:
        body[takes.max_tokens if request.prompt is None else "max_tokens"] = limit
    return body | fields


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.content}]
    parts += [{"type": "image_url", "image_url": {"url": image}} for image in message.images]
    return {"role": message.role, "content": parts}


def _for_transformers(fields: dict[str, Any]) -> dict[str, Any]:
    """`transformers serve` samples only where the generation config says `do_sample`; a plain
    `temperature` would be ignored without a word."""
    plain: dict[str, Any] = {
        name: fields[name] for name in ("seed", "stop", "chat_template_kwargs") if name in fields
    }
    plain["max_tokens"] = fields.get("max_tokens", DEFAULT_MAX_TOKENS)
    drawing = {
        name: fields[name] for name in ("temperature", "top_p", "top_k", "min_p") if name in fields
    }
    config: dict[str, Any] = {}
    if drawing.get("temperature") == 0:
        config["do_sample"] = False
    elif drawing:
        config |= {"do_sample": True} | drawing
    if "repetition_penalty" in fields:
        config["repetition_penalty"] = fields["repetition_penalty"]
    if config:
        plain["generation_config"] = json.dumps(config)
    return plain
