"""What the studio keeps on disk, and what of it may go."""

from backend.contracts.base import Contract
from backend.errors import Name
from backend.language import Text


class StorageKind(Name):
    HUB = "hub"
    ONNX = "onnx"
    ENGINES = "engines"
    STALE_ENGINES = "stale_engines"
    OTHER_ENGINES = "other_engines"
    BROKEN_ENGINES = "broken_engines"
    CHECKPOINTS = "checkpoints"
    SIMULATED = "simulated"
    CALIBRATIONS = "calibrations"
    TIMING = "timing"
    SERVERS = "servers"
    PREVIEWS = "previews"
    PICTURES = "pictures"
    LEFTOVERS = "leftovers"


class StorageItem(Contract):
    """One thing that is kept or goes as a whole."""

    key: str
    """Names it, and changes when its content does: what was shown is what goes."""
    kind: StorageKind
    name: str
    size_bytes: int
    changed_at: float
    kept: Text | None = None
    """Why it cannot go now."""


class StorageGroup(Contract):
    kind: StorageKind
    items: tuple[StorageItem, ...]

    @property
    def size_bytes(self) -> int:
        return sum(item.size_bytes for item in self.items)


class Storage(Contract):
    groups: tuple[StorageGroup, ...]
    foreign_hub_bytes: int
    """In the hub's cache, but not of a model of this studio: never touched."""
    disk_free_bytes: int
    disk_total_bytes: int

    @property
    def size_bytes(self) -> int:
        return sum(group.size_bytes for group in self.groups)


class CleanUp(Contract):
    """What a clean-up did."""

    gone: tuple[StorageItem, ...]
    kept: tuple[StorageItem, ...]
    """Asked for, but not deleted; each says why in `kept`."""

    @property
    def freed_bytes(self) -> int:
        return sum(item.size_bytes for item in self.gone)
