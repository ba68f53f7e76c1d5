"""A rough picture of what an unfinished denoising run is heading for, without the VAE.

A VAE's latents are close to a linear picture: three weights a channel give its colours. The weights
are fitted once per model, by least squares, from a finished picture and its latents, and kept.
"""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

PATCH = 2
"""FLUX packs patches of 2x2 latents into one token."""


def unpack(latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """A pipeline's latents of one picture as (C, h, w); `height` and `width` are h and w.

    SDXL's are (1, C, h, w); FLUX's are tokens (1, h/2 * w/2, 4 * C).
    """
    if latents.ndim == 4:
        return latents[0]
    channels = latents.shape[-1] // PATCH**2
    grid = latents[0].reshape(height // PATCH, width // PATCH, channels, PATCH, PATCH)
    return grid.permute(2, 0, 3, 1, 4).reshape(channels, height, width)


def heading_for(
    before: torch.Tensor, after: torch.Tensor, sigma_before: float, sigma: float
) -> torch.Tensor:
    """The latents that a run is heading for, from those before and after a step.

    A step of Euler's method, of flow matching as of diffusion, moves the latents along their
    derivative by the change of sigma; this follows it down to sigma 0.
    """
    return after + (after - before) * (sigma / (sigma_before - sigma))


@dataclass(frozen=True)
class LatentColours:
    """Weights (C + 1, 3) from latents and a constant to RGB in 0..1."""

    weights: np.ndarray

    def picture(self, latents: torch.Tensor) -> Image.Image:
        """Latents (C, h, w) as a picture of h x w pixels."""
        rgb = _with_constant(latents) @ self.weights
        height, width = latents.shape[1:]
        pixels = (np.clip(rgb, 0, 1) * 255).round().astype(np.uint8)
        return Image.fromarray(pixels.reshape(height, width, 3))

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.weights.round(5).tolist()), encoding="utf-8")


def load_colours(file: Path) -> LatentColours | None:
    if not file.exists():
        return None
    return LatentColours(np.array(json.loads(file.read_text(encoding="utf-8")), dtype=np.float32))


def fit_colours(latents: torch.Tensor, picture: Image.Image) -> LatentColours:
    """Weights that turn latents (C, h, w) into their decoded picture, shrunk to h x w."""
    height, width = latents.shape[1:]
    small = picture.convert("RGB").resize((width, height), Image.Resampling.BOX)
    target = np.asarray(small, dtype=np.float32).reshape(-1, 3) / 255
    inputs = _with_constant(latents)
    ridge = 1e-2 * len(inputs) * np.eye(inputs.shape[1], dtype=np.float32)
    weights = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ target)
    return LatentColours(weights.astype(np.float32))


class Previews:
    """Preview files of one job, at most one in `interval_s`; none before colours are known."""

    def __init__(
        self, folder: Path, shipped: Path, learned: Path, size: tuple[int, int], interval_s: float
    ) -> None:
        """`folder` takes the pictures; `shipped` and `learned` are files of colours; `size` is the
        height and width of the latents."""
        self._folder = folder
        self._learned = learned
        self._colours = load_colours(shipped) or load_colours(learned)
        self._size = size
        self._interval_s = interval_s
        self._last_at = time.perf_counter()
        self._previous: torch.Tensor | None = None
        self._count = 0

    def begin(self) -> None:
        """A new picture starts from noise."""
        self._previous = None

    def make(self, latents: torch.Tensor, sigma_before: float, sigma: float) -> str | None:
        """The path of a new preview, if one is due.

        `sigma_before` and `sigma` are the noise levels around the step that made `latents`.
        """
        previous, self._previous = self._previous, latents
        now = time.perf_counter()
        if (
            self._colours is None
            or previous is None
            or self._interval_s == 0
            or now - self._last_at < self._interval_s
        ):
            return None
        self._last_at = now
        self._folder.mkdir(parents=True, exist_ok=True)
        self._count += 1
        file = self._folder / f"{self._count}.png"
        ahead = heading_for(previous, latents, sigma_before, sigma)
        self._colours.picture(unpack(ahead, *self._size)).save(file)
        return str(file)

    def learn(self, picture: Image.Image) -> None:
        """Fit and keep the colours from the finished picture of the last latents seen."""
        if self._colours is None and self._previous is not None:
            self._colours = fit_colours(unpack(self._previous, *self._size), picture)
            self._colours.save(self._learned)

    def clean_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _with_constant(latents: torch.Tensor) -> np.ndarray:
    flat = latents.detach().float().cpu().reshape(latents.shape[0], -1).T.numpy()
    return np.concatenate([flat, np.ones((len(flat), 1), dtype=np.float32)], axis=1)
