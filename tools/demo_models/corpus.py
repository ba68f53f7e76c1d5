"""Training pairs by lot: descriptions with captions, never a held-out composition."""

from __future__ import annotations

from random import Random

from tools.demo_models.captions import KOREAN_SHARE, describe
from tools.demo_models.scenes import random_scene
from tools.demo_models.spec import Spec, held_out, random_pair, random_single

SCENE_SHARE, SINGLE_SHARE = 0.25, 0.22


def training_spec(rng: Random) -> Spec:
    """A description that may be trained on; most show two things."""
    while True:
        lot = rng.random()
        if lot < SCENE_SHARE:
            return random_scene(rng)
        spec = random_single(rng) if lot < SCENE_SHARE + SINGLE_SHARE else random_pair(rng)
        if not held_out(spec):
            return spec


def training_caption(spec: Spec, rng: Random) -> str:
    return describe(spec, rng, "ko" if rng.random() < KOREAN_SHARE else "en")
