"""A pipeline in memory: whole, or its text encoders and what comes after them in turns.

T5 alone is 9.5 GB in BF16. Where all parts together do not fit, it must not sit beside the
transformer: prompts are encoded first, their embeddings kept, and the encoders let go.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum, auto

import torch
from diffusers import DiffusionPipeline

from backend.images.prompt_cache import PromptCache


class Part(Enum):
    WHOLE = auto()
    ENCODERS = auto()
    """Tokenizers and text encoders."""
    PAINTER = auto()
    """Denoiser, scheduler and VAE."""


Heard = Callable[[Part], AbstractContextManager[None]]
"""What stands around the loading of a part."""


class Parts:
    """One variant's pipeline; in turns it is in memory one part at a time."""

    def __init__(
        self,
        load: Callable[[Part], DiffusionPipeline],
        collect: Callable[[], None],
        device: torch.device,
        engines: frozenset[tuple[str, float]] = frozenset(),
        in_turns: bool = False,
    ) -> None:
        """`engines`: ids of its engines and when they were built; none for torch. `collect` gives
        freed memory back to the system."""
        self.device, self.engines, self.in_turns = device, engines, in_turns
        self.prompts = PromptCache()
        self._load, self._collect = load, collect
        self._held: Part | None = None
        self._pipeline: DiffusionPipeline | None = None

    def encoders(self, heard: Heard) -> DiffusionPipeline:
        """A pipeline that encodes prompts. Raises what loading raises."""
        return self._turn_to(Part.ENCODERS if self.in_turns else Part.WHOLE, heard)

    def painter(self, heard: Heard) -> DiffusionPipeline:
        """A pipeline that makes pictures of encoded prompts. Raises what loading raises."""
        return self._turn_to(Part.PAINTER if self.in_turns else Part.WHOLE, heard)

    def _turn_to(self, part: Part, heard: Heard) -> DiffusionPipeline:
        if self._held is not part or self._pipeline is None:
            if self._held is not None:
                self._held = self._pipeline = None
                self._collect()
            with heard(part):
                self._pipeline = self._load(part)
            self._held = part
        return self._pipeline
