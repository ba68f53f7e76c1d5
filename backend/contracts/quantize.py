"""Quantising language models: what is asked for, what it will come to, what came of it."""

from typing import Literal

from pydantic import Field

from backend.contracts.base import Contract
from backend.errors import ErrorInfo
from backend.language import Text


class QuantizeRequest(Contract):
    """A language model to quantise."""

    model: str
    """A folder of this machine, a model of the studio, or a Hugging Face repository."""
    recipe: str = "nvfp4"
    kv_cache: str = "none"
    leave_out: tuple[str, ...] = ()
    """Patterns of modules that stay as they are: `model.layers.0.*`, `*down_proj`."""
    calibration: str = "general"
    """A built-in text, or the digest of a kept one."""
    evaluation: str | None = None
    """Digest of a kept text to score on; None holds rows of the calibration text back for it."""
    samples: int = Field(default=128, ge=1, le=4096)
    """Sequences to calibrate on."""
    length: int = Field(default=512, ge=16, le=8192)
    """Tokens of each."""
    batch: int = Field(default=4, ge=1, le=64)
    """Sequences at once; halved where memory runs out."""
    evaluation_tokens: int = Field(default=4096, ge=64, le=262_144)
    """Scored at the most; the reference's logits of all are kept on disk meanwhile."""
    effective_bits: float | None = Field(default=None, gt=4.0, lt=16.0)
    """Experimental: as many layers as this many bits a weight allow, on average, stay in 16 bits,
    those that lose most by the recipe first."""
    out: str | None = None
    """Folder to write; None is one in the studio's `checkpoints`."""
    replace: bool = False
    """Overwrite a folder that is there."""


class SourceFacts(Contract):
    """A language model as what is quantised, as far as it is known."""

    name: str
    here: bool
    """Whether its files are on this machine."""
    asked: bool
    """Whether the hub was asked about it, since this studio was started."""
    architecture: str | None = None
    parameters: int | None = None
    size_bytes: int | None = None
    """Of its weight files."""
    precision: str | None = None
    """What its weights are stored in."""
    licence: str | None = None
    """As its model card states it."""
    gated: bool | None = None
    """Whether its owners grant access one by one; None where the hub was not asked."""
    missing_bytes: int | None = None
    """To be fetched; None where that is not known."""
    problem: ErrorInfo | None = None
    """Why it cannot be quantised."""


class Fit(Contract):
    """Other settings of a request that need less memory."""

    recipe: str
    batch: int
    length: int
    memory_bytes: int


class RecipeSize(Contract):
    """Of the weight files, computed from the model's headers."""

    source_bytes: int
    whole_bytes: int
    quantised_bytes: int
    """Of the quantised weights alone, with their scales."""
    quantised_source_bytes: int
    ratio_whole: float
    ratio_quantised_layers: float
    layers: int
    left_out: tuple[str, ...]
    """Modules that the recipe would quantise and that stay as they are."""


class RecipeChoice(Contract):
    """One recipe for one model on this machine."""

    name: str
    title: str
    algorithm: str
    """`quant_algo` of the checkpoint."""
    possible: bool
    reason: Text
    """Why not, or that it can be made here."""
    needs_text: bool
    scored: Literal["quantised", "weights_only"]
    """What can be scored here before the export."""
    servers: tuple[str, ...]
    """That run it natively, somewhere."""
    parts: tuple[str, ...]
    """GPU generations that do."""
    serves_here: bool
    """Whether one of them can on this machine."""
    quality: Text
    size: RecipeSize | None = None


class KvChoice(Contract):
    """One way to keep keys and values."""

    name: str
    algorithm: str | None
    """`kv_cache_quant_algo` of the checkpoint."""
    effect: Text
    possible: bool
    reason: Text


class CalibrationPreview(Contract):
    """A text to calibrate on, as it was read."""

    name: str
    """What a request calls it."""
    rows: int
    characters: int
    first: tuple[str, ...]
    """The first rows, cut."""
    chats: int
    """Rows that are conversations, for the chat template."""
    hangul_share: float
    """Of the letters; 0 to 1."""
    warnings: tuple[Text, ...] = ()


class DatasetRequest(Contract):
    """Rows of a data set of the hub, to be kept as a text."""

    dataset: str = Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$", max_length=200)
    """As `maker/name`; never a file or folder of this machine."""
    part: str = ""
    """Its configuration, where it has several."""
    split: str = Field(default="train", min_length=1)
    column: str = ""
    """Of text or of conversations; empty looks for one of the usual names."""
    rows: int = Field(default=512, ge=8, le=20_000)


class QuantizeCheck(Contract):
    """One thing that was looked at before a job begins."""

    name: Literal[
        "model", "recipe", "text", "pictures", "hub", "out",
        "disk", "memory", "device", "versions", "time",
    ]  # fmt: skip
    status: Literal["ok", "warn", "fail"]
    detail: Text
    error: ErrorInfo | None = None
    """What a job would end with."""


class QuantizePlan(Contract):
    """What a job would do, found out without doing it."""

    model: str
    recipe: str
    size: RecipeSize | None
    """None for a repository that is not here yet."""
    memory_bytes: int | None
    """Peak of the working process, estimated."""
    disk_bytes: int | None
    device: str
    out: str
    checks: tuple[QuantizeCheck, ...]
    fits: tuple[Fit, ...] = ()
    """Where memory is in the way: what would do with less."""

    @property
    def problem(self) -> ErrorInfo | None:
        """The first thing in the way."""
        return next((check.error for check in self.checks if check.error is not None), None)


class LayerError(Contract):
    """How far one weight of the checkpoint is from its source, as relative root mean square; each
    column at the scale at which it was rounded."""

    layer: str
    relative_error: float


class Quality(Contract):
    """Scored on text that was never calibrated on."""

    scope: Literal["quantised", "weights_only"]
    """`quantised`: weights, activations and cache as ModelOpt simulates them. `weights_only`: the
    exported weights computed back; activations are not rounded."""
    perplexity_reference: float
    perplexity: float
    kl_mean: float
    """Of the quantised model's next-token distribution from the reference's, in nats."""
    kl_p99: float
    kl_max: float
    top1_agreement: float
    """Share of tokens where both think the same token most likely."""
    tokens: int
    seconds: float
    """Of scoring, the reference's passes included."""
    kv_cache_rounded: bool = False


class PhaseCost(Contract):
    seconds: float
    peak_memory_bytes: int
    """Of the process, or of the GPU's memory that torch held."""


class LayerSensitivity(Contract):
    """What quantising a layer alone costs, as ModelOpt's `auto_quantize` scores it."""

    layer: str
    chosen: str
    """The recipe, or `none`."""
    score: float
    """To be compared between layers only; the same for layers that servers join."""


SamplePurpose = Literal["explain", "reckon", "code", "write"]


class SampleAnswer(Contract):
    """What original and quantised model answer to one prompt."""

    purpose: SamplePurpose
    language: str
    prompt: str
    before: str
    after: str


class Samples(Contract):
    """Greedy answers to fixed prompts."""

    scope: Literal["quantised", "weights_only"]
    tokens: int
    """Of an answer, at the most."""
    template: bool
    """Whether they were asked through the model's chat template."""
    answers: tuple[SampleAnswer, ...]


class CheckpointManifest(Contract):
    """`manifest.json` of a checkpoint that this studio quantised."""

    format: int
    source: str
    revision: str | None
    """Commit of the hub's repository, where it is from there."""
    source_digest: str
    """SHA-256 over names, types and shapes of its tensors and its files' sizes."""
    recipe: str
    algorithm: str
    kv_cache: str
    left_out: tuple[str, ...]
    calibration: str
    calibration_digest: str | None
    """SHA-256 of the rows that were calibrated on."""
    evaluation_digest: str
    samples: int
    length: int
    batch: int
    versions: dict[str, str]
    device: str
    made_at: float
    phases: dict[str, PhaseCost]
    size: RecipeSize
    """As measured."""
    estimated_bytes: int
    files: dict[str, int]
    quality: Quality
    layer_errors: tuple[LayerError, ...]
    effective_bits: float | None = None
    sensitivity: tuple[LayerSensitivity, ...] = ()
    """Only with `effective_bits`, which ModelOpt calls experimental."""
    answers: Samples | None = None
    """None in manifests that are older than this, as below."""
    request: QuantizeRequest | None = None


class Checkpoint(Contract):
    path: str
    size_bytes: int
    """Of the weight files."""
    source_size_bytes: int
    ratio_whole: float
    ratio_quantised_layers: float


class QuantizeResult(Contract):
    checkpoint: Checkpoint
    quality: Quality
