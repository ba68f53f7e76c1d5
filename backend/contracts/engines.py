"""Engines: what is asked for, what made one, where it stands, what is in it."""

from pydantic import Field

from backend.contracts.base import Contract, Precision, Runtime
from backend.contracts.networks import Shapes
from backend.errors import Name
from backend.language import Text


class EngineSource(Name):
    """Where the ONNX of an engine comes from."""

    EXPORT = "export"
    """Our own export of the model's weights."""
    PREEXPORTED = "preexported"
    """The ONNX that the model's makers offer."""
    FILE = "file"
    """An ONNX file of the user's."""


class EngineProfile(Contract):
    """The sizes that an engine takes: pixels of a picture's sides, and pictures at once.

    TensorRT tunes for the size in the middle.
    """

    min_side: int
    max_side: int
    opt_width: int
    opt_height: int
    max_batch: int = 1
    static: bool = False
    """Takes the tuned size only; the bounds are then the shorter and the longer side of it."""

    @classmethod
    def of_size(cls, width: int, height: int, max_batch: int = 1) -> "EngineProfile":
        """The static profile of one size."""
        return cls(
            min_side=min(width, height),
            max_side=max(width, height),
            opt_width=width,
            opt_height=height,
            max_batch=max_batch,
            static=True,
        )

    @property
    def one_size(self) -> bool:
        return self.static or self.min_side == self.max_side

    @property
    def smallest(self) -> tuple[int, int]:
        """Width and height."""
        return self._tuned if self.static else (self.min_side, self.min_side)

    @property
    def largest(self) -> tuple[int, int]:
        return self._tuned if self.static else (self.max_side, self.max_side)

    @property
    def _tuned(self) -> tuple[int, int]:
        return self.opt_width, self.opt_height

    def takes(self, width: int, height: int) -> bool:
        if self.static:
            return (width, height) == self._tuned
        return all(self.min_side <= side <= self.max_side for side in (width, height))


class EngineRequest(Contract):
    """Engines to build: of all modules of a variant, or of one."""

    model: str
    precision: Precision
    runtime: Runtime = Runtime.TENSORRT
    module: str | None = None
    source: EngineSource | None = None
    """None is `preexported` where that exists for the precision and the model's own weights are
    not here, else `export`."""
    target: str | None = None
    """Compute capability to build for, like sm121; None is this machine's GPU, and a DGX Spark's
    where there is none."""
    profile: EngineProfile | None = None
    """None is every size that the model takes."""
    optimization_level: int = 3
    workspace_bytes: int | None = None
    weight_streaming: bool = False
    refit: bool = False
    calibration_prompts: int | None = None
    """Pictures to make while watching; None is as many as the precision usually takes."""
    calibration_steps: int | None = None
    """Denoising steps of each; None is as many as the model is run with."""
    prompts: str | None = None
    """Digest of the prompts to calibrate with, as `Studio.engines.keep_prompts` gave it; None is
    the model's own."""
    level: float | None = None
    """How much of the denoiser is quantised: 1, 2, 2.5, 3 or 4; None is the precision's usual."""
    smoothquant_alpha: float | None = None
    """For INT8: how much of the activations' range goes into the weights, 0 to 1."""
    percentile: float | None = None
    """For INT8 convolutions: which share of the activations counts for their range, 0 to 1."""
    again: bool = False
    """Build what is there already, too; each takes the place of its older self when it is whole."""


class EngineState(Name):
    VALID = "valid"
    STALE = "stale"
    OTHER_GPU = "other_gpu"
    BROKEN = "broken"


class EngineManifest(Contract):
    """What made an engine; kept beside it as `manifest.json`."""

    id: str
    model: str
    module: str
    """`transformer` or `unet`, `text_encoder`, `text_encoder_2`, `vae_decoder`, or `onnx`."""
    precision: Precision
    runtime: Runtime
    edition: str
    """`enterprise`, `rtx`, or `onnxruntime`."""
    version: str
    target: str
    """`cpu`, or the compute capability like sm121."""
    gpu: str | None
    """Name of the GPU that it was tuned on; None where it was built without one."""
    sm_count: int | None
    profile: EngineProfile | None
    """None for an ONNX file, which has `shapes`."""
    shapes: Shapes = Field(default_factory=dict)
    """Smallest, tuned and largest shape by input, of an ONNX file."""
    file: str
    file_sha256: str
    onnx_sha256: str
    model_fingerprint: str
    calibration: str | None
    """Digest of the calibration that it was quantised with."""
    size_bytes: int
    build_s: float
    layer_count: int
    relative_error: float | None
    """Of the ONNX file against torch on real inputs, both with the file's weights: root mean square
    of the difference over that of what torch computes in FP32. None where it was not run."""
    check: Text | None = None
    """How the ONNX file was run for that, or why it was not."""
    validated: bool | None = None
    """Whether the finished engine computes what torch does; None where it could not be run."""
    validation: Text | None = None
    """The error that was found then, or why it could not be run."""
    source: EngineSource = EngineSource.EXPORT
    onnx_source: str | None = None
    """`repository@commit/file` of a pre-exported ONNX; the path of the user's file."""
    source_mark: str | None = None
    """Sizes and times of change of the user's file and its external data."""
    created_at: float
    format: int
    request: EngineRequest | None = None
    """What was asked for when it was built; builds the same again."""
    """(min, opt, max) of every input."""


class Engine(Contract):
    """An engine on disk, and where it stands on this machine now."""

    manifest: EngineManifest
    state: EngineState
    reason: Text

    @property
    def usable(self) -> bool:
        """Whether it need not be built again, here or for the GPU that it is for."""
        return self.state in (EngineState.VALID, EngineState.OTHER_GPU)


class EngineLayer(Contract):
    name: str
    kind: str
    layer: str
    """The torch module that it came from, as far as the exporter noted it."""
    precision: str
    shapes: tuple[str, ...]
    """Of its outputs."""
    bytes: int
    """Of its weights."""
    parts: tuple[str, ...] = ()
    """Of a layer after fusion: the names of the nodes before it that it does the work of."""
    time_ms: float | None = None
    """Of a layer after fusion, in one run of the engine; None where it was not measured."""


class EngineView(Contract):
    """The layers of an engine, before and, where that is known, after fusion."""

    engine: Engine
    source: str
    """Where `layers` come from: `network`, as it was parsed, before fusion."""
    layers: tuple[EngineLayer, ...]
    fused: tuple[EngineLayer, ...] = ()
    """After fusion: the graph that ONNX Runtime runs, or what TensorRT's engine inspector tells."""
    unfused_reason: Text | None = None
    """Why there is no view after fusion."""
    command: str = ""
    """The command line that builds the same without the studio; empty where there is none."""


class TimesRequest(Contract):
    """An engine whose layers are to be timed one by one."""

    engine: str


class EngineResult(Contract):
    engines: tuple[str, ...]
    """Ids of all that were asked for."""
    built: int
    """How many of them were not there before."""
