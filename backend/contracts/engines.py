"""Engines: what is asked for, what made one, where it stands, what is in it."""

from backend.contracts.base import Contract, Precision, Runtime
from backend.errors import Name
from backend.language import Text


class EngineProfile(Contract):
    """The sizes that an engine takes: pixels of a picture's sides, and pictures at once.

    TensorRT tunes for the size in the middle; equal bounds make a static engine.
    """

    min_side: int
    max_side: int
    opt_width: int
    opt_height: int
    max_batch: int = 1

    def takes(self, width: int, height: int) -> bool:
        return all(self.min_side <= side <= self.max_side for side in (width, height))


class EngineRequest(Contract):
    """Engines to build: of all modules of a variant, or of one."""

    model: str
    precision: Precision
    runtime: Runtime = Runtime.TENSORRT
    module: str | None = None
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
    calibration_steps: int | None = None
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
    """`transformer`, `text_encoder`, `text_encoder_2` or `vae_decoder`."""
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
    profile: EngineProfile
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
    """Of the ONNX file against torch on real inputs: largest difference over largest value. None
    where no CPU kernel runs the file."""
    created_at: float
    format: int
    request: EngineRequest | None = None
    """What was asked for when it was built; builds the same again."""
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {}  # noqa: RUF012  a pydantic default
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


class EngineResult(Contract):
    engines: tuple[str, ...]
    """Ids of all that were asked for."""
    built: int
    """How many of them were not there before."""
