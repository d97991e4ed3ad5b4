"""What a process may use, as its affinity mask and control groups limit it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from transforms.machine import GroupMemory, available_cores, available_memory, group_memory

GIB = 1 << 30


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Builds a machine of 8 cores and 16 GiB with the given files below its control groups' folder."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)

    def make(group_line: str, files: dict[str, str]) -> tuple[str, str]:
        proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
        (proc / "self").mkdir(parents=True)
        (proc / "self" / "cgroup").write_text(group_line)
        (proc / "meminfo").write_text(f"MemFree: 1 kB\nMemTotal:       {16 * GIB // 1024} kB\n")
        for name, text in files.items():
            (cgroups / name).parent.mkdir(parents=True, exist_ok=True)
            (cgroups / name).write_text(text)
        return str(cgroups), str(proc)

    return make


def test_without_limits_the_affinity_mask_and_the_machine_count(machine) -> None:
    places = machine("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"})
    assert (available_cores(*places), available_memory(*places)) == (8, 16 * GIB)


@pytest.mark.parametrize(("quota", "cores"), [("50000", 1), ("100000", 1), ("150000", 2), ("900000", 8)])
def test_a_quota_is_rounded_up_to_whole_cores(machine, quota: str, cores: int) -> None:
    assert available_cores(*machine("0::/a/b\n", {"a/b/cpu.max": f"{quota} 100000\n"})) == cores


def test_a_parent_group_limits_its_children(machine) -> None:
    files = {
        "a/cpu.max": "200000 100000\n",
        "a/b/cpu.max": "max 100000\n",
        "a/memory.max": f"{GIB}\n",
        "a/b/memory.max": f"{2 * GIB}\n",
    }
    places = machine("0::/a/b\n", files)
    assert (available_cores(*places), available_memory(*places)) == (2, GIB)


def test_a_group_that_is_mounted_as_the_root_counts(machine) -> None:
    places = machine("0::/docker/0123\n", {"cpu.max": "100000 100000\n", "memory.max": str(GIB)})
    assert (available_cores(*places), available_memory(*places)) == (1, GIB)


def test_version_1_of_control_groups_counts(machine) -> None:
    files = {
        "cpu/x/cpu.cfs_quota_us": "300000\n",
        "cpu/x/cpu.cfs_period_us": "100000\n",
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
        "memory/x/memory.limit_in_bytes": f"{GIB}\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    places = machine("4:memory:/x\n3:cpu,cpuacct:/x\n", files)
    assert (available_cores(*places), available_memory(*places)) == (3, GIB)


def test_a_machine_without_control_groups_has_its_own_memory(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none")
    assert available_memory(nowhere, nowhere) > 0
    assert available_cores(nowhere, nowhere) >= 1


def test_what_a_group_holds_is_not_its_page_cache(machine) -> None:
    stat = "anon 700\nfile 900000\nshmem 30\nslab_unreclaimable 4\nslab_reclaimable 5000\ninactive_file 800000\n"
    places = machine("0::/a\n", {"a/memory.max": "1000000\n", "a/memory.stat": stat})
    assert group_memory(*places) == GroupMemory(held=734, limit=1_000_000)


def test_what_a_group_of_version_1_holds_includes_the_groups_below(machine) -> None:
    stat = "cache 5\nrss 1\nshmem 0\ntotal_cache 800\ntotal_rss 200\ntotal_shmem 30\ntotal_inactive_file 700\n"
    files = {"memory/a/memory.limit_in_bytes": "1000\n", "memory/a/memory.stat": stat}
    assert group_memory(*machine("4:memory:/a\n", files)) == GroupMemory(held=230, limit=1000)


def test_the_group_with_the_least_room_counts(machine) -> None:
    files = {
        "a/memory.max": "1000\n",
        "a/memory.stat": "anon 990\n",
        "a/b/memory.max": "500\n",
        "a/b/memory.stat": "anon 300\n",
    }
    assert group_memory(*machine("0::/a/b\n", files)) == GroupMemory(held=990, limit=1000)


@pytest.mark.parametrize("files", [{}, {"memory.max": "max\n", "memory.stat": "anon 5\n"}, {"memory.max": "1000\n"}])
def test_nothing_is_watched_where_nothing_limits_memory_or_says_what_is_held(machine, files) -> None:
    assert group_memory(*machine("0::/\n", files)) is None
