"""Ending a worker before its control group's limit ends all: with simulated figures, and in a real group."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.execution import supervisor
from jobs.execution.memory import MemoryWatch, bytes_of_workers
from jobs.ledger import journal
from jobs.system.child_process import CHILD_MODULE
from tests.jobs import toy, uppercase
from transforms.machine import GroupMemory

WORKERS = {0: 100, 1: 200, 2: 300}  # number -> process group


def watch(held: int, sizes: dict[int, int], limit: int = 1000) -> MemoryWatch:
    return MemoryWatch(lambda: GroupMemory(held, limit), lambda groups: sizes)


def test_the_largest_worker_is_ended_where_the_limit_is_near():
    number, why = watch(960, {100: 200, 200: 500, 300: 100}).find_victim(WORKERS, now=0.0) or (None, "")
    assert number == 1
    assert why.startswith("ended for lack of memory: it held")


def test_nobody_is_ended_while_there_is_room():
    assert watch(790, {100: 200, 200: 600, 300: 100}).find_victim(WORKERS, now=0.0) is None


def test_nobody_is_ended_for_what_others_hold(caplog):
    assert watch(960, {100: 100, 200: 200, 300: 100}).find_victim(WORKERS, now=0.0) is None
    assert "most of it is held by others than the workers" in caplog.text


def test_where_nothing_limits_memory_nothing_is_looked_at():
    unlimited = MemoryWatch(lambda: None, lambda groups: pytest.fail("sizes were read"))
    assert unlimited.wait_s() == float("inf")
    assert unlimited.find_victim(WORKERS) is None


def test_looks_are_the_rarer_the_more_room_there_is():
    gib = 1 << 30
    waits = []
    for held in (1, 90, 94.9):
        one = watch(int(held * gib), {}, 100 * gib)
        one.find_victim(WORKERS, now=50.0)
        waits.append(one.wait_s(now=50.0))
    assert waits == sorted(waits, reverse=True) and waits[0] <= 1.0 and waits[-1] == pytest.approx(0.02)


def test_a_limit_that_cant_be_read_anymore_is_looked_at_as_rarely_as_one_that_is_far_away():
    figures = iter([GroupMemory(100, 1000)])
    one = MemoryWatch(lambda: next(figures, None), lambda groups: {})
    assert one.find_victim(WORKERS, now=5.0) is None
    assert one.wait_s(now=5.0) == pytest.approx(1.0)


def test_what_a_process_group_holds_is_found():
    text = "x = bytearray(60_000_000); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert 60_000_000 < bytes_of_workers([child.pid])[child.pid] < 120_000_000
        child.communicate(b"\n")


@pytest.mark.parametrize(("words", "counts"), [(["-m", CHILD_MODULE], True), (["-m", "another"], False)])
def test_workers_of_other_parents_are_found_and_no_other_processes(words, counts):
    text = "x = bytearray(60_000_000); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", text, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert (bytes_of_workers([]).get(child.pid, 0) > 60_000_000) is counts
        child.communicate(b"\n")


def test_of_two_parents_in_a_group_the_one_of_the_largest_worker_ends_it():
    sizes = {100: 300, 200: 180, 300: 200, 400: 250}
    first, second = watch(960, sizes), watch(960, sizes)
    assert second.find_victim({0: 300, 1: 400}, now=0.0) is None, "the larger one is the other's"
    number, why = first.find_victim({0: 100, 1: 200}, now=0.0) or (None, "")
    assert number == 0 and "ended for lack of memory" in why


def test_equal_workers_of_two_parents_are_ended_one_after_the_other():
    sizes = {100: 480, 400: 480}
    found = [watch(960, sizes).find_victim({0: group}, now=0.0) for group in (100, 400)]
    assert [one is not None for one in found] == [False, True]


def test_a_parent_whose_largest_worker_stays_isnt_waited_for_forever():
    one = watch(960, {100: 400, 400: 500})
    assert [one.find_victim({0: 100}, now=now) is not None for now in (0.0, 1.0, 2.0, 4.0)] == [False] * 3 + [True]


def test_a_row_that_needs_too_much_costs_one_row(tmp_path, monkeypatch, caplog):
    mark = tmp_path / "mark"

    def sizes(groups) -> dict[int, int]:
        mark.unlink()  # as the worker's memory is free again once it has ended
        return dict.fromkeys(groups, 50_000_000)  # a real worker holds more or less than half, as the machine swaps

    def short() -> MemoryWatch:
        return MemoryWatch(lambda: GroupMemory(60_000_000 if mark.exists() else 0, 70_000_000), sizes)

    monkeypatch.setattr(supervisor, "MemoryWatch", short)
    job_dir = toy.make_job(str(tmp_path), [["a", "eat", "b"], ["c"], ["d"]])
    toy.run_supervised(job_dir, options={"mark": str(mark), "slots": 8})
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "b", "c", "d"]
    assert [(row, reason) for _, _, row, _, reason, _ in rejected] == [(1, "out_of_memory")]
    assert all("ended for lack of memory" in death.how and death.short for death in journal.read_deaths(job_dir))
    assert "lower --slots" in caplog.text


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of version 1 or 2 with 400 MB of memory."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    groups = {controllers: group for _, controllers, group in lines}
    is_v1 = "memory" in groups
    root = Path("/sys/fs/cgroup", "memory" if is_v1 else "", groups.get("memory", groups.get("", "/")).lstrip("/"))
    folder = root / f"codemill-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text("400000000")
    except OSError as error:
        if folder.exists():
            folder.rmdir()
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    folder.rmdir()


def oom_kills(group: Path) -> int:
    text = next(path for name in ("memory.events", "memory.oom_control") if (path := group / name).exists()).read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))


def test_in_a_real_group_the_worker_is_ended_before_the_kernel_does_it(tmp_path, small_group):
    job_dir = toy.make_job(str(tmp_path), [["a", "eat", "b"], ["c"]])
    options = json.dumps({"eat_mb": 600})
    toy_job = f"{sys.executable} -m tests.jobs.toy {job_dir} supervised '{options}'"
    run = ["sh", "-c", f"echo $$ > {small_group}/cgroup.procs && exec {toy_job}"]
    done = subprocess.run(run, cwd=uppercase.ROOT, stderr=subprocess.PIPE, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "b", "c"]
    assert [(row, reason) for _, _, row, _, reason, _ in rejected] == [(1, "out_of_memory")]
    assert all("ended for lack of memory" in death.how and death.short for death in journal.read_deaths(job_dir))
    assert oom_kills(small_group) == 0
