"""Batched drawing of painted parts as signed-distance shapes, on the CPU or a GPU, at any size.

Every shape function takes local coordinates x, y (1 is the part's half extent, y down) and gives
a signed distance in the same unit, negative inside. Edges are one pixel of coverage wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tools.demo_models.primitives import COLUMN, DOTTED, KINDS, STRIPED, Painting, pack

OUTLINE_WIDTH = 0.011
EFFECTS = ("texture", "shade", "outline")


def circle(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    return torch.hypot(x, y) - 1


def rounded_box(x: Tensor, y: Tensor, half: float, corner: float) -> Tensor:
    dx, dy = x.abs() - (half - corner), y.abs() - (half - corner)
    outside = torch.hypot(dx.clamp_min(0), dy.clamp_min(0))
    return outside + torch.maximum(dx, dy).clamp_max(0) - corner


def square(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    return rounded_box(x, y, 0.86, 0.06)


def box(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    return rounded_box(x, y, 1.0, 0.0)


def triangle(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    """Upright, from the apex (0, -1) to the base y = 0.78 of half width 1.02."""
    length = math.hypot(1.78, 1.02)
    side = (1.78 * x.abs() - 1.02 * (y + 1)) / length
    return torch.maximum(side, y - 0.78)


def star(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    """Five points of radius 1.08, inner corners of radius 0.50."""
    sector = 2 * math.pi / 5
    angle = torch.atan2(x, -y)
    folded = (angle - sector * torch.round(angle / sector)).abs()
    radius = torch.hypot(x, y)
    px, py = radius * torch.cos(folded), radius * torch.sin(folded)
    corner_x, corner_y = 0.50 * math.cos(sector / 2), 0.50 * math.sin(sector / 2)
    edge_x, edge_y = corner_x - 1.08, corner_y
    length = math.hypot(edge_x, edge_y)
    return (edge_y * (px - 1.08) - edge_x * py) / length


def heart(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    """A square on its corner with a half disc on each upper side."""
    side = 0.60
    y = y - 0.12
    right, left = (x + y) / math.sqrt(2), (x - y) / math.sqrt(2)
    body = torch.maximum(right.abs(), left.abs()) - side
    offset = side / math.sqrt(2)
    lobes = torch.hypot(x.abs() - offset, y + offset) - side
    return torch.minimum(body, lobes)


def ring(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.78).abs() - 0.22


def hoop(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 1).abs() - param


def cross(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    ax, ay = x.abs(), y.abs()
    upright = torch.maximum(ax - 0.32, ay - 0.96)
    level = torch.maximum(ax - 0.96, ay - 0.32)
    return torch.minimum(upright, level)


def crescent(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(x, y) - 1, 0.80 - torch.hypot(x - 0.46, y + 0.12))


def cone(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    """A roof: a trapezium from half width 0.45 at the top to 1 at the bottom."""
    return torch.maximum(y.abs() - 1, (x.abs() - 0.725 - 0.275 * y) * 0.964)


def hull(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    return torch.maximum(y.abs() - 1, (x.abs() - 0.80 + 0.20 * y) * 0.98)


def band(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    """Below a wavy line; y counts in amplitudes here."""
    return torch.sin(param * x * 1.5 + phase) - y


def mountain(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    """A cone with hollow slopes and a flat top, from y = -1 to 1."""
    slope = ((1.06 - x.abs()) / 0.94).clamp(0, 1) ** 1.45
    return (1 - 2 * slope - y) * 0.5


def snowcap(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    """The top of the mountain down to a ragged line `param` below its peak."""
    ragged = 0.16 * torch.sin(17 * x + phase) + 0.07 * torch.sin(41 * x)
    return torch.maximum(mountain(x, y, param, phase), (y + 1 - param - ragged * param) * 0.3)


def flower(x: Tensor, y: Tensor, param: Tensor, phase: Tensor) -> Tensor:
    petals = 0.80 + 0.20 * torch.cos(5 * torch.atan2(x, -y))
    return (torch.hypot(x, y) - petals) * 0.8


SHAPE_FUNCTIONS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "heart": heart,
    "ring": ring,
    "cross": cross,
    "crescent": crescent,
    "box": box,
    "band": band,
    "mountain": mountain,
    "snowcap": snowcap,
    "hull": hull,
    "flower": flower,
    "hoop": hoop,
    "cone": cone,
}


def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixel centres x [1, 1, W] and y [1, H, 1] in units of the shorter side."""
    short = min(height, width)
    x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) / short
    y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / short
    return x[None, None], y[None, :, None]


Column = Callable[[str], Tensor]


def _textured(base: Tensor, x: Tensor, y: Tensor, column: Column, pixel: float) -> Tensor:
    """Base colours [N, 3] with stripes or dots in a second tone where wanted: [N, 3, H, W]."""
    bright = (base * base.new_tensor([0.30, 0.59, 0.11])).sum(1, keepdim=True) > 0.45
    second = torch.where(bright, base * 0.66, base + (1 - base) * 0.42)[:, :, None, None]
    base = base[:, :, None, None]
    texture, blur = column("texture"), pixel / column("sx")
    stripe_phase = ((x + y) * 1.25 + 0.31) % 1.0
    stripes = (0.19 - (stripe_phase - 0.5).abs()) / (1.77 * blur) + 0.5
    dot_x, dot_y = (x * 1.9 + 0.5) % 1.0 - 0.5, (y * 1.9 + 0.5) % 1.0 - 0.5
    dots = (0.27 - torch.hypot(dot_x, dot_y)) / (1.9 * blur) + 0.5
    pattern = torch.where(texture == STRIPED, stripes, torch.where(texture == DOTTED, dots, -9.0))
    return base + (second - base) * pattern.clamp(0, 1)[:, None]


def _surface(
    fields: Tensor,
    x: Tensor,
    y: Tensor,
    depth: Tensor,
    column: Column,
    pixel: float,
    used: set[str],
) -> Tensor:
    """Colours [N, 3, H or 1, W or 1] of a part: texture, soft shading, darker rim.

    Depth below the edge is in units of the frame's shorter side; effects not in `used` are skipped.
    """
    base = fields[:, COLUMN["r"] : COLUMN["b"] + 1]
    colour = base[:, :, None, None]
    if "texture" in used:
        colour = _textured(base, x, y, column, pixel)
    if "shade" in used:
        shade = column("shade")
        glow = (1 - torch.hypot(x + 0.35, y + 0.40) / 0.9).clamp(0, 1) ** 2
        colour = colour * (1 - 0.10 * shade * y.clamp(-1, 1))[:, None]
        colour = colour + (1 - colour) * (0.20 * shade * glow)[:, None]
    if "outline" in used:
        rim = ((OUTLINE_WIDTH - depth) / pixel + 0.5).clamp(0, 1) * column("outline")
        colour = colour * (1 - 0.42 * rim)[:, None]
    return colour


def _steepness(field: Tensor, pixel: float) -> Tensor:
    """Length of the gradient of field [N, H, W] per unit of length, by central differences."""
    padded = torch.nn.functional.pad(field[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    along_x = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    along_y = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    return torch.hypot(along_x, along_y) / (2 * pixel)


def _paint_part(
    canvas: Tensor, rows: Tensor, fields: Tensor, kind: str, pixel: float, used: set[str]
) -> None:
    """Blend one part of each of the chosen pictures into canvas [B, 3, H, W]; fields [N, F]."""

    def column(name: str) -> Tensor:
        return fields[:, COLUMN[name], None, None]

    height, width = canvas.shape[-2:]
    grid_x, grid_y = _grid(height, width, canvas.device)
    extent_x, extent_y = width * pixel, height * pixel
    sx, sy = column("sx"), column("sy")
    sx = torch.where(column("stretch_u") > 0, sx * extent_x, sx)
    pinned, u, v = column("pinned") > 0, column("u"), column("v")
    dx = grid_x - torch.where(pinned, u + (extent_x - 1) / 2, u * extent_x)
    dy = grid_y - torch.where(pinned, v + (extent_y - 1) / 2, v * extent_y)
    if kind == "band":
        sx, sy = sx * extent_x / 2, sy.clamp_min(1e-3)
        x, y = (dx / sx).expand(-1, height, -1), (dy / sy).expand(-1, -1, width)
    else:
        cos, sin = torch.cos(column("turn")), torch.sin(column("turn"))
        x, y = (cos * dx + sin * dy) / sx, (cos * dy - sin * dx) / sy
    raw = SHAPE_FUNCTIONS[kind](x, y, column("param"), column("phase"))
    distance = raw / _steepness(raw, pixel).clamp_min(1 / torch.maximum(sx, sy))
    cover = (0.5 - distance / pixel).clamp(0, 1)[:, None]
    if kind == "band":
        y = (dy / 0.2 - 1).expand(-1, -1, width)
    colour = _surface(fields, x, y, -distance, column, pixel, used)
    behind = canvas[rows]
    canvas[rows] = behind + (colour - behind) * cover


def draw(paintings: list[Painting], height: int, width: int, device: str = "cpu") -> Tensor:
    """Pictures [B, 3, H, W] in 0..1."""
    return draw_packed(*pack(paintings), height, width, device)


@torch.no_grad()
def draw_packed(
    grounds: np.ndarray, table: np.ndarray, height: int, width: int, device: str = "cpu"
) -> Tensor:
    """Pictures [B, 3, H, W] in 0..1 from packed paintings; see primitives.pack."""
    ends = torch.from_numpy(grounds).to(device).view(-1, 2, 3, 1, 1)
    fields = torch.from_numpy(table).to(device)
    pixel = 1 / min(height, width)
    _, grid_y = _grid(height, width, fields.device)
    slide = grid_y * min(height, width) / height
    canvas = (ends[:, 0] + (ends[:, 1] - ends[:, 0]) * slide).expand(-1, -1, -1, width).contiguous()
    kinds = table[:, :, 0].astype(int)
    for slot in range(table.shape[1]):
        for index in np.unique(kinds[:, slot]):
            if index < 0:
                continue
            chosen = np.flatnonzero(kinds[:, slot] == index)
            used = {name for name in EFFECTS if table[chosen, slot, COLUMN[name]].any()}
            rows = torch.from_numpy(chosen).to(device)
            _paint_part(canvas, rows, fields[rows, slot], KINDS[index], pixel, used)
    return canvas.clamp_(0, 1)
