"""What the page, the command line, the API and the worker say to each other.

Sizes are in bytes, durations in seconds (`_s`) or milliseconds (`_ms`), times in seconds since the
epoch (`_at`).
"""

from backend.contracts.base import Contract, Precision, Runtime
from backend.contracts.building import BuildEstimate, BuildTarget, EngineGroup, PlannedEngine
from backend.contracts.engines import (
    Engine,
    EngineLayer,
    EngineManifest,
    EngineProfile,
    EngineRequest,
    EngineResult,
    EngineState,
    EngineView,
)
from backend.contracts.jobs import (
    LEGAL_TRANSITIONS,
    GenerateMetrics,
    GenerateRequest,
    GenerateResult,
    HistoryPage,
    ImageResult,
    JobEvent,
    JobKind,
    JobSnapshot,
    JobState,
    LoadRequest,
    LoadResult,
    PhaseView,
    QueueEntry,
    VerifyRequest,
    VerifyResult,
)
from backend.contracts.machine import (
    DROP_CACHES,
    GpuSample,
    Health,
    MemorySample,
    ResidentModel,
    StudioStatus,
    WorkerStatus,
)
from backend.contracts.models import ImageLimits, Model, Variant, VariantState
from backend.contracts.storage import (
    CleanUp,
    Storage,
    StorageGroup,
    StorageItem,
    StorageKind,
)
from backend.errors import ErrorInfo
from backend.language import Text

__all__ = [
    "DROP_CACHES",
    "LEGAL_TRANSITIONS",
    "BuildEstimate",
    "BuildTarget",
    "CleanUp",
    "Contract",
    "Engine",
    "EngineGroup",
    "EngineLayer",
    "EngineManifest",
    "EngineProfile",
    "EngineRequest",
    "EngineResult",
    "EngineState",
    "EngineView",
    "ErrorInfo",
    "GenerateMetrics",
    "GenerateRequest",
    "GenerateResult",
    "GpuSample",
    "Health",
    "HistoryPage",
    "ImageLimits",
    "ImageResult",
    "JobEvent",
    "JobKind",
    "JobSnapshot",
    "JobState",
    "LoadRequest",
    "LoadResult",
    "MemorySample",
    "Model",
    "PhaseView",
    "PlannedEngine",
    "Precision",
    "QueueEntry",
    "ResidentModel",
    "Runtime",
    "Storage",
    "StorageGroup",
    "StorageItem",
    "StorageKind",
    "StudioStatus",
    "Text",
    "Variant",
    "VariantState",
    "VerifyRequest",
    "VerifyResult",
    "WorkerStatus",
]
