"""Keep a conversation within the context of a server that does not check that itself."""

from pathlib import Path

from backend.chat.client.capabilities import CAPABILITIES, DEFAULT_MAX_TOKENS
from backend.contracts import ChatRequest, Endpoint
from backend.errors import Code, StudioError
from backend.models.families.tokens import count_tokens


def fit_context(request: ChatRequest, endpoint: Endpoint) -> ChatRequest:
    """The request, its answer ending where the context does. The markers of a chat template are
    not counted, so the true number is a little higher.

    Raises StudioError CONTEXT_EXCEEDED when the conversation leaves no room for an answer.
    """
    limit = endpoint.context_tokens
    if limit is None or endpoint.tokenizer is None or CAPABILITIES[endpoint.kind].checks_context:
        return request
    texts = [request.prompt or "", *(message.content for message in request.messages)]
    prompt = sum(count_tokens(Path(endpoint.tokenizer), text) for text in texts if text)
    room = limit - prompt
    if room < 1:
        raise StudioError(Code.CONTEXT_EXCEEDED, f"{prompt} tokens", limit=limit)
    wanted = request.sampling.max_tokens or DEFAULT_MAX_TOKENS
    sampling = request.sampling.model_copy(update={"max_tokens": min(wanted, room)})
    return request.model_copy(update={"sampling": sampling})
