"""Comparisons of pictures: what is laid side by side, and what came of it."""

from typing import Literal

from backend.contracts.base import Contract, Precision, Runtime
from backend.errors import ErrorInfo, Name


class CompareVariant(Contract):
    """One way to compute a picture model."""

    precision: Precision
    runtime: Runtime


class CompareRequest(Contract):
    """The same pictures by two to six variants of a model; the first is the reference."""

    model: str = "demo-flux"
    variants: tuple[CompareVariant, ...]
    prompts: tuple[str, ...]
    negative_prompt: str = ""
    seeds: tuple[int, ...] = (0,)
    """Every prompt is painted with each of them."""
    steps: int
    guidance: float
    width: int
    height: int
    share_embeddings: bool = True
    """Prompts are encoded once, and all variants paint from that; else each encodes for itself."""
    keep_loaded: bool = False
    """Leave the variants in memory for the next comparison. What each takes at the peak is then not
    measured, as they are there together."""


class ComparedState(Name):
    """Of one side of a comparison."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """With the reason; the other sides went on."""


class Machine(Contract):
    """Where figures were measured."""

    device: str
    """The GPU's name, or the processor's."""
    compute_capability: str | None = None
    """As `sm121`; None without a GPU."""
    driver: str = ""
    system: str
    memory_bytes: int
    unified_memory: bool = False
    versions: dict[str, str]
    """Of the studio, Python and the packages that compute, by name."""


class ComparedPicture(Contract):
    """One picture of one variant."""

    variant: int
    """Place in `request.variants`, as are `prompt` and `seed` places in theirs."""
    prompt: int
    seed: int
    file: str
    """The PNG as generated: its name beside the report, or a `data:` URL within a report that holds
    its pictures."""
    width: int
    height: int
    warm: bool
    """Not the first one after its variant was loaded."""
    total_s: float
    """Without loading and without the encoding of the prompt."""
    step_ms: float
    """Mean over its denoising steps."""
    decode_ms: float
    text_encode_ms: float | None = None
    """Only of the variant that encoded, and the first picture of a prompt."""
    energy_j: float | None = None
    """Of the whole GPU; None where it does not tell."""
    psnr_db: float | None = None
    """Against the reference's; None where both are the same, and where there is no reference."""
    ssim: float | None = None
    similarity: float | None = None
    """Cosine of the image embeddings of `PictureReport.similarity_model`."""
    identical: bool = False
    """Pixel by pixel."""
    unscored: ErrorInfo | None = None
    """Why it could not be compared."""


class Figures(Contract):
    """Over the pictures that count."""

    median: float
    low: float
    high: float
    count: int


class ComparedVariant(Contract):
    """What one variant took and gave."""

    precision: Precision
    runtime: Runtime
    state: ComparedState
    simulated: bool = False
    error: ErrorInfo | None = None
    load_s: float | None = None
    """None when it was in memory already."""
    engine_bytes: int | None = None
    """Of its engines' files; None without engines."""
    weights_bytes: int | None = None
    """Of the model's files that torch loads; None with engines."""
    peak_memory_bytes: int | None = None
    memory_kind: Literal["gpu", "cpu"] = "cpu"
    """Whose memory the peak is: the GPU's alone, or that of the whole process."""
    first_s: float | None = None
    """The first picture after loading."""
    warm: bool = False
    """Whether the figures below are of warm pictures; with a single one they are of the first."""
    total_s: Figures | None = None
    step_ms: Figures | None = None
    decode_ms: Figures | None = None
    text_encode_ms: Figures | None = None
    energy_j: Figures | None = None
    speed_up: float | None = None
    """The reference's median time over its own; both warm or both first."""
    psnr_db: Figures | None = None
    """Of the pictures that differ; None where none does."""
    ssim: Figures | None = None
    similarity: Figures | None = None
    identical: int = 0
    pictures: int = 0


class PictureReport(Contract):
    """`report.json` of a comparison of pictures."""

    kind: Literal["pictures"] = "pictures"
    format: Literal[1] = 1
    id: str
    """The job's."""
    title: str
    made_at: float
    model_name: str
    source: str
    """Where the model comes from: a folder shipped with the studio, or a hub repository."""
    fingerprint: str
    """Of the model's files."""
    request: CompareRequest
    reference: int = 0
    """Place in `request.variants`."""
    encoded_by: int | None = None
    """The variant whose text encoders made the embeddings that all paint from."""
    similarity_model: str | None = None
    """None where no learned measure is on this machine."""
    machine: Machine
    variants: tuple[ComparedVariant, ...]
    """In the order of the request."""
    pictures: tuple[ComparedPicture, ...] = ()
