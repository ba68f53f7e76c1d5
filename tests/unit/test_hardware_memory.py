import os

import pytest

from backend.hardware import host, memory
from backend.hardware.gpu import list_gpus
from backend.hardware.host import GroupMemory
from tests.unit import machines

KIB = 1024
MIB = machines.MIB
SPARK = host.parse_meminfo(machines.GB10_MEMINFO)
LAPTOP = host.parse_meminfo(machines.LAPTOP_MEMINFO)


def gpu_of(nvml):
    return list_gpus(nvml)[0]


def test_meminfo_is_read_in_bytes():
    assert (SPARK.total, SPARK.free, SPARK.available) == (
        125513896 * KIB,
        3145728 * KIB,
        104857600 * KIB,
    )
    assert SPARK.used == (125513896 - 104857600) * KIB


def test_unified_memory_is_the_computers():
    sample = memory.describe(gpu_of(machines.gb10()), 7 * MIB, 5 * MIB, SPARK, None, 12.5)
    assert sample.kind == "unified"
    assert (sample.total_bytes, sample.used_bytes) == (SPARK.total, SPARK.used)
    assert sample.process_bytes == 7 * MIB
    assert sample.taken_at == 12.5


def test_resident_memory_stands_in_where_nvml_does_not_tell():
    sample = memory.describe(gpu_of(machines.gb10()), None, 5 * MIB, SPARK, None, 0)
    assert sample.process_bytes == 5 * MIB


def test_the_page_cache_trap_is_seen_on_unified_memory_only():
    assert memory.describe(gpu_of(machines.gb10()), None, 0, SPARK, None, 0).page_cache_trap
    assert not memory.describe(None, None, 0, SPARK, None, 0).page_cache_trap
    assert not memory.describe(gpu_of(machines.rtx_4090()), None, 0, SPARK, None, 0).page_cache_trap


@pytest.mark.parametrize(
    ("free", "available", "trap"), [(5, 60, True), (5, 20, False), (30, 90, False)]
)
def test_the_trap_needs_little_free_and_much_reclaimable(free, available, trap):
    assert memory.page_cache_trap(host.HostMemory(100, free, available)) is trap


def test_a_gpus_own_memory_is_what_counts():
    sample = memory.describe(gpu_of(machines.rtx_4090()), 900 * MIB, 0, LAPTOP, None, 0)
    assert (sample.kind, sample.total_bytes, sample.used_bytes, sample.process_bytes) == (
        "gpu",
        24564 * MIB,
        1500 * MIB,
        900 * MIB,
    )


def test_a_container_has_its_limit_for_a_total():
    limited = memory.describe(None, None, 1, LAPTOP, GroupMemory(4 << 30, 1 << 30), 0)
    assert (limited.kind, limited.total_bytes, limited.used_bytes) == ("cpu", 4 << 30, 1 << 30)
    loose = memory.describe(None, None, 1, LAPTOP, GroupMemory(1 << 50, 1 << 30), 0)
    assert loose.total_bytes == LAPTOP.total


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_tightest_group_of_version_2_counts(tmp_path):
    write(tmp_path / "proc/self", cgroup="0::/outer/inner\n")
    root = tmp_path / "cgroup"
    write(root, memory__stat="")
    statistics = "anon 1\ninactive_file 300\n"
    write(root / "outer", memory__max="2000", memory__current="900", memory__stat=statistics)
    write(root / "outer/inner", memory__max="max", memory__current="5", memory__stat="anon 5")
    assert host.group_memory(tmp_path / "proc", root) == GroupMemory(2000, 600)


def test_version_1_says_no_limit_with_a_number(tmp_path):
    write(tmp_path / "proc/self", cgroup="5:cpu,cpuacct:/a\n4:memory:/a\n0::/a\n")
    group = tmp_path / "cgroup/memory/a"
    names = {"memory__usage_in_bytes": "50", "memory__stat": "total_inactive_file 20"}
    write(group, memory__limit_in_bytes="9223372036854771712", **names)
    assert host.group_memory(tmp_path / "proc", tmp_path / "cgroup") is None
    write(group, memory__limit_in_bytes="100", **names)
    assert host.group_memory(tmp_path / "proc", tmp_path / "cgroup") == GroupMemory(100, 30)


def test_a_system_without_proc_is_asked_in_another_way(tmp_path):
    assert host.group_memory(tmp_path, tmp_path) is None
    assert host.host_memory(tmp_path).total > 0


def test_a_sample_of_this_machine_is_whole():
    sample = memory.sample([os.getpid(), 2**30])
    assert 0 < sample.process_bytes < sample.total_bytes
    assert 0 < sample.used_bytes <= sample.total_bytes
