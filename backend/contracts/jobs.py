"""Jobs: their states, requests, news and results."""

from typing import Any

from backend.contracts.base import Contract, Precision, Runtime
from backend.errors import ErrorInfo, Name
from backend.language import Text


class JobKind(Name):
    GENERATE = "generate"
    VERIFY = "verify"
    ENGINE = "engine"
    LOAD = "load"
    FETCH = "fetch"
    LOOK = "look"
    NETWORK = "network"
    RUN = "run"
    LANGUAGE_EXPORT = "language_export"
    TEXT = "text"
    TIMES = "times"
    SERVE = "serve"
    QUANTIZE = "quantize"
    QUANTIZE_IMAGES = "quantize_images"
    PUSH = "push"
    COMPARE = "compare"
    COMPARE_TEXT = "compare_text"


BYTE_PHASES = frozenset({"fetch", "fetch_file", "digest", "push"})
"""Phases whose steps are bytes."""


class JobState(Name):
    """The life of a job.

    queued --> running --> succeeded
      |  ^        |------> failed ----------+
      |  |        |------> cancelled ------+|
      |  |        +------> interrupted ---+||
      |  +---- (retry, or a clean stop) --+++
      +------> cancelled
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_live(self) -> bool:
        return self in (JobState.QUEUED, JobState.RUNNING)


LEGAL_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset(
        {
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.CANCELLED,
            JobState.INTERRUPTED,
            JobState.QUEUED,
        }
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
    JobState.INTERRUPTED: frozenset({JobState.QUEUED}),
}


class GenerateRequest(Contract):
    """Pictures to make. `seed` is that of the first one; the next ones count up from it."""

    model: str = "demo-flux"
    precision: Precision = Precision.FP32
    runtime: Runtime = Runtime.TORCH
    prompt: str
    seed: int
    steps: int
    guidance: float
    width: int
    height: int
    count: int = 1
    negative_prompt: str = ""
    """What the pictures should not show; only for models whose guidance has such a prompt."""


class VerifyRequest(Contract):
    """Check a model's files against their digests and load it once."""

    model: str


class LoadRequest(Contract):
    """Bring a variant into the worker's memory, so that the next picture need not wait for it."""

    model: str
    precision: Precision
    runtime: Runtime


class LoadResult(Contract):
    load_s: float
    """0 when it was in memory already."""


class ImageResult(Contract):
    path: str
    seed: int
    width: int
    height: int


class GenerateMetrics(Contract):
    total_s: float
    """From the start of work on the job in the worker to its last picture saved."""
    first_event_s: float
    """From submission to the first event of the worker."""
    load_s: float
    """Loading the model; 0 when it was resident."""
    step_ms: float
    """Mean over all denoising steps."""
    steps_per_s: float
    text_encode_ms: float
    decode_ms: float
    """Mean per picture."""
    peak_memory_bytes: int
    memory_kind: str
    """`gpu` or `cpu`: whose memory the peak is."""
    encoders_unloaded: bool = False
    """Whether the text encoders were let go before denoising."""
    runtime: Runtime
    precision: Precision
    device: str


class GenerateResult(Contract):
    images: tuple[ImageResult, ...]
    metrics: GenerateMetrics


class VerifyResult(Contract):
    files: int
    size_bytes: int


class JobEvent(Contract):
    """One piece of news from the worker. Fields left out are unchanged."""

    at: float
    phase: str
    """Key of the catalogue without its `phase.` prefix."""
    step: int = 0
    total: int = 0
    message: Text | None = None
    preview: str | None = None
    image: ImageResult | None = None
    """A picture that is finished, while others of the job are still to come."""
    memory_bytes: int | None = None
    held_bytes: int | None = None
    """Memory that the work holds at this moment, where it tells."""
    rate: float | None = None
    """Steps per second, where the work itself knows better than the phase's time tells."""


class PhaseView(Contract):
    """One phase of a job as the card shows it."""

    name: str
    started_at: float
    finished_at: float | None = None
    step: int = 0
    total: int = 0


class JobSnapshot(Contract):
    """All that is known of a job now; what the page draws and the API returns."""

    id: str
    kind: JobKind
    state: JobState
    title: str
    """The prompt, or what the job is about."""
    variant: str
    """`model/precision/runtime`."""
    request: dict[str, Any]
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    position: int | None = None
    """1 for the next to start; only while queued."""
    wait_s: float | None = None
    """Estimated from measured durations of the same variant; None when nothing is known."""
    waits_for: str | None = None
    """The job that must succeed before this one takes its place in the queue."""
    phases: tuple[PhaseView, ...] = ()
    step: int = 0
    total: int = 0
    steps_per_s: float | None = None
    """Bytes per second in `BYTE_PHASES`."""
    eta_s: float | None = None
    message: Text | None = None
    log: tuple[Text, ...] = ()
    preview: str | None = None
    images: tuple[ImageResult, ...] = ()
    peak_memory_bytes: int | None = None
    memory: tuple[tuple[float, int], ...] = ()
    """What the work held at moments of its life, as (time, bytes); only while it is live."""
    result: dict[str, Any] | None = None
    """`GenerateResult`, `VerifyResult`, `EngineResult` or `FetchResult` as data, once succeeded."""
    error: ErrorInfo | None = None
    retryable: bool = False
    first_event_at: float | None = None

    @property
    def phase(self) -> str | None:
        return self.phases[-1].name if self.phases else None


class QueueEntry(Contract):
    """One waiting or running job as everybody may see it."""

    mine: bool
    id: str | None
    """Only for one's own jobs."""
    title: str | None
    """Only for one's own jobs."""
    kind: JobKind
    variant: str
    state: JobState
    position: int | None
    wait_s: float | None
    waits: bool = False
    """Until the engines that it needs are built."""
    created_at: float


class HistoryPage(Contract):
    jobs: tuple[JobSnapshot, ...]
    total: int
