"""The checker must be right about true drawings before it may judge a model."""

from __future__ import annotations

import pytest
import torch

from tools.demo_models.checker import check, fit_shape
from tools.demo_models.draw import draw
from tools.demo_models.heldout import compositions
from tools.demo_models.scenes import paint
from tools.demo_models.spec import SHAPES, Composition, Thing

ROWS = compositions(seed=5, share=0.05)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return draw([paint(spec) for _, spec in ROWS], 128, 128)


def test_true_drawings_are_right(pictures):
    wrong = [spec for (_, spec), p in zip(ROWS, pictures) if not check(p, spec).right]
    assert not wrong


def test_other_drawings_are_wrong(pictures):
    fooled = [
        spec for (_, spec), other in zip(ROWS, pictures.roll(2, 0)) if check(other, spec).right
    ]
    assert not fooled


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_recognised_from_its_region(shape):
    thing = Thing(shape, "red", "medium", "plain", 0.5, 0.5, 0.2)
    picture = draw([paint(Composition((thing,), None, "centre", "white"))], 96, 96)[0]
    region = picture[1] < 0.5
    fit = fit_shape(region, torch.zeros_like(region))
    assert fit is not None and fit.shape == shape and fit.overlap > 0.9


def test_swapped_relation_is_wrong():
    left = Thing("circle", "red", "medium", "plain", 0.27, 0.5, 0.165)
    right = Thing("star", "blue", "medium", "plain", 0.73, 0.5, 0.165)
    picture = draw([paint(Composition((left, right), "left", None, "white"))], 128, 128)[0]
    assert check(picture, Composition((left, right), "left", None, "white")).right
    verdict = check(picture, Composition((right, left), "left", None, "white"))
    assert verdict.colour and verdict.shape and not verdict.relation


def test_an_empty_picture_shows_nothing():
    spec = ROWS[0][1]
    assert not check(torch.ones(3, 96, 96), spec).right
