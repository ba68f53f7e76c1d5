import pytest

from backend.errors import Code, StudioError
from backend.models.pool import ModelPool


def pool_of(budget_bytes: int) -> ModelPool:
    return ModelPool(budget_bytes, held_bytes=lambda: 0, collect=lambda: None)


def loaded(pool: ModelPool, key: str, size: int) -> None:
    with pool.use(key, size, lambda: key):
        pass


def keys(pool: ModelPool) -> list[str]:
    return [model.key for model in pool.resident()]


def test_a_model_is_loaded_once() -> None:
    pool, loads = pool_of(10), iter(["first", "second"])
    for _ in range(2):
        with pool.use("a", 4, lambda: next(loads)) as model:
            assert model == "first"


def test_the_least_recently_used_goes_first_and_is_told() -> None:
    pool, evicted = pool_of(10), []
    for key in ("a", "b", "a"):
        loaded(pool, key, 4)
    with pool.use("c", 4, lambda: "c", lambda key, size: evicted.append((key, size))):
        pass
    assert keys(pool) == ["a", "c"]
    assert evicted == [("b", 4)]


def test_what_is_in_use_is_never_let_go() -> None:
    pool = pool_of(10)
    with pool.use("a", 6, lambda: "a"):
        with pytest.raises(StudioError) as refusal:
            loaded(pool, "b", 6)
        assert refusal.value.code is Code.MODEL_TOO_LARGE
        with pytest.raises(StudioError) as refusal:
            pool.unload("a")
        assert refusal.value.code is Code.MODEL_IN_USE
    pool.unload("a")
    assert keys(pool) == []


def test_what_can_never_fit_is_refused_and_nothing_is_evicted() -> None:
    pool = pool_of(10)
    loaded(pool, "a", 6)
    with pytest.raises(StudioError) as refusal:
        loaded(pool, "b", 11)
    assert refusal.value.code is Code.MODEL_TOO_LARGE
    assert keys(pool) == ["a"]


def test_a_failed_load_leaves_nothing_behind() -> None:
    pool = pool_of(10)

    def fail() -> None:
        raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"), pool.use("a", 4, fail):
        pass
    assert (keys(pool), pool.free_bytes()) == ([], 10)


def test_the_measured_size_counts_when_it_is_larger_than_the_estimate() -> None:
    held = iter([100, 107])
    pool = ModelPool(10, held_bytes=lambda: next(held), collect=lambda: None)
    loaded(pool, "a", 4)
    assert pool.free_bytes() == 3


def test_a_reservation_waits_for_room_and_evicts_what_is_idle() -> None:
    pool = pool_of(10)
    loaded(pool, "a", 6)
    with pool.reserve("build", 8) as fits:
        assert fits
        assert keys(pool) == []
        assert pool.holders() == ("build",)
    with pool.use("a", 6, lambda: "a"), pool.reserve("build", 8) as fits:
        assert not fits
    assert pool.free_bytes() == 4


def test_what_is_not_current_any_more_is_loaded_anew() -> None:
    pool = pool_of(10)
    loaded(pool, "a", 6)
    with pool.use("a", 6, lambda: "newer", is_current=lambda value: value == "newer") as value:
        assert value == "newer"
    assert keys(pool) == ["a"]
    with (
        pool.use("a", 6, lambda: "unused"),
        pytest.raises(StudioError) as refusal,
        pool.use("a", 6, lambda: "newest", is_current=lambda value: value == "newest"),
    ):
        pass
    assert refusal.value.code is Code.MODEL_IN_USE
