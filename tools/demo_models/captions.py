"""English captions: many wordings for every description. Korean ones are in captions_ko.py."""

from __future__ import annotations

from random import Random

from tools.demo_models import captions_ko
from tools.demo_models.spec import Composition, Scene, Spec, Thing

KOREAN_SHARE = 0.3

SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}
TEXTURE_WORDS = {"striped": ("striped", "stripy"), "dotted": ("dotted", "spotted")}
TEXTURE_ENDINGS = {"striped": ("with stripes",), "dotted": ("with dots", "with spots")}
SHAPE_WORDS = {
    "circle": ("circle", "circle", "circle", "disc"),
    "ring": ("ring",),
    "crescent": ("crescent",),
    "cross": ("cross", "cross", "plus sign"),
}
COLOUR_WORDS = {"grey": ("grey", "gray")}
PLACE_WORDS = {
    "top left": ("at the top left", "in the top left corner", "in the upper left corner"),
    "top": ("at the top", "at the top centre", "near the top"),
    "top right": ("at the top right", "in the top right corner", "in the upper right corner"),
    "left": ("on the left", "on the left side", "at the left"),
    "centre": ("in the centre", "in the middle", "at the center"),
    "right": ("on the right", "on the right side", "at the right"),
    "bottom left": ("at the bottom left", "in the bottom left corner", "in the lower left corner"),
    "bottom": ("at the bottom", "at the bottom centre", "near the bottom"),
    "bottom right": (
        "at the bottom right",
        "in the bottom right corner",
        "in the lower right corner",
    ),
}
BACKGROUND_WORDS = {
    "sky": ("a blue sky", "a sky"),
    "sunrise": ("a sunrise", "a peach"),
    "twilight": ("a twilight", "a dusk"),
    "light grey": ("a light grey", "a light gray"),
    "dark blue": ("a dark blue", "a navy"),
}
RELATION_WORDS = {
    "left": (
        "{a} to the left of {b}",
        "{a} left of {b}",
        "{a} on the left of {b}",
        "{a} on the left side of {b}",
        "{b} to the right of {a}",
        "{b} right of {a}",
        "{b} on the right of {a}",
        "{b} on the right side of {a}",
        "{a} on the left and {b} on the right",
        "{b} on the right and {a} on the left",
        "on the left {a}, on the right {b}",
        "{a} beside {b}, with {a0} on the left",
        "{b} next to {a}, with {b0} on the right",
        "from left to right, {a} and {b}",
    ),
    "above": (
        "{a} above {b}",
        "{a} over {b}",
        "{a} higher than {b}",
        "{a} directly above {b}",
        "{b} below {a}",
        "{b} under {a}",
        "{b} beneath {a}",
        "{b} underneath {a}",
        "{b} lower than {a}",
        "{a} at the top and {b} at the bottom",
        "{b} at the bottom and {a} at the top",
        "from top to bottom, {a} and {b}",
    ),
    "inside": (
        "{a} inside {b}",
        "{a} inside of {b}",
        "{a} within {b}",
        "{a} enclosed by {b}",
        "{a} surrounded by {b}",
        "{b} with {a} inside",
        "{b} with {a} inside it",
        "{b} containing {a}",
        "{b} around {a}",
        "{b} surrounding {a}",
    ),
    "front": (
        "{a} in front of {b}",
        "{a} placed in front of {b}",
        "{a} partly covering {b}",
        "{a} overlapping {b} in front",
        "{b} behind {a}",
        "{b} partly hidden by {a}",
        "{b} partly hidden behind {a}",
        "{b} with {a} in front",
        "{b} with {a} in front of it",
    ),
}
FRAMES = (
    "{x}",
    "{x}",
    "{x}",
    "a picture of {x}",
    "an image of {x}",
    "a drawing of {x}",
    "an illustration of {x}",
    "a painting of {x}",
    "a photo of {x}",
    "a photograph of {x}",
    "a beautiful photograph of {x}",
    "a beautiful picture of {x}",
    "please draw {x}",
    "show me {x}",
    "there is {x}",
)
TIME_WORDS = {
    "day": ("", "", "on a sunny day", "by day", "under a blue sky", "in the daytime"),
    "sunset": ("at sunset", "at dusk", "in the evening", "during sunset", "in the evening light"),
    "night": ("at night", "by night", "in the moonlight", "under the stars", "on a starry night"),
}
SEASON_WORDS = {
    "none": ("",),
    "spring": (
        "in spring",
        "in the spring",
        "with cherry blossoms",
        "in cherry blossom season",
        "during cherry blossom",
    ),
    "summer": ("in summer", "in the summer"),
    "autumn": ("in autumn", "in fall", "with autumn leaves", "in the autumn"),
    "winter": ("in winter", "in the winter", "in the snow", "covered with snow"),
}
FUJI_SPRING = (
    "during cherry blossom",
    "during cherry blossom season",
    "with cherry blossoms",
    "with cherry blossom",
    "behind cherry blossoms",
    "and cherry trees",
    "with pink blossoms",
    "in spring",
    "with sakura",
)
SCENE_WORDS = {
    "fuji": (
        "Mt. Fuji",
        "Mt. Fuji",
        "Mt Fuji",
        "Mount Fuji",
        "mount Fuji in Japan",
        "the mountain Fuji",
        "a mountain like Fuji",
        "a snow-capped mountain",
        "a volcano by a lake",
        "a mountain by a lake",
    ),
    "night": (
        "a night sky",
        "the night sky with stars",
        "a starry sky",
        "a moon and stars",
        "the moon and many stars",
        "the moon in a starry night sky",
    ),
    "sea": (
        "a {c} sailing boat on the sea",
        "a boat with {c} sails on the sea",
        "a {c} sailboat on the water",
        "the sea with a {c} sailing boat",
        "the ocean and a boat with {c} sails",
    ),
    "house": (
        "a house with a {c} roof",
        "a little house with a {c} roof and a tree",
        "a cottage with a {c} roof",
        "a home with a {c} roof in the countryside",
    ),
    "forest": ("a forest", "many trees", "trees in a forest", "a wood", "a row of trees"),
    "desert": (
        "a desert",
        "a cactus in the desert",
        "a desert with a cactus",
        "sand dunes and cacti",
    ),
    "snow": (
        "a snowman with a {c} scarf",
        "a snowman in the snow with a {c} scarf",
        "a winter landscape with a snowman in a {c} scarf",
        "a snowman with a {c} scarf and fir trees",
    ),
    "city": (
        "a city skyline",
        "a city",
        "tall buildings in a city",
        "the skyline of a town",
        "skyscrapers",
    ),
    "meadow": (
        "a meadow of {c} flowers",
        "a field of {c} flowers",
        "{c} flowers in a meadow",
        "a flower meadow with {c} flowers",
        "a garden with {c} flowers",
    ),
    "rainbow": (
        "a rainbow",
        "a rainbow over the hills",
        "a rainbow above green hills",
        "a colourful rainbow in the sky",
        "a landscape with a rainbow",
    ),
    "balloon": (
        "a {c} hot air balloon",
        "a {c} hot-air balloon over the hills",
        "a {c} balloon in the sky",
        "a {c} hot air balloon in the sky",
        "a landscape with a {c} hot air balloon",
    ),
    "island": (
        "an island with a palm tree",
        "a palm tree on an island",
        "a tropical island",
        "a small island in the sea with a palm tree",
        "a tropical beach with a palm",
    ),
}


def with_article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def name_thing(thing: Thing, rng: Random, bare: bool = False) -> str:
    """'a small striped red circle' in one of its wordings; size and texture are always said."""
    colour = rng.choice(COLOUR_WORDS.get(thing.colour, (thing.colour,)))
    shape = rng.choice(SHAPE_WORDS.get(thing.shape, (thing.shape,)))
    adjectives = [rng.choice(SIZE_WORDS[thing.size])] if thing.size in SIZE_WORDS else []
    ending = ""
    if thing.texture in TEXTURE_WORDS:
        if rng.random() < 0.7:
            adjectives.append(rng.choice(TEXTURE_WORDS[thing.texture]))
        else:
            ending = " " + rng.choice(TEXTURE_ENDINGS[thing.texture])
    if len(adjectives) > 1 and rng.random() < 0.2:
        adjectives.reverse()
    phrase = " ".join([*adjectives, colour, shape]) + ending
    return phrase if bare else with_article(phrase)


def describe_composition(spec: Composition, rng: Random) -> str:
    bare = rng.random() < 0.2
    names = [name_thing(thing, rng, bare) for thing in spec.things]
    if spec.relation is None:
        phrase = names[0]
        if spec.place != "centre" or rng.random() < 0.3:
            phrase += " " + rng.choice(PLACE_WORDS[spec.place or "centre"])
    else:
        pattern = rng.choice(RELATION_WORDS[spec.relation])
        if bare and "," in pattern:
            pattern = RELATION_WORDS[spec.relation][0]
        a0, b0 = (f"the {thing.colour} {thing.shape}" for thing in spec.things)
        phrase = pattern.format(a=names[0], b=names[1], a0=a0, b0=b0)
    if rng.random() < 0.4:
        ground = spec.background
        ground = rng.choice(BACKGROUND_WORDS.get(ground, (with_article(ground),)))
        joint = rng.choice((" on {} background", ", {} background", " against {} background"))
        if bare or joint.startswith(","):
            ground = ground.split(" ", 1)[1]
        phrase += joint.format(ground)
    return phrase if bare and rng.random() < 0.7 else rng.choice(FRAMES).format(x=phrase)


def describe_scene(spec: Scene, rng: Random) -> str:
    subject = rng.choice(SCENE_WORDS[spec.name])
    subject = subject.replace("{c} ", f"{spec.colour} " if spec.colour else "")
    subject = subject.replace("a orange", "an orange").replace("with a roof", "with a chimney")
    if spec.name == "fuji" and spec.season == "spring":
        season = rng.choice(FUJI_SPRING)
    else:
        season = rng.choice(SEASON_WORDS[spec.season])
    time = rng.choice(TIME_WORDS[spec.time]) if spec.name != "night" else ""
    additions = [season, time]
    if rng.random() < 0.3:
        additions.reverse()
    phrase = " ".join(part for part in (subject, *additions) if part)
    return rng.choice(FRAMES).format(x=phrase)


def describe(spec: Spec, rng: Random, language: str = "en") -> str:
    """One caption of the description, at random among its wordings."""
    if language == "ko":
        text = captions_ko.describe(spec, rng)
    elif isinstance(spec, Scene):
        text = describe_scene(spec, rng)
    else:
        text = describe_composition(spec, rng)
    if rng.random() < 0.25:
        text += "."
    return text[0].upper() + text[1:] if rng.random() < 0.4 else text
