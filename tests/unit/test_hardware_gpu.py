import dataclasses

import pytest

from backend.hardware import gpu as gpus
from tests.unit import machines

MIB = machines.MIB


def test_a_gpu_with_its_own_memory_reports_every_field():
    (card,) = gpus.list_gpus(machines.rtx_4090())
    assert card == gpus.Gpu(
        index=0,
        name="NVIDIA GeForce RTX 4090",
        uuid="GPU-NVIDIA GeForce RTX 4090",
        compute_capability=(8, 9),
        total_bytes=24564 * MIB,
        used_bytes=1500 * MIB,
        utilisation_percent=7,
        power_w=20.0,
        temperature_c=41,
        sm_count=128,
        driver="580.95.05",
    )
    assert not card.unified_memory


def test_a_spark_has_unified_memory_of_no_reported_size():
    (card,) = gpus.list_gpus(machines.gb10())
    assert (card.total_bytes, card.used_bytes) == (None, None)
    assert card.unified_memory
    assert card.sm_count == 48


def test_a_driver_that_learns_to_report_a_sparks_memory_does_not_make_it_dedicated():
    (card,) = gpus.list_gpus(machines.gb10())
    assert dataclasses.replace(card, total_bytes=1, used_bytes=0).unified_memory


def test_a_field_that_is_not_supported_is_none():
    (card,) = gpus.list_gpus(machines.h200())
    assert card.power_w is None
    assert card.temperature_c == 41
    assert card.sm_count == 132


@pytest.mark.parametrize(
    ("cores", "capability", "expected"),
    [(6912, (8, 0), 108), (4352, (7, 5), 68), (1024, (13, 0), None), (None, (8, 9), None)],
)
def test_multiprocessors_follow_from_cores(cores, capability, expected):
    assert gpus.sm_count(cores, capability) == expected


@pytest.mark.parametrize(
    ("pids", "expected"),
    [({41}, 900 * MIB), ({41, 42, 43}, 1000 * MIB), ({43}, None), ({99}, None)],
)
def test_what_processes_hold(pids, expected):
    assert gpus.process_bytes(0, frozenset(pids), machines.rtx_4090()) == expected


def test_a_gpu_that_is_not_there_holds_nothing():
    assert gpus.process_bytes(3, frozenset({41}), machines.rtx_4090()) is None


def test_no_driver_means_no_gpus(monkeypatch):
    monkeypatch.setattr(gpus, "nvml", lambda: None)
    assert gpus.list_gpus() == ()
    assert gpus.process_bytes(0, frozenset({1})) is None


def test_energy_is_told_in_joules_where_the_driver_counts_it():
    silent = machines.FakeGpu("NVIDIA T1000", (7, 5), 896, 4096, millijoules=None)
    library = machines.FakeNvml(*machines.h200().gpus, silent)
    assert [gpus.energy_j(index, library) for index in range(3)] == [1.5, None, None]
