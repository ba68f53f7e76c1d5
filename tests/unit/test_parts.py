"""Text encoders are let go once a prompt is encoded where all parts together do not fit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from backend.contracts import Precision
from backend.errors import Code, StudioError
from backend.images.parts import Part
from backend.images.resident import part_bytes, takes_turns
from backend.models.catalog import find_model
from backend.settings import Settings
from tests.painting import Painter
from tests.support import request

QUICK = request(steps=2, width=64, height=64)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_in_a_small_budget_parts_take_turns_and_the_picture_is_the_same(settings: Settings) -> None:
    needed = part_bytes(find_model(settings, "demo-flux"), Precision.FP32, {})
    whole = needed[Part.WHOLE]
    assert 0 < needed[Part.ENCODERS] < whole
    large = Painter(settings, whole)
    expected = large.paint(QUICK)
    assert expected.loaded == ["whole"]
    assert not expected.result.metrics.encoders_unloaded
    assert large.pool.resident()[0].memory_bytes == whole

    small = Painter(settings, whole - 1)
    made = small.paint(QUICK)
    assert made.loaded == ["encoders", "painter"]
    assert made.result.metrics.encoders_unloaded
    assert (made.pixels == expected.pixels).all()
    largest = max(needed[Part.ENCODERS], needed[Part.PAINTER])
    assert small.pool.resident()[0].memory_bytes == largest
    again = small.paint(QUICK.model_copy(update={"seed": 8}))
    assert (again.loaded, again.result.metrics.load_s) == ([], 0.0)
    other = small.paint(QUICK.model_copy(update={"prompt": "a house at night"}))
    assert other.loaded == ["encoders", "painter"]


def test_sdxl_takes_turns_too(settings: Settings, sdxl_models: Path) -> None:
    settings = settings.model_copy(update={"models": (sdxl_models,)})
    asked = QUICK.model_copy(
        update={"model": "demo-sdxl", "guidance": 5.0, "negative_prompt": "a blue square"}
    )
    whole = Painter(settings, 1 << 40).paint(asked)
    turns = Painter(settings, 1 << 40, "unload").paint(asked)
    assert turns.loaded == ["encoders", "painter"]
    assert (turns.pixels == whole.pixels).all()


def test_what_is_kept_whole_must_fit_whole(settings: Settings) -> None:
    whole = find_model(settings, "demo-flux").memory_bytes(Precision.FP32)
    with pytest.raises(StudioError) as refusal:
        Painter(settings, whole - 1, "keep").paint(QUICK)
    assert refusal.value.code is Code.MODEL_TOO_LARGE
    assert Painter(settings, whole, "unload").paint(QUICK).loaded == ["encoders", "painter"]


def test_flux_in_bf16_takes_turns_on_a_gpu_of_32_gb_and_not_on_a_spark(settings: Settings) -> None:
    flux = find_model(settings, "flux.1-dev")
    needed = part_bytes(flux, Precision.BF16, {})
    assert needed[Part.ENCODERS] > 9_500_000_000
    assert takes_turns("auto", needed[Part.WHOLE], 32_000_000_000)
    assert not takes_turns("auto", needed[Part.WHOLE], 96_000_000_000)
