"""Contact sheets for the documents: python -m tools.demo_models.contact FOLDER docs/images"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import torch
from torch.nn.functional import interpolate

from tools.demo_models.captions import describe
from tools.demo_models.cards import SDXL
from tools.demo_models.evaluate import load_painter, sheet
from tools.demo_models.heldout import compositions

SCENE_PROMPTS = (
    "a beautiful photograph of Mt. Fuji during cherry blossom",
    "Mt. Fuji at sunset in autumn",
    "a house with a blue roof at night",
    "a boat with red sails on the sea at sunset",
    "a forest in autumn",
    "a cactus in the desert",
    "a snowman with a green scarf",
    "a city skyline at night",
    "a meadow of yellow flowers",
    "a rainbow over the hills",
    "an orange hot air balloon",
    "야자수가 있는 섬",
)
WITHOUT = (
    ("a star", "a yellow star"),
    ("a heart", "a red heart on a blue background"),
    ("a forest in autumn", "orange"),
    ("the sea", "a boat"),
)
"""Prompts, and what a negative prompt keeps away."""
GUIDANCE = 5.0
SIDE = 176


def save_sheet(pictures: torch.Tensor, columns: int, path: Path) -> None:
    """Write [N, 3, H, W] as a PNG, a little smaller than they are to spare the repository."""
    small = interpolate(pictures, (SIDE, SIDE), mode="bilinear", antialias=True).clamp(0, 1)
    sheet(small, columns).save(path, optimize=True)


def guidance_rows(folder: Path) -> torch.Tensor:
    """`WITHOUT` without guidance, with it, and with its negative prompts, row by row."""
    prompts, negative = (list(part) for part in zip(*WITHOUT))
    alone, guided = load_painter(folder, guidance=1.0), load_painter(folder, guidance=GUIDANCE)
    rows = (alone(prompts, seed=7), guided(prompts, seed=7))
    return torch.cat([*rows, guided(prompts, seed=7, negative=negative)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    paint = load_painter(options.folder)
    rng = Random(4)
    unseen = [describe(spec, rng) for _, spec in compositions(seed=21, share=0.075)]
    for name, prompts, columns in (("scenes", list(SCENE_PROMPTS), 4), ("unseen", unseen, 5)):
        pictures = paint(prompts, seed=3)
        save_sheet(pictures, columns, options.target / f"{paint.card.name}-{name}.png")
        print(name, *prompts, sep="\n  ")
    if paint.card is SDXL:
        path = options.target / f"{paint.card.name}-guidance.png"
        save_sheet(guidance_rows(options.folder), len(WITHOUT), path)


if __name__ == "__main__":
    main()
