"""The flat list of painted parts a picture is made of, front part last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

KINDS = (
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "ring",
    "cross",
    "crescent",
    "box",
    "band",
    "mountain",
    "snowcap",
    "hull",
    "flower",
    "hoop",
    "cone",
)
KIND_INDEX = {kind: index for index, kind in enumerate(KINDS)}
PLAIN, STRIPED, DOTTED = 0, 1, 2

RGB = tuple[int, ...]


class Part(NamedTuple):
    """One painted shape; u, v in fractions of the frame, sizes in fractions of its shorter side.

    `stretch_u` says whether sx is a fraction of the frame's width instead (for skylines and hills),
    `pinned` whether u - 0.5 and v - 0.5 count in shorter sides from the centre (for things that touch).
    """

    kind: str
    colour: RGB
    u: float
    v: float
    sx: float
    sy: float
    texture: float = PLAIN
    shade: float = 0.0
    outline: float = 0.0
    param: float = 0.0
    phase: float = 0.0
    turn: float = 0.0
    stretch_u: float = 0.0
    pinned: float = 0.0


FIELDS = ("kind", "r", "g", "b", *Part._fields[2:])
COLUMN = {name: index for index, name in enumerate(FIELDS)}


@dataclass(frozen=True)
class Painting:
    """A background gradient (top, bottom) and parts from back to front."""

    top: RGB
    bottom: RGB
    parts: tuple[Part, ...]


def pack(paintings: list[Painting]) -> tuple[np.ndarray, np.ndarray]:
    """Backgrounds [B, 6] in 0..1 and parts [B, K, fields], kind -1 where there is none."""
    longest = max(1, max(len(painting.parts) for painting in paintings))
    grounds = np.array([p.top + p.bottom for p in paintings], np.float32) / 255
    table = np.full((len(paintings), longest, len(FIELDS)), -1, np.float32)
    for row, painting in zip(table, paintings):
        if painting.parts:
            row[: len(painting.parts)] = [
                (KIND_INDEX[part.kind], *part.colour, *part[2:]) for part in painting.parts
            ]
    table[:, :, 1:4] /= 255
    return grounds, table
