"""What building engines will take, and what has been built, variant by variant."""

from backend.contracts.base import Contract, Precision, Runtime
from backend.contracts.engines import Engine
from backend.contracts.models import VariantState
from backend.errors import ErrorInfo
from backend.language import Text


class BuildTarget(Contract):
    """A GPU that engines can be built for on this machine."""

    target: str
    """`cpu`, or the compute capability like sm121."""
    name: str
    """The parts that have it, as people call them."""
    here: bool
    """Whether it is this machine's own."""


class PlannedEngine(Contract):
    module: str
    precision: Precision
    base: Precision
    """Of the ONNX file that it is exported to first."""
    there: bool
    """Built before, so that it need not be built again."""
    size_bytes: int
    """Of the engine; a guess from its weights where it is not there."""


class BuildEstimate(Contract):
    """What a build will need, as far as it can be told beforehand: guesses from the number of
    weights (backend/engines/needs.py)."""

    engines: tuple[PlannedEngine, ...]
    target: str
    target_name: str
    edition: str
    runs_here: bool
    download_bytes: int
    """0 where the model's files are here."""
    onnx_bytes: int
    engine_bytes: int
    """Of the engines that are still to be built."""
    disk_free_bytes: int
    memory_bytes: int
    """Roughly the most that a phase holds at once."""
    memory_limit_bytes: int
    """What a phase may hold."""
    seconds: float | None
    """From measured builds; None where there were none to go by."""
    seconds_from: str
    """`variant`: builds of the same variant; `model`: of others of this model; `models`: of other
    models, by their size; `` where nothing is known."""
    problem: ErrorInfo | None
    """Why the build would be refused."""

    @property
    def to_build(self) -> int:
        return sum(not engine.there for engine in self.engines)


class CalibrationChoices(Contract):
    """What can be chosen of a calibration, and what is taken where nothing is."""

    levels: tuple[float, ...]
    """Of quantisation, as backend/quantize/recipes.py has them."""
    level: float
    prompts: int
    """Pictures to watch."""
    prompts_found: int
    """How many prompts there are to make them of; 0 where their file cannot be read."""
    steps: int
    smoothquant_alpha: float | None
    """None where the precision has none, as with the percentile."""
    percentile: float | None


class EngineGroup(Contract):
    """The engines of one variant for one GPU. Variants share engines, so one may be in several."""

    model: str
    name: str
    precision: Precision | None
    """None for engines that no variant of a known model wants."""
    runtime: Runtime
    target: str
    target_name: str
    state: VariantState
    reason: Text
    loaded: bool
    in_use: bool
    engines: tuple[Engine, ...]
    missing: tuple[str, ...]
    """Modules of the variant that have no engine."""

    @property
    def key(self) -> str:
        return f"{self.model}/{self.precision or '-'}/{self.runtime}/{self.target}"

    @property
    def size_bytes(self) -> int:
        return sum(engine.manifest.size_bytes for engine in self.engines)
