"""What is refused before anything is sent."""

from pathlib import Path
from typing import Any

import pytest

from backend.chat.client.capabilities import CAPABILITIES, check_request
from backend.chat.client.tokens import fit_context
from backend.contracts import ChatRequest, Endpoint, Message, Sampling, ServerKind
from backend.errors import Code, StudioError
from tests.tiny_llama import make_tiny_llama

PICTURE = "data:image/png;base64,AAAA"


def endpoint(kind: ServerKind = ServerKind.VLLM, **changes: Any) -> Endpoint:
    return Endpoint(**({"kind": kind, "url": "", "model_id": "m", "model": "m"} | changes))


def said(text: str, images: tuple[str, ...] = (), **sampling: Any) -> ChatRequest:
    message = Message(role="user", content=text, images=images)
    return ChatRequest(messages=(message,), sampling=Sampling(**sampling))


@pytest.mark.parametrize(
    ("request_", "where", "code"),
    [
        (ChatRequest(), endpoint(), Code.INVALID_REQUEST),
        (said("x").model_copy(update={"prompt": "y"}), endpoint(), Code.INVALID_REQUEST),
        (said(" \n"), endpoint(), Code.MESSAGE_EMPTY),
        (said("x" * 1_000_000), endpoint(), Code.MESSAGE_TOO_LONG),
        (said("x"), endpoint(has_template=False), Code.CHAT_TEMPLATE_MISSING),
        (said("x", (PICTURE,)), endpoint(), Code.CHAT_FIELD_UNSUPPORTED),
        (said("x", ("http://10.0.0.1",)), endpoint(takes_images=True), Code.MESSAGE_IMAGE_INVALID),
        (said("x", temperature=-0.1), endpoint(), Code.SAMPLING_OUT_OF_RANGE),
        (said("x", top_p=float("nan")), endpoint(), Code.SAMPLING_OUT_OF_RANGE),
        (said("x", seed=2**31), endpoint(), Code.SAMPLING_OUT_OF_RANGE),
        (said("x", max_tokens=0), endpoint(), Code.SAMPLING_OUT_OF_RANGE),
        (said("x", stop=("a",) * 17), endpoint(), Code.SAMPLING_OUT_OF_RANGE),
        (said("x", top_k=5), endpoint(ServerKind.OUTSIDE), Code.CHAT_FIELD_UNSUPPORTED),
        (
            ChatRequest(prompt="x", sampling=Sampling(chat_template_kwargs={"a": 1})),
            endpoint(),
            Code.CHAT_FIELD_UNSUPPORTED,
        ),
    ],
)  # fmt: skip
def test_refused(request_: ChatRequest, where: Endpoint, code: Code) -> None:
    with pytest.raises(StudioError) as refusal:
        check_request(request_, where)
    assert refusal.value.code is code
    for language in ("en", "ko"):
        assert refusal.value.info.message(language)
        assert refusal.value.info.hint(language)


def test_taken() -> None:
    check_request(said("", (PICTURE,)), endpoint(takes_images=True))
    check_request(ChatRequest(prompt="x"), endpoint(has_template=False))
    for kind in CAPABILITIES:
        check_request(said("x", temperature=0, top_p=1, max_tokens=1), endpoint(kind))


def test_where_the_server_does_not_look_the_studio_keeps_to_the_context(tmp_path: Path) -> None:
    folder = str(make_tiny_llama(tmp_path))
    mine = endpoint(ServerKind.TRANSFORMERS, context_tokens=100, tokenizer=folder)
    assert fit_context(said("x" * 60, max_tokens=90), mine).sampling.max_tokens == 40
    assert fit_context(said("x" * 60, max_tokens=9), mine).sampling.max_tokens == 9
    with pytest.raises(StudioError) as refusal:
        fit_context(said("x" * 100), mine)
    assert refusal.value.code is Code.CONTEXT_EXCEEDED
    others = endpoint(ServerKind.VLLM, context_tokens=100, tokenizer=folder)
    assert fit_context(said("x" * 200, max_tokens=90), others) == said("x" * 200, max_tokens=90)
