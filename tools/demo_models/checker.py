"""Judges a picture by its pixels alone: colours, shapes and places of the things it should show.

The background is fitted as a vertical gradient through the picture's left and right borders.
Every pixel then goes to the nearest colour in CIELAB, and each thing's region is compared with
all eight shapes at the position and scale that fit best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from tools.demo_models.draw import SHAPE_FUNCTIONS
from tools.demo_models.spec import COLOURS, PLACES, SHAPES, Composition, Thing

GRID = 96
MIN_AREA = 0.004
MIN_OVERLAP = 0.55
MAX_STRANGE = 0.40
PLACE_REACH = 0.17
CONFUSABLE = 25.0


@dataclass(frozen=True)
class Fit:
    """The best shape for a region: centre and radius in units of the picture's shorter side."""

    shape: str
    overlap: float
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Verdict:
    """What is right; `relation` is the place of a single thing."""

    colour: bool
    shape: bool
    relation: bool

    @property
    def right(self) -> bool:
        return self.colour and self.shape and self.relation


WRONG = Verdict(False, False, False)


def to_lab(rgb: Tensor) -> Tensor:
    """CIELAB (D65) of sRGB colours [..., 3] in 0..1."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = rgb.new_tensor(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ matrix.T / rgb.new_tensor([0.9505, 1.0, 1.089])
    f = torch.where(xyz > 0.008856, xyz.clamp_min(1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def shrink(picture: Tensor) -> Tensor:
    """Picture [3, H, W] with the shorter side brought down to GRID pixels."""
    short = min(picture.shape[1:])
    if short <= GRID:
        return picture
    size = [round(side * GRID / short) for side in picture.shape[1:]]
    return interpolate(picture[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def fit_background(picture: Tensor) -> Tensor:
    """Colour of the vertical gradient behind everything, per row: [H, 3]."""
    rows = torch.cat([picture[:, :, :3], picture[:, :, -3:]], 2).median(2).values.T
    height = len(rows)
    line = torch.stack([torch.ones(height), torch.linspace(-1, 1, height)], 1)
    weight = torch.ones(height, 1)
    for _ in range(6):
        answer = torch.linalg.lstsq(line * weight, rows * weight).solution
        miss = (line @ answer - rows).abs().sum(1, keepdim=True)
        weight = 1 / (0.02 + miss)
    return (line @ answer).clamp(0, 1)


def tones(thing: Thing) -> list[Tensor]:
    """Colours a thing may be painted in: its own, its darker rim, the second tone of its texture."""
    base = torch.tensor(COLOURS[thing.colour]) / 255
    listed = [base, base * 0.58]
    if thing.texture != "plain":
        bright = float(base @ torch.tensor([0.30, 0.59, 0.11])) > 0.45
        listed.append(base * 0.66 if bright else base + (1 - base) * 0.42)
    return listed


def main_part(mask: Tensor) -> Tensor:
    """The connected part [H, W] of the mask with most pixels away from its edge."""
    labels = torch.arange(1, mask.numel() + 1.0).view(1, 1, *mask.shape) * mask
    while not torch.equal(spread := max_pool2d(labels, 3, 1, 1) * mask, labels):
        labels = spread
    core = -max_pool2d(-mask[None, None].float(), 3, 1, 1) * labels
    numbers, counts = core[core > 0].unique(return_counts=True)
    return labels[0, 0] == numbers[counts.argmax()] if len(numbers) else mask


@dataclass(frozen=True)
class Regions:
    """Masks [H, W]: of each thing's pixels, of unexpected colours, and of pixels in doubt."""

    things: list[Tensor]
    strange: Tensor
    doubtful: Tensor


def regions(picture: Tensor, things: tuple[Thing, ...]) -> Regions:
    """Give every pixel to the nearest tone of a thing, to another colour or to the background.

    The rim of a white thing is grey: where one thing's tone is another's colour, that other thing
    keeps its main part alone and the rest is in doubt.
    """
    owners, colours, confused = [], [], set()
    bases = to_lab(torch.stack([tones(thing)[0] for thing in things]))
    for index, thing in enumerate(things):
        for tone in tones(thing):
            apart = (to_lab(tone) - bases).norm(dim=-1)
            near = [i for i in range(len(things)) if i != index and apart[i] < CONFUSABLE]
            confused.update(near)
            if not near:
                owners.append(index)
                colours.append(tone)
    expected = {thing.colour for thing in things}
    for name, value in COLOURS.items():
        if name not in expected:
            owners.append(-1)
            colours.append(torch.tensor(value) / 255)
    lab = to_lab(picture.permute(1, 2, 0))
    distance = (lab[:, :, None] - to_lab(torch.stack(colours))).norm(dim=-1)
    nearest, which = distance.min(2)
    behind = (lab - to_lab(fit_background(picture))[:, None]).norm(dim=-1)
    owner = torch.tensor(owners)[which]
    owner[behind <= nearest] = -2
    doubtful = torch.zeros_like(owner, dtype=torch.bool)
    for index in confused:
        mask = owner == index
        rest = mask & ~main_part(mask)
        doubtful |= rest
        owner[rest] = -2
    return Regions([owner == i for i in range(len(things))], owner == -1, doubtful)


def template(shape: str, x: Tensor, y: Tensor, filled: bool = False) -> Tensor:
    """Mask of a shape over local coordinates; `filled` closes rings and crescents."""
    nothing = torch.zeros(())
    kind = "circle" if filled and shape in ("ring", "crescent") else shape
    return SHAPE_FUNCTIONS[kind](x, y, nothing, nothing) <= 0


def _unit_moments() -> dict[str, tuple[float, float, float]]:
    """Area and centroid of each shape at radius 1."""
    axis = (torch.arange(240) + 0.5) / 100 - 1.2
    moments = {}
    for shape in SHAPES:
        mask = template(shape, axis[None].expand(240, -1), axis[:, None].expand(-1, 240))
        y, x = (axis[where].mean() for where in mask.nonzero(as_tuple=True))
        moments[shape] = (float(mask.sum()) / 1e4, float(x), float(y))
    return moments


UNIT_MOMENTS = _unit_moments()


def grid(height: int, width: int, step: int = 1) -> tuple[Tensor, Tensor]:
    short = min(height, width)
    x = (torch.arange(0, width, step) + 0.5) / short
    y = (torch.arange(0, height, step) + 0.5) / short
    return x[None, :], y[:, None]


def _overlaps(shape: str, candidates: Tensor, region: Tensor, ignored: Tensor, step: int) -> Tensor:
    """Intersection over union of candidates [C, 3] (x, y, radius) with the region, [C]."""
    height, width = region.shape
    grid_x, grid_y = grid(height, width, step)
    x, y, radius = (candidates[:, i, None, None] for i in range(3))
    masks = template(shape, (grid_x - x) / radius, (grid_y - y) / radius)
    counted = ~ignored[::step, ::step]
    wanted = region[::step, ::step] & counted
    masks = masks & counted
    both = (masks & wanted).sum((1, 2))
    return both / (masks | wanted).sum((1, 2)).clamp_min(1)


def _around(centre: Tensor, shifts: Tensor, scales: Tensor) -> Tensor:
    """Candidates [C, 3] on a lattice about (x, y, radius); shifts in radii."""
    dx, dy, scale = torch.meshgrid(shifts, shifts, scales, indexing="ij")
    x, y, radius = centre
    return torch.stack([x + dx * radius, y + dy * radius, scale * radius], -1).view(-1, 3)


def fit_shape(region: Tensor, ignored: Tensor) -> Fit | None:
    """The shape that overlaps the region best where pixels are not ignored."""
    area = float(region.sum()) / min(region.shape) ** 2
    if area < MIN_AREA:
        return None
    hidden = bool((ignored & (max_pool2d(region[None, None].float(), 5, 1, 2)[0, 0] > 0)).any())
    height, width = region.shape
    grid_x, grid_y = grid(height, width)
    mean_x = float((grid_x * region).sum() / region.sum())
    mean_y = float((grid_y * region).sum() / region.sum())
    reach = 0.5 if hidden else 0.3
    shifts = torch.linspace(-reach, reach, 9 if hidden else 7)
    scales = torch.tensor([0.85, 0.95, 1.05, 1.15, 1.3] if hidden else [0.85, 0.93, 1.0, 1.08, 1.2])
    found = []
    for shape in SHAPES:
        unit_area, unit_x, unit_y = UNIT_MOMENTS[shape]
        radius = math.sqrt(area / unit_area)
        best = torch.tensor([mean_x - unit_x * radius, mean_y - unit_y * radius, radius])
        candidates = _around(best, shifts, scales)
        overlap = _overlaps(shape, candidates, region, ignored, 2)
        found.append((float(overlap.max()), shape, candidates[overlap.argmax()]))
    refined = []
    for _, shape, best in sorted(found, key=lambda row: -row[0])[:4]:
        for spread in (0.06, 0.025):
            shifts = torch.linspace(-spread, spread, 5)
            candidates = _around(best, shifts, 1 + shifts)
            overlap = _overlaps(shape, candidates, region, ignored, 1)
            best = candidates[overlap.argmax()]
        refined.append(Fit(shape, float(overlap.max()), *best.tolist()))
    return max(refined, key=lambda fit: fit.overlap)


def _mask(fit: Fit, height: int, width: int, filled: bool = False) -> Tensor:
    grid_x, grid_y = grid(height, width)
    return template(fit.shape, (grid_x - fit.x) / fit.radius, (grid_y - fit.y) / fit.radius, filled)


def relation_holds(relation: str, first: Fit, second: Fit, height: int, width: int) -> bool:
    """Whether the fitted shapes stand in the relation; first is left, above, inside or in front."""
    dx, dy = second.x - first.x, second.y - first.y
    if relation == "left":
        return dx > 0.15 and dx > abs(dy)
    if relation == "above":
        return dy > 0.15 and dy > abs(dx)
    other = _mask(second, height, width, filled=True)
    one = _mask(first, height, width, filled=relation == "front")
    shared = float((one & other).sum() / one.sum().clamp_min(1))
    if relation == "inside":
        return shared >= 0.85 and first.radius < second.radius
    return 0.05 <= shared < 0.85


def place_holds(place: str, fit: Fit, height: int, width: int) -> bool:
    u, v = PLACES[place]
    short = min(height, width)
    return math.dist((fit.x, fit.y), (u * width / short, v * height / short)) <= PLACE_REACH


def check(picture: Tensor, spec: Composition) -> Verdict:
    """Verdict on a picture [3, H, W] in 0..1 that should show the composition."""
    picture = shrink(picture.float())
    height, width = picture.shape[1:]
    seen = regions(picture, spec.things)
    fits: list[Fit] = []
    ignored = seen.doubtful
    for mask in seen.things:
        fit = fit_shape(mask & ~ignored, ignored)
        if fit is None or fit.overlap < MIN_OVERLAP:
            return WRONG
        fits.append(fit)
        if spec.relation in ("inside", "front"):
            covered = _mask(fit, height, width)[None, None].float()
            ignored = seen.doubtful | (max_pool2d(covered, 3, 1, 1)[0, 0] > 0)
    covered_area = float(sum(mask.sum() for mask in seen.things))
    colour = float(seen.strange.sum()) <= MAX_STRANGE * covered_area
    shape = all(fit.shape == thing.shape for fit, thing in zip(fits, spec.things))
    if spec.relation:
        relation = relation_holds(spec.relation, fits[0], fits[1], height, width)
    else:
        relation = place_holds(spec.place or "centre", fits[0], height, width)
    return Verdict(colour, shape, relation)
