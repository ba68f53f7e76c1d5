"""Models, their variants, and what can be asked of them."""

from backend.contracts.base import Contract, Precision, Runtime
from backend.errors import Name
from backend.language import Text


class VariantState(Name):
    """Where a variant (model x precision x runtime) stands on this machine."""

    READY = "ready"
    BUILDABLE = "buildable"
    DOWNLOADABLE = "downloadable"
    OTHER_GPU = "other_gpu"
    IMPOSSIBLE = "impossible"


class Variant(Contract):
    precision: Precision
    runtime: Runtime
    state: VariantState
    reason: Text
    """Why it stands there, in words."""
    loaded: bool = False
    memory_bytes: int
    """Memory that it takes when resident: measured where it has been loaded, else estimated; 0 when
    nothing is known yet."""


class ImageLimits(Contract):
    """What an image model takes. Sizes are in pixels."""

    native_width: int
    native_height: int
    min_side: int
    max_side: int
    multiple: int
    default_steps: int
    max_steps: int
    default_guidance: float
    max_guidance: float
    max_count: int
    max_prompt_characters: int
    max_prompt_tokens: int
    takes_negative_prompt: bool = False


class Model(Contract):
    id: str
    name: str
    family: str
    licence: str
    source: str
    """Where it comes from: a folder shipped with the studio, or a hub repository."""
    size_bytes: int
    limits: ImageLimits
    variants: tuple[Variant, ...]
    examples: tuple[str, ...] = ()
    """Prompts that show what it can do."""
