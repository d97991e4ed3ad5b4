"""What counts as a hang, with a simulated clock."""

from __future__ import annotations

import dataclasses

import pytest

from jobs import storage
from jobs.execution.watchdog import Watchdog
from jobs.ledger import heartbeat, journal
from jobs.storage.folders import JobFolder

SESSION = "supervised-1"
START = journal.Start(unit_id="000001-ab", attempt_id="cafe", begin=0, end=8, phase="rows", alone=False)


@pytest.fixture
def job_dir(tmp_path) -> JobFolder:
    return JobFolder(storage.join(str(tmp_path), "_job"))


@pytest.fixture
def watchdog(job_dir) -> Watchdog:
    return Watchdog(job_dir, SESSION, timeout_s=60)


def begin(job_dir: JobFolder, start: journal.Start) -> None:
    storage.write_bytes(job_dir.join("journal", "open", SESSION, start.to_name()), b"")


def beat(job_dir: JobFolder, done: int, **figures: float) -> None:
    writer = heartbeat.HeartbeatWriter(job_dir, SESSION, lambda: (done, 1), lambda: figures)
    writer.start()
    writer.stop()


def test_a_worker_with_nothing_in_flight_may_take_its_time(job_dir, watchdog):
    assert not any(watchdog.is_hung(now) for now in (0, 100, 10_000))
    begin(job_dir, START)
    assert not watchdog.is_hung(10_050)
    assert watchdog.is_hung(10_111)


def test_one_start_that_neither_ends_nor_makes_progress_is_a_hang(job_dir, watchdog):
    begin(job_dir, START)
    assert [watchdog.is_hung(now) for now in (0, 30, 60, 61)] == [False, False, False, True]


def test_a_worker_without_a_heartbeat_is_watched_all_the_same(job_dir, watchdog):
    """A row that never releases the interpreter's lock keeps the heartbeat from being written."""
    begin(job_dir, START)
    beat(job_dir, 0, tokens_out=5)
    assert [watchdog.is_hung(now) for now in (0, 61)] == [False, True]


@pytest.mark.parametrize(
    "step", ["a start begins", "a start ends", "a unit is done", "a token comes out", "a row is done"]
)
def test_any_progress_restarts_the_time(job_dir, watchdog, step):
    begin(job_dir, START)
    begin(job_dir, dataclasses.replace(START, begin=8, end=9))
    beat(job_dir, 3, tokens_out=5)
    assert not watchdog.is_hung(0)
    match step:
        case "a start begins":
            begin(job_dir, dataclasses.replace(START, unit_id="000002-cd"))
        case "a start ends":
            storage.remove(job_dir.join("journal", "open", SESSION, START.to_name()))
        case "a unit is done":
            beat(job_dir, 4, tokens_out=5)
        case "a token comes out":
            beat(job_dir, 3, tokens_out=6)
        case "a row is done":
            beat(job_dir, 3, tokens_out=5, rows_done=1)
    assert [watchdog.is_hung(now) for now in (59, 118, 120)] == [False, False, True]


def test_the_time_since_the_last_beat_alone_is_no_progress(job_dir, watchdog):
    begin(job_dir, START)
    beat(job_dir, 3, tokens_out=5, tokens_out_per_s=9.0)
    assert not watchdog.is_hung(0)
    beat(job_dir, 3, tokens_out=5, tokens_out_per_s=2.0)
    assert watchdog.is_hung(61)
