"""Fetching models from the Hugging Face hub: what is asked for, what it needs, what came of it."""

from backend.contracts.base import Contract, Precision
from backend.contracts.engines import EngineSource
from backend.errors import ErrorInfo


class FetchRequest(Contract):
    """A model to bring onto this machine."""

    model: str
    source: EngineSource = EngineSource.EXPORT
    """`export`: the model itself, for torch and for exports of our own. `preexported`: its ready
    ONNX files, and of the model only what runs around engines."""
    precision: Precision | None = None
    """Of the pre-exported ONNX."""
    module: str | None = None
    """The one module whose pre-exported ONNX is wanted; None is all."""


class FetchFile(Contract):
    name: str
    size_bytes: int
    here: bool
    """Whether it is wholly in the cache."""


class RepoPlan(Contract):
    """What one repository has to give."""

    repo: str
    url: str
    """Its page, where access to a gated repository is asked for."""
    commit: str = ""
    files: tuple[FetchFile, ...] = ()
    total_bytes: int = 0
    here_bytes: int = 0
    """Of `total_bytes`, those in the cache, begun files included."""
    offline: bool = False
    """The hub was not asked, or did not answer; the cache holds all that is needed."""
    problem: ErrorInfo | None = None
    """Why nothing can be fetched from it: no token, no access, no answer."""


class FetchPlan(Contract):
    """What a fetch would do, found out without fetching."""

    model: str
    repos: tuple[RepoPlan, ...]
    total_bytes: int
    here_bytes: int
    missing_bytes: int
    """What is to be fetched."""
    folder: str
    """Where the hub's cache is, or will be."""
    disk_free_bytes: int
    problem: ErrorInfo | None = None
    """The first thing in the way: that of a repository, or a disk that is too small."""


class FetchedRepo(Contract):
    repo: str
    commit: str
    folder: str
    files: int
    total_bytes: int
    fetched_bytes: int
    offline: bool


class FetchResult(Contract):
    model: str
    repos: tuple[FetchedRepo, ...]
    """Empty when nothing had to be fetched."""
