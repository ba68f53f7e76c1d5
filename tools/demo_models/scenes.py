"""How each description becomes painted parts: compositions and the little landscapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from tools.demo_models.primitives import DOTTED, PLAIN, RGB, STRIPED, Painting, Part
from tools.demo_models.spec import BACKGROUNDS, COLOURS, Scene, Spec

TEXTURE_CODE = {"plain": PLAIN, "striped": STRIPED, "dotted": DOTTED}
TIMES = ("day", "sunset", "night")
SEASONS = ("none", "spring", "summer", "autumn", "winter")
SKIES: dict[str, tuple[RGB, RGB]] = {
    "day": ((96, 172, 240), (222, 240, 252)),
    "sunset": ((104, 74, 150), (255, 176, 96)),
    "night": ((10, 14, 44), (44, 54, 112)),
}
BLOSSOM: RGB = (255, 190, 214)
PETAL: RGB = (250, 158, 196)
BARK: RGB = (92, 58, 42)


def dim(colour: RGB, time: str) -> RGB:
    """The colour as it looks by day, at sunset or at night."""
    tint, amount = {
        "day": ((255, 255, 255), 0.0),
        "sunset": ((150, 70, 70), 0.30),
        "night": ((16, 22, 70), 0.42),
    }[time]
    return tuple(round(c * (1 - amount) + t * amount) for c, t in zip(colour, tint))


def disc(colour: RGB, u: float, v: float, r: float, **more: float) -> Part:
    return Part("circle", colour, u, v, r, r, **more)


def ground(colour: RGB, v: float, wave: float, rng: Random, waves: float = 4.0) -> Part:
    """Everything below the height v, its edge waving by `wave`."""
    phase = rng.uniform(0, 6.28)
    return Part("band", colour, 0.5, v, 1.0, wave, param=waves, phase=phase, shade=0.5)


def light(time: str, rng: Random, u: float | None = None) -> list[Part]:
    """Sun by day and at sunset, moon and stars at night."""
    if time == "day":
        u = rng.uniform(0.74, 0.86) if u is None else u
        return [disc((255, 246, 196), u, 0.17, 0.10), disc((255, 232, 110), u, 0.17, 0.075)]
    if time == "sunset":
        u = rng.uniform(0.42, 0.58) if u is None else u
        return [disc((255, 206, 120), u, 0.52, 0.17), disc((255, 236, 160), u, 0.52, 0.125)]
    stars = [
        Part("star", (255, 246, 200), rng.uniform(0.05, 0.95), rng.uniform(0.04, 0.42), s, s)
        for s in (rng.uniform(0.012, 0.022) for _ in range(9))
    ]
    u = rng.uniform(0.74, 0.86) if u is None else u
    return [*stars, Part("crescent", (255, 240, 180), u, 0.18, 0.085, 0.085)]


def clouds(rng: Random, time: str, count: int = 2) -> list[Part]:
    if time == "night":
        return []
    white = dim((255, 255, 255), time)
    parts = []
    for index in range(count):
        u = 0.15 + 0.42 * index + rng.uniform(-0.06, 0.06)
        v = rng.uniform(0.10, 0.22)
        for du, dv, r in ((-0.07, 0.01, 0.045), (0.0, -0.015, 0.06), (0.075, 0.012, 0.042)):
            parts.append(Part("circle", white, u + du, v + dv, 1.5 * r, r))
    return parts


def leaf_colour(season: str) -> RGB:
    return {
        "spring": BLOSSOM,
        "autumn": (226, 110, 34),
        "winter": (238, 244, 250),
    }.get(season, (58, 150, 72))


def grass_colour(season: str) -> RGB:
    return {"autumn": (190, 150, 70), "winter": (240, 245, 252)}.get(season, (112, 184, 84))


def tree(u: float, v: float, r: float, season: str, time: str) -> list[Part]:
    """A round tree standing on (u, v)."""
    crown = dim(leaf_colour(season), time)
    return [
        Part("box", dim(BARK, time), u, v - 0.5 * r, 0.16 * r, 0.75 * r),
        disc(crown, u, v - 1.75 * r, r, shade=1.0, outline=0.5),
    ]


def fir(u: float, v: float, r: float, season: str, time: str) -> list[Part]:
    green = dim((36, 110, 72) if season != "winter" else (70, 128, 104), time)
    parts = [Part("box", dim(BARK, time), u, v - 0.2 * r, 0.14 * r, 0.35 * r)]
    for level, width in ((0.75, 1.0), (1.35, 0.8), (1.9, 0.58)):
        parts.append(Part("triangle", green, u, v - level * r, width * r, 0.62 * r, shade=0.6))
    if season == "winter":
        parts.append(Part("triangle", (246, 250, 255), u, v - 2.2 * r, 0.30 * r, 0.32 * r))
    return parts


def limb(u0: float, v0: float, u1: float, v1: float, half: float, colour: RGB) -> Part:
    """A straight branch between two points of the frame."""
    length, turn = math.hypot(u1 - u0, v1 - v0), math.atan2(v1 - v0, u1 - u0)
    return Part("box", colour, (u0 + u1) / 2, (v0 + v1) / 2, length / 2, half, turn=turn)


def blossom_branches(rng: Random, side: int, season: str, time: str) -> list[Part]:
    """Branches that reach in from an upper corner (side 0 left, 1 right), flowers or leaves on them."""
    toward = 1 - 2 * side
    lines = [(-0.04, 0.03, 0.46, 0.13), (-0.04, 0.06, 0.27, 0.36), (0.16, 0.07, 0.34, 0.23)]
    lines = [(side + toward * a, b, side + toward * c, d) for a, b, c, d in lines]
    halves = (0.014, 0.013, 0.008)
    parts = [limb(*line, half, dim(BARK, time)) for line, half in zip(lines, halves)]
    kind, tones = (
        ("flower", (BLOSSOM, PETAL, (255, 222, 236)))
        if season == "spring"
        else ("circle", ((206, 60, 36), (232, 112, 36), (240, 160, 48)))
    )
    for index in range(18):
        u0, v0, u1, v1 = lines[(0, 1, 0, 1, 2, 0)[index % 6]]
        t = rng.uniform(0.1, 1.0)
        u = u0 + t * (u1 - u0) + rng.uniform(-0.03, 0.03)
        v = v0 + t * (v1 - v0) + rng.uniform(-0.04, 0.04)
        r = rng.uniform(0.036, 0.056) * (1.0 if kind == "flower" else 0.7)
        turn = rng.uniform(0, 6.28)
        parts.append(Part(kind, dim(tones[index % 3], time), u, v, r, r, turn=turn))
        if kind == "flower" and index % 2:
            parts.append(disc(dim((236, 96, 144), time), u, v, 0.28 * r))
    return parts


def fuji(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    u, top = rng.uniform(0.46, 0.54), rng.uniform(0.25, 0.29)
    half, base = rng.uniform(0.50, 0.55), 0.72
    middle, tall = (top + base) / 2, (base - top) / 2
    rock = dim(
        {"autumn": (110, 96, 132), "winter": (112, 132, 176)}.get(season, (88, 112, 168)), time
    )
    cap = {"summer": 0.22, "winter": 1.05}.get(season, 0.62)
    place = {"u": u, "v": middle, "sx": half, "sy": tall, "stretch_u": 1.0}
    side = rng.randrange(2)
    parts = light(time, rng, 0.5 if time == "sunset" else 0.18 + 0.64 * (1 - side))
    parts += clouds(rng, time) if season not in ("spring", "autumn") else []
    parts.append(Part("mountain", rock, **place, shade=0.5))
    parts.append(Part("snowcap", dim((250, 252, 255), time), **place, param=cap, phase=u * 40))
    parts.append(ground(dim(grass_colour(season), time), 0.70, 0.012, rng))
    parts.append(ground(dim((86, 150, 206), time), 0.78, 0.004, rng, 9.0))
    for index in range(6):
        at = 0.04 + 0.185 * index + rng.uniform(-0.03, 0.03)
        parts.append(
            disc(dim(leaf_colour(season), time), at, 0.715, rng.uniform(0.045, 0.06), shade=0.6)
        )
    parts.append(ground(dim(grass_colour(season), time), 0.90, 0.015, rng, 3.0))
    if season in ("spring", "autumn"):
        parts += blossom_branches(rng, side, season, time)
    return parts


def night(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    u = rng.uniform(0.62, 0.74)
    parts = [
        Part("star", (255, 244, 190), rng.uniform(0.05, 0.95), rng.uniform(0.05, 0.66), s, s)
        for s in (rng.uniform(0.014, 0.034) for _ in range(22))
    ]
    parts.append(Part("crescent", (255, 238, 170), u, 0.30, 0.17, 0.17, shade=0.4))
    parts.append(ground((20, 26, 66), 0.80, 0.05, rng, 3.0))
    parts.append(ground((10, 14, 40), 0.88, 0.03, rng, 5.0))
    return parts


def sea(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    u, v = rng.uniform(0.34, 0.62), 0.64
    sail = dim(COLOURS[colour or "white"], time)
    wood = dim((140, 82, 44), time)
    water = dim((38, 122, 196), time)
    deep = tuple(round(0.82 * c) for c in water)
    return [
        *light(time, rng),
        *clouds(rng, time),
        ground(water, 0.58, 0.004, rng, 12.0),
        Part("box", wood, u, v - 0.17, 0.009, 0.20),
        Part("triangle", sail, u + 0.085, v - 0.20, 0.085, 0.165, outline=0.6),
        Part("triangle", sail, u - 0.06, v - 0.16, 0.055, 0.125, outline=0.6),
        Part("hull", wood, u, v + 0.045, 0.20, 0.055, shade=0.6),
        ground(deep, 0.70, 0.010, rng, 9.0),
        ground(water, 0.80, 0.012, rng, 7.0),
        ground(deep, 0.90, 0.014, rng, 5.0),
    ]


def house(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    u, w = rng.uniform(0.36, 0.46), rng.uniform(0.20, 0.23)
    roof = dim(COLOURS[colour or "red"], time)
    window = (255, 226, 130) if time != "day" else (150, 206, 240)
    wall = dim((250, 236, 206), time)
    return [
        *light(time, rng, 0.80 if time != "sunset" else None),
        *clouds(rng, time),
        ground(dim(grass_colour(season), time), 0.74, 0.015, rng, 3.0),
        *tree(u + 0.38, 0.80, 0.105, season, time),
        Part("box", dim((150, 84, 60), time), u + 0.55 * w, 0.345, 0.03, 0.08),
        Part("box", wall, u, 0.67, w, 0.165, shade=0.3, outline=0.5),
        Part("cone", roof, u, 0.41, 1.28 * w, 0.125, shade=0.3, outline=0.5),
        Part("box", dim((136, 80, 44), time), u, 0.73, 0.045, 0.105),
        Part("box", window, u - 0.55 * w, 0.645, 0.042, 0.05, outline=0.6),
        Part("box", window, u + 0.55 * w, 0.645, 0.042, 0.05, outline=0.6),
    ]


def forest(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    parts = [
        *light(time, rng),
        *clouds(rng, time),
        ground(
            dim(tuple(round(0.85 * c) for c in grass_colour(season)), time), 0.62, 0.03, rng, 3.0
        ),
    ]
    for index in range(5):
        parts += tree(0.10 + 0.20 * index + rng.uniform(-0.02, 0.02), 0.70, 0.085, season, time)
    parts.append(ground(dim(grass_colour(season), time), 0.78, 0.02, rng, 3.0))
    for index in range(3):
        parts += tree(0.18 + 0.32 * index + rng.uniform(-0.04, 0.04), 0.90, 0.125, season, time)
    return parts


def desert(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    sand, dune = dim((240, 200, 126), time), dim((222, 172, 96), time)
    cactus = dim((52, 140, 78), time)
    u = rng.uniform(0.28, 0.40)
    parts = [
        *light(time, rng),
        ground(dune, 0.62, 0.045, rng, 2.0),
        ground(sand, 0.72, 0.03, rng, 3.0),
    ]
    for at, s in ((u, 1.0), (u + 0.40, 0.6)):
        foot = 0.86 if s == 1.0 else 0.76
        for du, dv, w, h in (
            (0.0, -0.20, 0.036, 0.20),
            (-0.085, -0.25, 0.022, 0.075),
            (-0.05, -0.19, 0.05, 0.022),
            (0.085, -0.29, 0.022, 0.085),
            (0.05, -0.22, 0.05, 0.022),
        ):
            parts.append(
                Part("square", cactus, at + s * du, foot + s * dv, s * w * 1.16, s * h * 1.16)
            )
    return parts


def snow(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    white = dim((250, 252, 255), time)
    scarf = dim(COLOURS[colour or "red"], time)
    coal, carrot = (30, 30, 36), dim((250, 138, 18), time)
    u = rng.uniform(0.32, 0.42)
    parts = [*light(time, rng), ground(dim((222, 234, 248), time), 0.64, 0.03, rng, 2.0)]
    for at in (0.66, 0.80, 0.93):
        parts += fir(at + rng.uniform(-0.02, 0.02), 0.74, 0.10, "winter", time)
    parts += [
        ground(white, 0.78, 0.015, rng, 3.0),
        disc(white, u, 0.74, 0.155, shade=1.0, outline=0.6),
        disc(white, u, 0.50, 0.105, shade=1.0, outline=0.6),
        Part("box", scarf, u, 0.595, 0.085, 0.022),
        Part("box", scarf, u + 0.055, 0.65, 0.020, 0.055),
        disc(coal, u - 0.036, 0.475, 0.013),
        disc(coal, u + 0.036, 0.475, 0.013),
        disc(coal, u, 0.70, 0.013),
        disc(coal, u, 0.76, 0.013),
        Part("triangle", carrot, u, 0.515, 0.016, 0.022),
    ]
    for _ in range(8):
        parts.append(disc((255, 255, 255), rng.random(), rng.uniform(0.03, 0.6), 0.011))
    return parts


def city(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    parts = [*light(time, rng), *clouds(rng, time, 1)]
    window = (255, 224, 120) if time != "day" else (190, 222, 246)
    tones = ((92, 108, 140), (128, 140, 164), (74, 88, 122))
    for index in range(5):
        u = 0.10 + 0.20 * index
        half = rng.choice((0.12, 0.18, 0.24))
        parts.append(
            Part("box", dim(tones[index % 3], time), u, 0.90 - half, 0.088, half, stretch_u=1.0)
        )
        for row in range(2 if half < 0.2 else 3):
            for du in (-0.04, 0.04):
                v = 0.90 - 2 * half + 0.06 + 0.10 * row
                parts.append(Part("box", window, u + du, v, 0.020, 0.026, stretch_u=1.0))
    parts.append(ground(dim((84, 90, 100), time), 0.88, 0.0, rng))
    return parts


def meadow(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    petal = dim(COLOURS[colour or "pink"], time)
    heart = dim((252, 218, 44) if colour != "yellow" else (200, 110, 30), time)
    parts = [
        *light(time, rng),
        *clouds(rng, time),
        ground(dim((90, 168, 84), time), 0.50, 0.03, rng, 2.0),
        ground(dim((120, 190, 84), time), 0.60, 0.02, rng, 3.0),
    ]
    for v, r, count in ((0.64, 0.036, 6), (0.75, 0.052, 5), (0.89, 0.075, 4)):
        for index in range(count):
            u = (index + 0.5) / count + rng.uniform(-0.03, 0.03)
            parts.append(Part("flower", petal, u, v, r, r, turn=rng.uniform(0, 6.28), outline=0.4))
            parts.append(disc(heart, u, v, 0.30 * r))
    return parts


RAINBOW: tuple[RGB, ...] = (
    (226, 52, 48),
    (250, 146, 32),
    (252, 222, 60),
    (60, 172, 84),
    (52, 112, 220),
    (134, 62, 184),
)


def rainbow(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    u, v = rng.uniform(0.47, 0.53), 0.74
    parts = [*clouds(rng, time)]
    for index, tone in enumerate(RAINBOW):
        r = 0.48 - 0.032 * index
        parts.append(Part("hoop", dim(tone, time), u, v, r, r, param=0.017 / r))
    parts.append(ground(dim((92, 170, 86), time), 0.70, 0.03, rng, 2.0))
    parts.append(ground(dim(grass_colour(season), time), 0.80, 0.02, rng, 3.0))
    parts += tree(0.16, 0.84, 0.07, season, time) + tree(0.84, 0.86, 0.08, season, time)
    return parts


def balloon(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    tone = dim(COLOURS[colour or "red"], time)
    u, v = rng.uniform(0.42, 0.58), rng.uniform(0.32, 0.36)
    rope, basket = dim((96, 66, 44), time), dim((150, 96, 52), time)
    return [
        *light(time, rng, 0.14 if time != "sunset" else None),
        ground(dim((104, 176, 110), time), 0.78, 0.05, rng, 2.0),
        ground(dim(grass_colour(season), time), 0.87, 0.03, rng, 3.0),
        Part("box", rope, u - 0.055, v + 0.26, 0.006, 0.08, turn=-0.2),
        Part("box", rope, u + 0.055, v + 0.26, 0.006, 0.08, turn=0.2),
        Part("cone", tone, u, v + 0.165, 0.17, 0.10, turn=3.14159),
        disc(tone, u, v, 0.22, shade=1.0),
        Part("circle", tuple(round(0.8 * c) for c in tone), u, v, 0.085, 0.22, shade=0.8),
        Part("box", basket, u, v + 0.36, 0.055, 0.040, outline=0.6),
    ]


def island(rng: Random, time: str, season: str, colour: str | None) -> list[Part]:
    water, leaf = dim((42, 158, 200), time), dim((44, 150, 76), time)
    u = rng.uniform(0.44, 0.56)
    parts = [
        *light(time, rng),
        *clouds(rng, time),
        ground(water, 0.60, 0.004, rng, 12.0),
        Part("circle", dim((244, 212, 140), time), u, 0.80, 0.34, 0.11, shade=0.4),
        Part("box", dim((140, 92, 54), time), u + 0.02, 0.57, 0.018, 0.19, turn=0.10),
    ]
    for side in (-1, 1):
        for drop, turn in ((-0.035, -0.45), (0.0, 0.05), (0.045, 0.55)):
            parts.append(
                Part(
                    "circle",
                    leaf,
                    u + 0.04 + side * 0.085,
                    0.385 + drop,
                    0.10,
                    0.026,
                    turn=side * turn,
                )
            )
    return parts


SCENES: dict[str, Callable[[Random, str, str, str | None], list[Part]]] = {
    "fuji": fuji,
    "night": night,
    "sea": sea,
    "house": house,
    "forest": forest,
    "desert": desert,
    "snow": snow,
    "city": city,
    "meadow": meadow,
    "rainbow": rainbow,
    "balloon": balloon,
    "island": island,
}
SCENE_TIMES = {"night": ("night",), "rainbow": ("day",)}
SCENE_SEASONS = {
    "fuji": SEASONS,
    "house": SEASONS,
    "forest": SEASONS,
}
SCENE_COLOURS = {
    "sea": ("white", "red", "yellow", "blue", "orange", "green"),
    "house": ("red", "blue", "green", "brown", "orange", "purple"),
    "snow": ("red", "blue", "green", "yellow", "purple"),
    "meadow": ("pink", "red", "yellow", "white", "purple", "orange"),
    "balloon": ("red", "yellow", "blue", "green", "orange", "purple", "pink"),
}


def random_scene(rng: Random, name: str | None = None) -> Scene:
    """A scene by lot; what is left at its plain value need not be named in the caption."""
    name = name or rng.choice(list(SCENES))
    if name == "fuji" and rng.random() < 0.4:
        time, season = "day", "spring"
    else:
        times = SCENE_TIMES.get(name, TIMES)
        time = rng.choice(times) if rng.random() < 0.6 else times[0]
        seasons = SCENE_SEASONS.get(name, ("none",))
        season = rng.choice(seasons) if rng.random() < 0.7 else "none"
    colours = SCENE_COLOURS.get(name)
    colour = rng.choice(colours) if colours and rng.random() < 0.7 else None
    return Scene(name, time, season, colour, rng.getrandbits(32))


def paint(spec: Spec) -> Painting:
    """The parts of a description; the same description always gives the same parts."""
    if isinstance(spec, Scene):
        parts = SCENES[spec.name](Random(spec.seed), spec.time, spec.season, spec.colour)
        top, bottom = SKIES[spec.time]
        return Painting(top, bottom, tuple(parts))
    parts = [
        Part(
            thing.shape,
            COLOURS[thing.colour],
            thing.u,
            thing.v,
            thing.radius,
            thing.radius,
            texture=TEXTURE_CODE[thing.texture],
            shade=1.0,
            outline=1.0,
            pinned=float(spec.relation in ("inside", "front")),
        )
        for thing in reversed(spec.things)
    ]
    top, bottom = BACKGROUNDS[spec.background]
    return Painting(top, bottom, tuple(parts))
