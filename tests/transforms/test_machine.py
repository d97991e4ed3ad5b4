"""What a process may use, as its affinity mask and control groups limit it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from transforms.machine import available_cores, available_memory

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
