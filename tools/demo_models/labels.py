"""The structure of a description as class numbers, which the text encoders learn to predict."""

from __future__ import annotations

from tools.demo_models.scenes import SCENES, SEASONS, TIMES
from tools.demo_models.spec import (
    BACKGROUNDS,
    COLOURS,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    Scene,
    Spec,
    Thing,
)

KINDS = ("single", "pair", *SCENES)
THING_CHOICES = (tuple(COLOURS), SHAPES, SIZES, TEXTURES)
CHOICES: tuple[tuple[str, ...], ...] = (
    KINDS,
    TIMES,
    SEASONS,
    tuple(COLOURS),
    RELATIONS,
    tuple(PLACES),
    tuple(BACKGROUNDS),
    *THING_CHOICES,
    *THING_CHOICES,
)
"""One entry per question; class 0 of each means "does not apply"."""

CLASS_COUNTS = tuple(len(choices) + 1 for choices in CHOICES)


def _thing(thing: Thing | None) -> tuple[str | None, ...]:
    if thing is None:
        return (None,) * 4
    return thing.colour, thing.shape, thing.size, thing.texture


def labels(spec: Spec) -> list[int]:
    """Class numbers in the order of CHOICES."""
    answers: tuple[str | None, ...]
    if isinstance(spec, Scene):
        answers = (spec.name, spec.time, spec.season, spec.colour, *(None,) * 11)
    else:
        first, second = (*spec.things, None)[:2]
        kind = "pair" if spec.relation else "single"
        answers = (kind, None, None, None, spec.relation, spec.place, spec.background)
        answers += _thing(first) + _thing(second)
    return [
        0 if answer is None else choices.index(answer) + 1
        for choices, answer in zip(CHOICES, answers)
    ]
