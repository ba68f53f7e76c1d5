"""The drawings, captions and held-out compositions the demo models are made from."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch

from tools.demo_models.captions import describe
from tools.demo_models.corpus import training_spec
from tools.demo_models.draw import draw
from tools.demo_models.heldout import compositions
from tools.demo_models.labels import CLASS_COUNTS, labels
from tools.demo_models.primitives import pack
from tools.demo_models.scenes import SCENES, paint, random_scene
from tools.demo_models.spec import (
    COLOURS,
    HELD_OUT_PAIRS,
    SHAPES,
    Composition,
    draw_single,
    held_out,
    relation_held_out,
    stable_fraction,
)


def test_same_description_same_picture():
    spec = training_spec(Random(4))
    first, second = (draw([paint(spec)], 64, 64) for _ in range(2))
    assert torch.equal(first, second)


def test_a_picture_does_not_depend_on_its_batch():
    rng = Random(1)
    specs = [random_scene(rng), *(training_spec(rng) for _ in range(4))]
    together = draw([paint(spec) for spec in specs], 64, 96)
    alone = torch.cat([draw([paint(spec)], 64, 96) for spec in specs])
    assert torch.allclose(together, alone, atol=1e-5)


def test_sizes_show_the_same_picture():
    paintings = [paint(draw_single(Random(2), shape, "blue")) for shape in SHAPES]
    large = torch.nn.functional.avg_pool2d(draw(paintings, 128, 128), 2)
    assert (large - draw(paintings, 64, 64)).abs().mean() < 0.01


@pytest.mark.parametrize("name", sorted(SCENES))
def test_every_scene_draws_and_is_described(name):
    rng = Random(3)
    spec = random_scene(rng, name)
    picture = draw([paint(spec)], 48, 64)
    assert picture.shape == (1, 3, 48, 64)
    assert picture.std() > 0.02
    assert describe(spec, rng, "en") and describe(spec, rng, "ko")


@pytest.mark.parametrize("colour", sorted(COLOURS))
def test_a_plain_thing_has_its_colour(colour):
    spec = next(s for s in _singles(colour) if s.things[0].texture == "plain")
    thing = spec.things[0]
    picture = draw([paint(spec)], 128, 128)[0]
    middle = picture[:, round(thing.v * 128), round(thing.u * 128)]
    wanted = torch.tensor(COLOURS[colour]) / 255
    assert (middle - wanted).abs().max() < 0.2


def _singles(colour: str):
    rng = Random(9)
    while True:
        yield draw_single(rng, "square", colour)


def test_training_never_meets_a_held_out_composition():
    rng = Random(5)
    assert not any(held_out(training_spec(rng)) for _ in range(2000))


def test_held_out_pairs_are_one_for_each_shape():
    colours, shapes = zip(*(pair.split() for pair in HELD_OUT_PAIRS))
    assert sorted(shapes) == sorted(SHAPES)
    assert len(set(colours)) == len(SHAPES)


def test_holding_out_ignores_order():
    pairs = [("red circle", "blue star"), ("green ring", "pink cross"), ("black star", "red ring")]
    for one, other in pairs:
        for relation in ("left", "above", "inside", "front"):
            assert relation_held_out(one, relation, other) == relation_held_out(
                other, relation, one
            )


def test_stable_fraction_is_the_same_everywhere():
    assert stable_fraction("spark") == pytest.approx(0.574043, abs=1e-6)


def test_evaluation_has_200_unseen_compositions():
    rows = compositions()
    assert len(rows) == 200
    assert all(isinstance(spec, Composition) and held_out(spec) for _, spec in rows)


def test_captions_name_what_is_there():
    rng = Random(6)
    for _, spec in compositions(share=0.2):
        text = describe(spec, rng, "en").lower()
        for thing in spec.things:
            assert thing.colour in text or "gray" in text


def test_labels_fit_their_questions():
    rng = Random(7)
    for _ in range(300):
        answers = labels(training_spec(rng))
        assert all(0 <= answer < count for answer, count in zip(answers, CLASS_COUNTS, strict=True))


def test_packing_keeps_the_order_of_parts():
    painting = paint(random_scene(Random(8), "house"))
    _, table = pack([painting])
    assert np.count_nonzero(table[0, :, 0] >= 0) == len(painting.parts)
