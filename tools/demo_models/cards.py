"""What the app is told of each demo model, and what the tools need to run it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NATIVE_SIZE = 256
SIZE_RANGE = (64, 256)
SIZE_MULTIPLE = 16
VAE_SCALE = 8
EXAMPLES = (
    "a beautiful photograph of Mt. Fuji during cherry blossom",
    "a red circle left of a blue square",
    "a yellow star above a purple heart",
    "a night sky with a moon and stars",
    "a boat with red sails on the sea at sunset",
    "a house and trees in snow",
    "분홍 하트 왼쪽에 있는 노란 별",
)
"""Prompts that the page offers."""


@dataclass(frozen=True)
class Card:
    """Name, pipeline class and defaults of a demo model."""

    name: str
    pipeline: str
    steps: int
    guidance: float
    prompt_tokens: int
    latent_channels: int
    names_prompt_length: bool = False

    def call_arguments(self) -> dict[str, Any]:
        """What the pipeline must be told beside prompt, size, steps and guidance."""
        return {"max_sequence_length": self.prompt_tokens} if self.names_prompt_length else {}


FLUX = Card("demo-flux", "FluxPipeline", 12, 3.5, 48, 16, names_prompt_length=True)
SDXL = Card("demo-sdxl", "StableDiffusionXLPipeline", 20, 2.0, 64, 4)
CARDS = {card.name: card for card in (FLUX, SDXL)}


def card_of(folder: Path) -> Card:
    """The card of the pipeline saved in a folder."""
    kind = json.loads((folder / "model_index.json").read_text())["_class_name"]
    for card in CARDS.values():
        if card.pipeline == kind:
            return card
    raise ValueError(f"{folder} holds a {kind}, which no demo model is")
