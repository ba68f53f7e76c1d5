"""How a TensorRT engine is run, against a stand-in of its API: there is no GPU here."""

import json
from pathlib import Path

import pytest
import torch

from backend.engines.editions import Edition
from backend.engines.runtimes.trt import Engine, Workspace
from backend.errors import Code, StudioError
from tests.unit import tensorrt_stand_in

STAND_IN = Edition("enterprise", "stand-in", tensorrt_stand_in)


def engine(folder: Path, workspace: Workspace, scratch: int = 4) -> Engine:
    folder.mkdir()
    file = folder / "engine.plan"
    file.write_text(json.dumps({"largest": 64, "scratch": scratch}))
    return Engine(file, STAND_IN, workspace)


@pytest.fixture
def workspace() -> Workspace:
    return Workspace(torch.device("cpu"))


def context_of(made: Engine) -> tensorrt_stand_in.Context:
    context: tensorrt_stand_in.Context = made._context
    return context


def test_an_engine_computes_with_buffers_that_are_bound_once_a_shape(
    tmp_path: Path, workspace: Workspace
) -> None:
    made = engine(tmp_path / "e", workspace)
    for _ in range(3):
        x = torch.randn(2, 5)
        (doubled,) = made({"x": x})
        assert torch.equal(doubled, 2 * x)
    assert context_of(made).bindings == 2
    made({"x": torch.randn(4, 5)})
    assert context_of(made).bindings == 4


def test_what_an_engine_returned_is_not_overwritten_by_its_next_run(
    tmp_path: Path, workspace: Workspace
) -> None:
    made = engine(tmp_path / "e", workspace)
    (first,) = made({"x": torch.ones(3)})
    made({"x": torch.zeros(3)})
    assert torch.equal(first, torch.full((3,), 2.0))


def test_a_half_precision_input_is_taken_in_the_engines_type(
    tmp_path: Path, workspace: Workspace
) -> None:
    (doubled,) = engine(tmp_path / "e", workspace)({"x": torch.ones(3, dtype=torch.bfloat16)})
    assert doubled.dtype is torch.float32
    assert torch.equal(doubled, torch.full((3,), 2.0))


def test_the_time_of_every_layer_is_noted_in_every_run(
    tmp_path: Path, workspace: Workspace
) -> None:
    times: dict[str, list[float]] = {}
    engine(tmp_path / "plain", workspace)({"x": torch.ones(3)})
    timed = Engine(tmp_path / "plain" / "engine.plan", STAND_IN, workspace, times=times)
    for _ in range(3):
        timed({"x": torch.ones(3)})
    assert times == {"double": [1.0, 2.0, 3.0]}
    assert timed.input_types == {"x": "float32"}


def test_engines_share_activation_memory(tmp_path: Path, workspace: Workspace) -> None:
    small, large = engine(tmp_path / "s", workspace), engine(tmp_path / "l", workspace, scratch=400)
    small({"x": torch.ones(8)})
    large({"x": torch.ones(8)})
    (again,) = small({"x": torch.ones(8)})
    assert torch.equal(again, torch.full((8,), 2.0))
    assert context_of(small).memory == context_of(large).memory
    assert context_of(large).memory[1] == 3200


def test_a_size_outside_the_profile_is_refused_and_the_engine_goes_on(
    tmp_path: Path, workspace: Workspace
) -> None:
    made = engine(tmp_path / "e", workspace)
    with pytest.raises(StudioError) as refused:
        made({"x": torch.ones(65)})
    assert refused.value.code == Code.PROFILE_INVALID
    assert "x of 65" in refused.value.info.message()
    assert torch.equal(made({"x": torch.ones(2)})[0], torch.full((2,), 2.0))


def test_a_plan_that_cannot_be_read_is_said_to_be_broken(
    tmp_path: Path, workspace: Workspace
) -> None:
    made = tmp_path / "cut"
    made.mkdir()
    (made / "engine.plan").write_bytes(b'{"largest": 6')
    with pytest.raises(StudioError) as broken:
        Engine(made / "engine.plan", STAND_IN, workspace)
    assert broken.value.code == Code.ENGINE_BROKEN
    assert "cannot be read" in broken.value.info.message()


def test_an_engine_that_fails_says_so(tmp_path: Path, workspace: Workspace) -> None:
    made = engine(tmp_path / "e", workspace)
    made({"x": torch.ones(2)})
    context_of(made).execute_async_v3 = lambda stream: False  # type: ignore[method-assign]
    with pytest.raises(StudioError) as broken:
        made({"x": torch.ones(2)})
    assert broken.value.code == Code.ENGINE_BROKEN
