"""How much a server needs, and what it is asked to keep within."""

from dataclasses import dataclass
from pathlib import Path

from backend.contracts import Endpoint, LanguageModel, ServeRequest, ServerKind, Thinking
from backend.errors import Code, StudioError
from backend.settings import Settings

RUNTIME_BYTES = {
    ServerKind.TRANSFORMERS: 700 * 1024**2,
    ServerKind.TENSORRT_LLM: 6 * 1024**3,
    ServerKind.CONTAINER: 6 * 1024**3,
    ServerKind.VLLM: 5 * 1024**3,
}
"""Libraries, CUDA context, activations and graphs beside weights and cache. transformers measured
on a CPU (0.5 GiB with a tiny model); the others are guesses, not yet verified on this hardware."""
WEIGHTS_SHARE = 1.1
MIN_CONTEXT, MAX_PARALLEL = 256, 256


@dataclass(frozen=True)
class Plan:
    """Limits of one server."""

    model: LanguageModel
    kind: ServerKind
    context_tokens: int
    parallel: int
    cache_tokens: int
    """Room in the key-value cache, over all conversations."""
    cache_bytes: int
    total_bytes: int
    """Set aside for the server, all in all."""
    machine_bytes: int
    """Memory of the device that it runs on."""

    @property
    def key(self) -> str:
        return key_of(self.model.name, self.kind)

    @property
    def weights_bytes(self) -> int:
        """With what loading them leaves behind."""
        return int(self.model.weights_bytes * WEIGHTS_SHARE)

    @property
    def memory_share(self) -> float:
        """Of the device's memory, as vLLM wants it told."""
        return min(0.9, max(0.01, round(self.total_bytes / self.machine_bytes, 3)))


def key_of(model: str, kind: ServerKind) -> str:
    """What a server is called; there is one of each."""
    return f"{model}/{kind}"


def make_plan(
    settings: Settings, request: ServeRequest, model: LanguageModel, machine_bytes: int
) -> Plan:
    """What a server gets: room for `parallel` conversations of `context_tokens`, and no more, so
    that the rest of a memory that GPU and CPU share stays free for everything else.

    Raises StudioError SAMPLING_OUT_OF_RANGE for more than the model or the server takes.
    """
    most = 1 if request.kind is ServerKind.TRANSFORMERS else MAX_PARALLEL
    least = min(MIN_CONTEXT, model.context_tokens)
    _check("context_tokens", request.context_tokens, least, model.context_tokens)
    _check("parallel", request.parallel, 1, most)
    context = min(model.context_tokens, request.context_tokens or settings.chat_context_tokens)
    parallel = min(most, request.parallel or settings.chat_parallel)
    tokens = context * parallel
    cache = tokens * model.kv_bytes_per_token
    total = int(model.weights_bytes * WEIGHTS_SHARE) + cache + RUNTIME_BYTES[request.kind]
    return Plan(
        model=model,
        kind=request.kind,
        context_tokens=context,
        parallel=parallel,
        cache_tokens=tokens,
        cache_bytes=cache,
        total_bytes=total,
        machine_bytes=machine_bytes,
    )


def _check(field: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        raise StudioError(Code.SAMPLING_OUT_OF_RANGE, field=field, value=value, low=low, high=high)


def endpoint_of(plan: Plan, url: str, model_id: str) -> Endpoint:
    """What is to be known to ask a server of `plan`."""
    model = plan.model
    thinking = Thinking.OPENED if model.opens_thinking else Thinking.RAW
    if plan.kind is ServerKind.TRANSFORMERS and model.thinking_tokens:
        thinking = Thinking.SERVER
    words = Path(model.folder) / "tokenizer.json"
    return Endpoint(
        kind=plan.kind,
        url=url,
        model_id=model_id,
        model=model.name,
        precision=model.precision,
        simulated=model.simulated,
        context_tokens=plan.context_tokens,
        has_template=model.has_template,
        takes_images=model.takes_images,
        thinking=thinking,
        tokenizer=model.folder if words.is_file() else None,
    )
