"""What a meter counts, of processes that are only described."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from transforms.sandbox import usage
from transforms.sandbox.usage import Meter

TICKS = os.sysconf("SC_CLK_TCK")


class Processes:
    """A /proc whose processes have threads; times in seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path):
        self.folder = folder
        monkeypatch.setattr(usage, "_read", lambda path: (folder / path.removeprefix("/proc/")).read_bytes())
        listed = os.listdir
        monkeypatch.setattr(usage.os, "listdir", lambda path: listed(folder / path.removeprefix("/proc/")))

    def put(
        self, pid: int, cpu_s: float, *waited_s: float, children: str = "", waited_for_s: float = 0.0, state: str = "S"
    ) -> None:
        """Sets a process's times, and those of its threads' waiting."""
        fields = [0] * 11 + [int(cpu_s * TICKS), 0, int(waited_for_s * TICKS), 0] + [0] * 4 + [pid]
        for thread, waited in enumerate(waited_s):
            task = self.folder / str(pid) / "task" / str(pid + thread)
            task.mkdir(parents=True, exist_ok=True)
            (task / "schedstat").write_text(f"0 {int(waited * 1e9)} 1\n")
            (task / "children").write_text(children)
            (task / "stat").write_text(f"{pid + thread} (a) b) {state} 0\n")
        (self.folder / str(pid) / "stat").write_text(f"{pid} (a) b) {' '.join(map(str, fields))}\n")
        (self.folder / str(pid) / "status").write_text("RssAnon:\t10 kB\nRssShmem:\t1 kB\nRssFile:\t99 kB\n")

    def end(self, pid: int) -> None:
        """Takes a process away."""
        for path in sorted((self.folder / str(pid)).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (self.folder / str(pid)).rmdir()


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Processes:
    return Processes(monkeypatch, tmp_path)


def test_a_thread_that_is_not_the_first_waits_too(processes: Processes) -> None:
    processes.put(10, 1.0, 0.0, 3.0, 0.5)
    found = Meter(10, 0.0).look(4.0)
    assert (found.cpu_s, found.waited_s, found.memory) == (1.0, 3.0, 11 * 1024)


def test_threads_that_wait_for_each_other_give_no_time(processes: Processes) -> None:
    processes.put(10, 4.0, *[3.9] * 40)
    assert Meter(10, 0.0).look(4.0).waited_s == 0.0


def test_waiting_is_never_more_than_the_time_that_has_passed(processes: Processes) -> None:
    meter = Meter(10, 0.0)
    processes.put(10, 0.0, 0.0)
    meter.look(1.0)
    processes.put(10, 0.0, *[0.9] * 20, children="11")
    processes.put(11, 0.0, 5.0)
    assert meter.look(2.0).waited_s == 1.0


def test_a_child_that_nobody_waited_for_counts(processes: Processes) -> None:
    meter = Meter(10, 0.0)
    processes.put(10, 0.5, 0.0, children="11")
    processes.put(11, 2.0, 0.0)
    assert meter.look(3.0).cpu_s == 2.5
    processes.end(11)
    processes.put(10, 0.5, 0.0)
    assert meter.look(4.0).cpu_s == 2.5


def test_a_child_that_was_waited_for_counts_once(processes: Processes) -> None:
    meter = Meter(10, 0.0)
    processes.put(10, 0.5, 0.0, children="11")
    processes.put(11, 2.0, 0.0)
    meter.look(3.0)
    processes.end(11)
    processes.put(10, 0.5, 0.0, waited_for_s=2.25)
    assert meter.look(4.0).cpu_s == 2.75


def test_a_wait_that_lasts_counts_before_it_ends(processes: Processes) -> None:
    meter = Meter(10, 0.0)
    processes.put(10, 0.5, 0.25, state="R")
    assert meter.look(1.0).waited_s == 0.25
    assert meter.look(3.0).waited_s == 2.25
    assert meter.look(4.0).waited_s == 3.25
    processes.put(10, 0.5, 3.3, state="R")  # now the kernel has counted it
    assert meter.look(4.1).waited_s == pytest.approx(3.3)


def test_a_thread_that_sleeps_does_not_wait(processes: Processes) -> None:
    meter = Meter(10, 0.0)
    processes.put(10, 0.5, 0.25, state="S")
    meter.look(1.0)
    assert meter.look(3.0).waited_s == 0.25
