"""What a picture shows: frozen descriptions, how they are drawn by lot, and what is held out.

Places are fractions of the frame (u to the right, v down, 0..1); radii are fractions of the
shorter side of the frame.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from random import Random

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (218, 36, 40),
    "orange": (250, 138, 18),
    "yellow": (252, 218, 44),
    "green": (38, 158, 66),
    "blue": (38, 92, 222),
    "purple": (128, 46, 178),
    "pink": (252, 138, 192),
    "black": (24, 24, 28),
    "white": (250, 250, 248),
    "grey": (136, 139, 144),
    "brown": (122, 70, 34),
}
SHAPES = ("circle", "square", "triangle", "star", "heart", "ring", "cross", "crescent")
CONTAINERS = ("circle", "square", "triangle", "star", "heart", "ring")
SIZES = ("small", "medium", "large")
TEXTURES = ("plain", "striped", "dotted")
RELATIONS = ("left", "above", "inside", "front")
PLACES: dict[str, tuple[float, float]] = {
    "top left": (0.23, 0.23),
    "top": (0.5, 0.22),
    "top right": (0.77, 0.23),
    "left": (0.22, 0.5),
    "centre": (0.5, 0.5),
    "right": (0.78, 0.5),
    "bottom left": (0.23, 0.77),
    "bottom": (0.5, 0.78),
    "bottom right": (0.77, 0.77),
}
# name: colour at the top, colour at the bottom
BACKGROUNDS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "white": ((252, 252, 252), (246, 246, 248)),
    "light grey": ((208, 211, 215), (198, 201, 206)),
    "cream": ((252, 244, 222), (247, 236, 206)),
    "light blue": ((200, 228, 250), (184, 216, 244)),
    "light green": ((214, 242, 210), (198, 232, 194)),
    "lavender": ((230, 222, 248), (216, 206, 240)),
    "dark blue": ((24, 34, 78), (14, 22, 54)),
    "black": ((14, 14, 16), (8, 8, 10)),
    "sky": ((120, 186, 242), (226, 241, 252)),
    "sunrise": ((254, 206, 150), (255, 236, 206)),
    "twilight": ((44, 36, 92), (108, 84, 146)),
}
MIN_CONTRAST = 38.0
PAIR_HOLDOUT = 0.10


@dataclass(frozen=True)
class Thing:
    """One shape of a composition."""

    shape: str
    colour: str
    size: str
    texture: str
    u: float
    v: float
    radius: float

    @property
    def key(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Composition:
    """One thing at a place, or two in a relation; things[0] is the left, upper, inner, front one."""

    things: tuple[Thing, ...]
    relation: str | None
    place: str | None
    background: str


@dataclass(frozen=True)
class Scene:
    """A named little landscape; `seed` decides the details that no caption mentions."""

    name: str
    time: str
    season: str
    colour: str | None
    seed: int


Spec = Composition | Scene


def lab(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    """CIELAB (D65) of an sRGB colour of 0..255."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)
    ]
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    xyz = [sum(k * c for k, c in zip(row, linear)) / w for row, w in zip(rows, white)]
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz)
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def _contrast(colour: str, background: str) -> float:
    return min(math.dist(lab(COLOURS[colour]), lab(end)) for end in BACKGROUNDS[background])


FITTING_BACKGROUNDS = {
    colour: tuple(b for b in BACKGROUNDS if _contrast(colour, b) >= MIN_CONTRAST)
    for colour in COLOURS
}


def stable_fraction(text: str) -> float:
    """A number of 0..1 that depends on the text alone, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _held_out_pairs() -> frozenset[str]:
    """One colour for each shape, all different: 8 of the 88 pairs."""
    colours = sorted(COLOURS, key=lambda name: stable_fraction("colour " + name))
    shapes = sorted(SHAPES, key=lambda name: stable_fraction("shape " + name))
    return frozenset(f"{colour} {shape}" for colour, shape in zip(colours, shapes))


HELD_OUT_PAIRS = _held_out_pairs()


def relation_held_out(first: str, relation: str, second: str) -> bool:
    """Whether the two things in this relation are unseen; order and direction do not matter."""
    one, other = sorted((first, second))
    return stable_fraction(f"{one} | {relation} | {other}") < PAIR_HOLDOUT


def held_out(spec: Spec) -> bool:
    """Whether no training caption may contain this composition."""
    if isinstance(spec, Scene):
        return False
    if any(thing.key in HELD_OUT_PAIRS for thing in spec.things):
        return True
    if spec.relation is None:
        return False
    return relation_held_out(spec.things[0].key, spec.relation, spec.things[1].key)


def _look(rng: Random) -> tuple[str, str]:
    """A texture and a size, plain and medium most often."""
    texture = rng.choice(TEXTURES) if rng.random() < 0.4 else "plain"
    size = rng.choice(SIZES) if rng.random() < 0.6 else "medium"
    return texture, size


def _spread(rng: Random, reach: float) -> float:
    return rng.uniform(-reach, reach)


def draw_single(rng: Random, shape: str, colour: str) -> Composition:
    texture, size = _look(rng)
    place = rng.choice(list(PLACES)) if rng.random() < 0.5 else None
    if place not in (None, "centre") and size == "large":
        size = "medium"
    radius = {"small": 0.125, "medium": 0.195, "large": 0.32}[size] * rng.uniform(0.94, 1.06)
    u, v = PLACES[place] if place else (0.5, 0.5)
    thing = Thing(
        shape, colour, size, texture, u + _spread(rng, 0.02), v + _spread(rng, 0.02), radius
    )
    background = rng.choice(FITTING_BACKGROUNDS[colour])
    return Composition((thing,), None, place or "centre", background)


INNER_RADIUS = {
    "circle": 0.46,
    "square": 0.44,
    "triangle": 0.33,
    "star": 0.31,
    "heart": 0.42,
    "ring": 0.40,
}
INNER_DROP = {"triangle": 0.20, "heart": -0.08}


def draw_pair(
    rng: Random, relation: str, first: tuple[str, str], second: tuple[str, str], background: str
) -> Composition:
    """Two (shape, colour) things laid out so that the relation is plain to see."""
    (texture_a, size_a), (texture_b, size_b) = _look(rng), _look(rng)
    factor = rng.uniform(0.95, 1.05)
    if relation in ("left", "above"):
        radii = [
            {"small": 0.12, "medium": 0.165, "large": 0.215}[s] * factor for s in (size_a, size_b)
        ]
        near, far = 0.27 + _spread(rng, 0.02), 0.73 + _spread(rng, 0.02)
        across = 0.5 + _spread(rng, 0.04)
        side_a, side_b = across + _spread(rng, 0.02), across + _spread(rng, 0.02)
        centres = [(near, side_a), (far, side_b)]
        if relation == "above":
            centres = [(v, u) for u, v in centres]
    elif relation == "inside":
        size_a = size_b = "medium"
        texture_b = "plain"
        outer = 0.39 * factor
        u, v = 0.5 + _spread(rng, 0.03), 0.5 + _spread(rng, 0.02)
        radii = [outer * INNER_RADIUS[second[0]], outer]
        centres = [(u, v + INNER_DROP.get(second[0], 0.0) * outer), (u, v)]
    else:
        size_a = size_b = "medium"
        side = rng.choice((-1, 1))
        if second[0] == "crescent":
            side = -1  # its other side is hollow
        angle = rng.uniform(0.2, 1.1)
        radii = [0.175 * factor, 0.27 * factor]
        u, v = 0.5 - side * 0.08, 0.44 + _spread(rng, 0.02)
        reach = 0.275 * factor
        centres = [(u + side * reach * math.cos(angle), v + reach * math.sin(angle)), (u, v)]
    things = tuple(
        Thing(shape, colour, size, texture, u, v, radius)
        for (shape, colour), size, texture, (u, v), radius in zip(
            (first, second), (size_a, size_b), (texture_a, texture_b), centres, radii
        )
    )
    return Composition(things, relation, None, background)


def common_backgrounds(first: str, second: str) -> list[str]:
    return [b for b in FITTING_BACKGROUNDS[first] if b in FITTING_BACKGROUNDS[second]]


def random_pair(rng: Random, relation: str | None = None) -> Composition:
    """Two things of different colours, held out or not, in the given or any relation."""
    relation = relation or rng.choice(RELATIONS)
    while True:
        first = (rng.choice(SHAPES), rng.choice(list(COLOURS)))
        second = (
            rng.choice(CONTAINERS if relation == "inside" else SHAPES),
            rng.choice(list(COLOURS)),
        )
        backgrounds = common_backgrounds(first[1], second[1])
        if first[1] != second[1] and backgrounds:
            return draw_pair(rng, relation, first, second, rng.choice(backgrounds))


def random_single(rng: Random) -> Composition:
    return draw_single(rng, rng.choice(SHAPES), rng.choice(list(COLOURS)))
