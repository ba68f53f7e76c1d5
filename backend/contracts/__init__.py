"""What the page, the command line, the API and the worker say to each other.

Sizes are in bytes, durations in seconds (`_s`) or milliseconds (`_ms`), times in seconds since the
epoch (`_at`).
"""

from backend.contracts.base import Contract, Precision, Runtime
from backend.contracts.engines import (
    Engine,
    EngineLayer,
    EngineManifest,
    EngineProfile,
    EngineRequest,
    EngineResult,
    EngineSource,
    EngineState,
    EngineView,
)
from backend.contracts.fetch import (
    FetchedRepo,
    FetchFile,
    FetchPlan,
    FetchRequest,
    FetchResult,
    RepoPlan,
)
from backend.contracts.jobs import (
    BYTE_PHASES,
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
from backend.errors import ErrorInfo
from backend.language import Text

__all__ = [
    "BYTE_PHASES",
    "DROP_CACHES",
    "LEGAL_TRANSITIONS",
    "Contract",
    "Engine",
    "EngineLayer",
    "EngineManifest",
    "EngineProfile",
    "EngineRequest",
    "EngineResult",
    "EngineSource",
    "EngineState",
    "EngineView",
    "ErrorInfo",
    "FetchFile",
    "FetchPlan",
    "FetchRequest",
    "FetchResult",
    "FetchedRepo",
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
    "MemorySample",
    "Model",
    "PhaseView",
    "Precision",
    "QueueEntry",
    "RepoPlan",
    "ResidentModel",
    "Runtime",
    "StudioStatus",
    "Text",
    "Variant",
    "VariantState",
    "VerifyRequest",
    "VerifyResult",
    "WorkerStatus",
]
