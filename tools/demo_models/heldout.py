"""The evaluation's compositions, none of which any training caption contained."""

from __future__ import annotations

from random import Random

from tools.demo_models.spec import (
    HELD_OUT_PAIRS,
    RELATIONS,
    Composition,
    draw_single,
    held_out,
    random_pair,
)

COUNTS = {"single": 40, "left": 40, "above": 40, "inside": 40, "front": 40}


def _unseen_single(rng: Random) -> Composition:
    colour, shape = rng.choice(sorted(HELD_OUT_PAIRS)).split()
    return draw_single(rng, shape, colour)


def _unseen_pair(rng: Random, relation: str, with_unseen_thing: bool) -> Composition:
    while True:
        spec = random_pair(rng, relation)
        unseen_thing = any(thing.key in HELD_OUT_PAIRS for thing in spec.things)
        if held_out(spec) and unseen_thing == with_unseen_thing:
            return spec


def compositions(seed: int = 7, share: float = 1.0) -> list[tuple[str, Composition]]:
    """(kind, composition) rows; a quarter of the pairs contain an unseen colour-shape thing."""
    rng = Random(seed)
    rows = [("single", _unseen_single(rng)) for _ in range(round(COUNTS["single"] * share))]
    for relation in RELATIONS:
        rows += [
            (relation, _unseen_pair(rng, relation, index % 4 == 3))
            for index in range(round(COUNTS[relation] * share))
        ]
    return rows
