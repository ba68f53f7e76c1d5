"""Language models, their servers, and what is said to them."""

from typing import Any, Literal

from backend.contracts.base import Contract
from backend.errors import ErrorInfo, Name
from backend.language import Text


class ServerKind(Name):
    TENSORRT_LLM = "tensorrt_llm"
    CONTAINER = "tensorrt_llm_container"
    VLLM = "vllm"
    TRANSFORMERS = "transformers"
    OUTSIDE = "outside"
    """A server that the studio's owner runs elsewhere and names in the settings."""


class ServerPhase(Name):
    """The life of a server.

    starting --> loading --> warming --> ready --> stopped
       ^            |           |          |
       +-- (restart, once) -----+----------+----> failed
    """

    STARTING = "starting"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_live(self) -> bool:
        return self not in (ServerPhase.STOPPED, ServerPhase.FAILED)


class Thinking(Name):
    """How reasoning comes out of a served model."""

    SERVER = "server"
    """The server tells it apart; no tags are in the text."""
    OPENED = "opened"
    """The chat template opens `<think>` itself: the text begins inside it."""
    RAW = "raw"
    """With tags in the text, if there is any."""


class LanguageModel(Contract):
    """A causal language model on this machine, as its files say."""

    name: str
    folder: str
    architecture: str
    """The first of `architectures` in config.json."""
    algorithm: str | None
    """Quantisation of its weights as the checkpoint names it (`FP8`, `NVFP4`, `awq`); None for
    plain ones."""
    modelopt: bool
    """Whether NVIDIA ModelOpt wrote it."""
    simulated: bool
    """Weights only: dequantised by this studio from a checkpoint that is served elsewhere."""
    precision: str
    """What its answers are really computed from, for people: `BF16`, `NVFP4`."""
    context_tokens: int
    weights_bytes: int
    kv_bytes_per_token: int
    """Keys and values of one token in all layers, at two bytes a value."""
    has_template: bool
    opens_thinking: bool
    """The chat template ends in `<think>`."""
    thinking_tokens: bool
    """`<think>` and `</think>` are tokens of their own."""
    takes_images: bool


class ServerChoice(Contract):
    """Whether one kind of server can serve a model on this machine."""

    kind: ServerKind
    title: str
    possible: bool
    reason: Text
    """Why not, or that it can."""


class ServeRequest(Contract):
    """Serve a model: a folder of this machine, or a repository in the hub's cache."""

    model: str
    kind: ServerKind
    context_tokens: int | None = None
    """Longest conversation in tokens; None is the setting, or the model's own if that is less."""
    parallel: int | None = None
    """Conversations at once; None is the setting."""
    simulated: bool = False
    """Serve the checkpoint's weights as plain BF16, computed back first."""


class Endpoint(Contract):
    """A server that can be asked, and what is known of it."""

    kind: ServerKind
    url: str
    """Up to, not including, `/v1`."""
    model_id: str
    """What a request must name as its model."""
    model: str
    """The same for people."""
    precision: str = ""
    simulated: bool = False
    context_tokens: int | None = None
    has_template: bool = True
    takes_images: bool = False
    thinking: Thinking = Thinking.RAW
    tokenizer: str | None = None
    """Folder of the model's tokenizer.json, where the studio must count tokens itself."""


class ServerStatus(Contract):
    """A server that the studio runs, at one moment."""

    key: str
    """`model/server kind`; what stop and the memory budget call it."""
    phase: ServerPhase
    endpoint: Endpoint
    command: str
    pid: int | None
    started_at: float
    ready_s: float | None = None
    """From start to ready, of the process that runs now."""
    restarts: int = 0
    estimate_bytes: int = 0
    """Set aside in the memory budget."""
    memory_bytes: int = 0
    peak_memory_bytes: int = 0
    memory: tuple[tuple[float, int], ...] = ()
    """(seconds since start, bytes) once a second, the newest two minutes."""
    log: tuple[str, ...] = ()
    """The newest lines."""
    error: ErrorInfo | None = None


class Message(Contract):
    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[str, ...] = ()
    """As `data:image/...;base64,` URLs; no other URL is passed on."""


class Sampling(Contract):
    """None leaves a field to the server and the model."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class ChatRequest(Contract):
    """A conversation to answer, or a `prompt` to go on with where the model has no template."""

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    sampling: Sampling = Sampling()


class AnswerMetrics(Contract):
    """Measured where the answer arrives, with a monotonic clock."""

    ttft_s: float | None = None
    """From sending the request to the first text or reasoning."""
    reasoning_s: float | None = None
    """From the first reasoning to the first text after it, or to the end."""
    tokens_per_s: float | None = None
    """Tokens after the first, over the time from the first to the last."""
    total_s: float
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    counted: Literal["server", "chunks"] = "chunks"
    """Who counted the completion: the server, or we its messages because it told no usage."""
    finish_reason: str | None = None
    """`stop`, `length`, `stopped` (by the reader), or what else the server says."""


class Started(Contract):
    """The request was sent."""

    event: Literal["started"] = "started"
    model_id: str


class PromptProgress(Contract):
    """Nothing has come yet; told several times a second."""

    event: Literal["prompt"] = "prompt"
    elapsed_s: float


class ReasoningDelta(Contract):
    event: Literal["reasoning"] = "reasoning"
    text: str
    at_s: float
    """Since the request was sent."""
    chunks: int
    """Messages with text so far, about one a token: for a live rate."""


class TextDelta(Contract):
    event: Literal["text"] = "text"
    text: str
    at_s: float
    chunks: int


class MovedToReasoning(Contract):
    """All text so far was reasoning: `</think>` came, and nothing had opened it."""

    event: Literal["moved"] = "moved"


class Usage(Contract):
    """The server's own count."""

    event: Literal["usage"] = "usage"
    prompt_tokens: int
    completion_tokens: int


class Finished(Contract):
    event: Literal["finished"] = "finished"
    reason: str
    metrics: AnswerMetrics


class Failed(Contract):
    """What came before it stays."""

    event: Literal["failed"] = "failed"
    error: ErrorInfo
    metrics: AnswerMetrics


ChatEvent = (
    Started
    | PromptProgress
    | ReasoningDelta
    | TextDelta
    | MovedToReasoning
    | Usage
    | Finished
    | Failed
)
