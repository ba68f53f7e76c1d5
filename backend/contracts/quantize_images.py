"""Quantising picture models: what is asked for, what it will come to, what came of it."""

from pydantic import Field

from backend.contracts.base import Contract, Precision, Runtime
from backend.contracts.building import BuildEstimate
from backend.contracts.engines import EngineRequest, EngineSource
from backend.contracts.quantize import Checkpoint, QuantizeCheck
from backend.errors import ErrorInfo
from backend.language import Text


class QuantizeImagesRequest(Contract):
    """A picture model whose denoiser is to be quantised, and the pictures to compare it by.

    What is None is the model's or the precision's usual; `Studio.quantize_images` fills it in.
    """

    model: str
    recipe: str = Precision.NVFP4.value
    """The precision: `int8`, `fp8` or `nvfp4`."""
    level: float | None = None
    """How much of the denoiser is quantised: 1, 2, 2.5, 3 or 4."""
    smoothquant_alpha: float | None = None
    """For INT8: how much of the activations' range goes into the weights, 0 to 1."""
    percentile: float | None = None
    """For INT8 convolutions: which share of the activations counts for their range, 0 to 1."""
    calibration: str | None = None
    """Digest of the prompts to calibrate with, as `Studio.engines.keep_prompts` gave it."""
    samples: int | None = None
    """Pictures to watch."""
    calibration_steps: int | None = None
    """Denoising steps of each."""
    runtime: Runtime | None = None
    """None is ONNX Runtime on a machine without a GPU where it computes the precision, else
    TensorRT."""
    target: str | None = None
    """Compute capability to build for, like sm121; None is this machine's, and a DGX Spark's where
    there is no GPU."""
    prompts: str | None = None
    """Digest of prompts to compare pictures of; None holds some of the calibration's back."""
    count: int = 6
    """Pictures to compare."""
    seed: int = 0
    """Of the first; the next ones count up from it."""
    steps: int | None = None
    guidance: float | None = None
    width: int | None = None
    height: int | None = None

    @property
    def engines(self) -> EngineRequest:
        """The engines to build, calibrated here whatever ready ONNX there is."""
        assert self.runtime is not None
        return EngineRequest(
            model=self.model,
            precision=Precision(self.recipe),
            runtime=self.runtime,
            source=EngineSource.EXPORT,
            target=self.target,
            calibration_prompts=self.samples,
            calibration_steps=self.calibration_steps,
            prompts=self.calibration,
            level=self.level,
            smoothquant_alpha=self.smoothquant_alpha,
            percentile=self.percentile,
        )


class DenoiserSize(Contract):
    """Of the denoiser's weights in ONNX; the graph itself is not counted."""

    base: Precision
    """Of what is not quantised, and of the reference."""
    source_bytes: int
    whole_bytes: int
    quantised_bytes: int
    """Of the quantised weights alone, with their scales."""
    quantised_source_bytes: int
    ratio_whole: float
    ratio_quantised_layers: float
    layers: int
    """Quantised ones that have weights."""


class ImageRecipeLevel(Contract):
    level: float
    covers: Text
    size: DenoiserSize
    parts: tuple[str, ...]
    """GPU generations that compute all of it."""


class RuntimeChoice(Contract):
    """A runtime that a recipe's engines can be built for."""

    runtime: Runtime
    runs_here: bool
    """Where it does not, the pictures to compare are simulated in torch."""
    reason: Text


class ImageRecipeChoice(Contract):
    """One precision for one picture model on this machine."""

    name: Precision
    title: str
    possible: bool
    reason: Text
    """Why not, or that it can be made here."""
    calibrates_here: bool
    calibration: Text
    """On what, or why not."""
    runtimes: tuple[RuntimeChoice, ...] = ()
    """The one that is taken where none is asked for comes first."""
    levels: tuple[ImageRecipeLevel, ...] = ()
    level: float | None = None
    """The usual one."""
    samples: int
    steps: int
    smoothquant_alpha: float | None
    """None where the precision has none, as with the percentile."""
    percentile: float | None
    quality: Text
    """What is known of it, with source."""


class ImageRecipes(Contract):
    """What a picture model can be quantised to."""

    model: str
    name: str
    family: str
    licence: str
    here: bool
    """Whether its weights are on this machine; sizes are then of its own headers."""
    parameters: int
    """Of the denoiser."""
    recipes: tuple[ImageRecipeChoice, ...]


class ImageQuantizePlan(Contract):
    """What a job would do, found out without doing it."""

    model: str
    recipe: str
    request: QuantizeImagesRequest
    """With what was left out filled in, as far as that is known."""
    size: DenoiserSize | None
    engines: BuildEstimate | None
    memory_bytes: int | None
    """The most that a phase holds at once, roughly."""
    disk_bytes: int | None
    simulated: bool | None
    """Whether the pictures to compare are simulated in torch, as the engine cannot run here."""
    prompts: tuple[str, ...]
    """That pictures are compared of."""
    device: str
    checks: tuple[QuantizeCheck, ...]

    @property
    def problem(self) -> ErrorInfo | None:
        """The first thing in the way."""
        return next((check.error for check in self.checks if check.error is not None), None)


class ImagePrompts(Contract):
    """What a job calibrates on, and what it compares pictures of."""

    watched: tuple[str, ...]
    compared: tuple[str, ...]


class PicturePair(Contract):
    """A picture at both precisions: same prompt, seed and embeddings."""

    prompt: str
    seed: int
    reference: str
    """File names within the folder."""
    quantised: str
    psnr_db: float | None
    """None where both are the same, pixel by pixel."""
    ssim: float


class Spread(Contract):
    """Over the pictures."""

    median: float
    worst: float
    best: float


class PictureQuality(Contract):
    """How far the quantised pictures are from the reference's."""

    psnr_db: float | None
    """Median of the peak signal-to-noise ratio; None where at least half are the same."""
    ssim: float
    """Median of the structural similarity; 1 for the same picture."""
    psnr_spread: Spread | None
    """Of the pictures that differ; None where none does."""
    ssim_spread: Spread
    pictures: int
    identical: int
    simulated: bool
    """Made by torch with quantisers, and not by the engine."""
    runtime: Runtime
    """That the quantised pictures were made with: `torch` where they are simulated."""
    reference: Precision


class BlockSensitivity(Contract):
    """What quantising one block alone does to the denoiser's output, in torch."""

    block: str
    """Its path in the denoiser: `transformer_blocks.0`, `mid_block`."""
    layers: int
    relative_error: float
    """Root mean square of the difference over that of the reference's output."""


class Sensitivity(Contract):
    blocks: tuple[BlockSensitivity, ...]
    whole: float
    """The same of all blocks quantised together."""
    calls: int
    """Of the denoiser, with inputs of real pictures, that it was measured on."""


class ImageQuantizeManifest(Contract):
    """`manifest.json` beside the pictures."""

    format: int
    request: QuantizeImagesRequest
    source: str
    """Repository or folder of the model."""
    revision: str | None
    """Commit of the hub's repository, where it is from there."""
    fingerprint: str
    """Of the model's weights."""
    level: float
    smoothquant_alpha: float | None
    percentile: float | None
    samples: int
    calibration_steps: int
    calibration: str
    """SHA-256 of the calibration's file."""
    target: str
    engines: tuple[str, ...]
    """Ids, one a module."""
    size: DenoiserSize
    """As measured in the quantised ONNX."""
    estimated_bytes: int
    device: str
    versions: dict[str, str]
    made_at: float
    seconds: dict[str, float]
    """By phase."""
    peak_memory_bytes: dict[str, int] = Field(default_factory=dict)
    """Of the processes that made pictures and measured the sensitivity."""
    reference_step_ms: float
    step_ms: float | None
    """Of a denoising step, median; None where it is simulated."""
    quality: PictureQuality
    pictures: tuple[PicturePair, ...]
    sensitivity: Sensitivity


class QuantizeImagesResult(Contract):
    """What the job answers; `Studio.quantize_images.result` has the rest."""

    checkpoint: Checkpoint
    """`path` is the folder of pictures and manifest; sizes are of the denoiser's weights."""
    engines: tuple[str, ...]
    quality: PictureQuality


class QuantizedPictures(Contract):
    """All that came of a job."""

    job: str
    folder: str
    checkpoint: Checkpoint
    manifest: ImageQuantizeManifest
