"""Fits the colours of unfinished pictures: python -m tools.demo_models.preview FOLDER

Writes FOLDER/preview.json: per latent channel, and for a constant, its share of red, green and blue
(see backend.images.preview), by least squares over a few pictures of the finished model.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from backend.images.preview import LatentColours, fit_colours, unpack
from tools.demo_models.cards import EXAMPLES, VAE_SCALE
from tools.demo_models.evaluate import load_painter

SIDE = 128
STEPS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    paint = load_painter(folder, steps=STEPS)
    cells = SIDE // VAE_SCALE
    latents, pictures = [], []
    for seed, prompt in enumerate(EXAMPLES):
        found = paint([prompt], SIDE, SIDE, seed, output="latent")
        picture = paint([prompt], SIDE, SIDE, seed)[0]
        latents.append(unpack(found, cells, cells) if found.ndim == 3 else found[0])
        pictures.append((picture.permute(1, 2, 0) * 255).round().byte().numpy())
    wide = Image.fromarray(np.concatenate(pictures, axis=1))
    colours: LatentColours = fit_colours(torch.cat(latents, dim=2), wide)
    colours.save(folder / "preview.json")


if __name__ == "__main__":
    main()
