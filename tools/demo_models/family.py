"""What training needs of a kind of pipeline: its parts, its text features and its goals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusers import AutoencoderKL
from torch import Tensor, nn

from tools.demo_models.cards import Card
from tools.demo_models.denoise import Goal
from tools.demo_models.models import parameters_of
from tools.demo_models.tokens import Tokenizers
from tools.demo_models.train_text import Features


@dataclass(frozen=True)
class Seconds:
    """Wall time of the stages; `distil` is for families with several goals."""

    vae: float
    text: float
    denoiser: float
    distil: float
    decoder: float


class Family(ABC):
    """The models of one pipeline while they are trained."""

    card: Card
    tokenizers: Tokenizers
    vae: AutoencoderKL
    encoders: dict[str, nn.Module]
    denoiser: nn.Module
    denoiser_name: str
    text_widths: tuple[int, int]
    text_cost: int
    vae_balance: float
    latent_spread: float
    centred: bool

    @property
    def models(self) -> dict[str, nn.Module]:
        """All models by the names of their files."""
        return {"vae": self.vae, **self.encoders, self.denoiser_name: self.denoiser}

    @property
    def size(self) -> int:
        return parameters_of(*self.models.values())

    def to(self, device: str) -> None:
        for model in self.models.values():
            model.to(device)

    @abstractmethod
    def encode_text(self, ids: Sequence[Tensor]) -> Features:
        """Features of token ids [B, L], without masks, as the pipeline has them."""

    @abstractmethod
    def goals(self, device: str) -> dict[str, Callable[[Features], Goal]]:
        """What the denoiser learns, in order, by stage; made with the empty caption's features."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the pipeline in FP16 in diffusers' folder layout."""
