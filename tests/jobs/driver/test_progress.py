from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.driver import progress
from jobs.driver.progress import Snapshot, Watcher, follow_job, metrics
from jobs.ledger.commits import CommitRecord
from jobs.ledger.heartbeat import Heartbeat
from jobs.storage.folders import JobFolder
from jobs.terminal import display
from jobs.terminal.display import clock, count_line, fit


class Job:
    """A job's folder whose workers write what the test specifies, at times that it sets."""

    def __init__(self, job_dir: Path):
        self.job_dir = job_dir
        self.time = 1000.0
        for name in ("commits", "heartbeats"):
            (job_dir / name).mkdir(parents=True)

    def now(self) -> float:
        return self.time

    def commit(self, unit_id: str, rows: int, rejected: int = 0, status: str = "done", targets: int = 0) -> None:
        record = CommitRecord(
            unit_id=unit_id,
            attempt_id="a",
            status=status,
            rows_in=rows,
            config_hash="h",
            counts={"rows_in": rows, "rows_rejected": rejected, "targets": targets},
        )
        Path(JobFolder(str(self.job_dir)).commit(unit_id)).write_bytes(record.to_json())

    def beat(self, session: str, phase: str = "", **figures: float) -> None:
        beat = Heartbeat(
            session=session,
            host="h",
            pid=1,
            at=self.time,
            rss_mb=1.0,
            units_done=0,
            units_in_flight=1,
            figures=figures,
            phase=phase,
        )
        data = {name: getattr(beat, name) for name in Heartbeat.__dataclass_fields__}
        (self.job_dir / "heartbeats" / f"{session}.json").write_text(json.dumps(data))

    def watcher(self, units: int = 4, rows: int = 40) -> Watcher:
        return Watcher(JobFolder(str(self.job_dir)), units_total=units, rows_total=rows, now=self.now)


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "_job")


def test_before_anything_is_done_nothing_is_guessed(job):
    assert job.watcher().poll() == Snapshot(units_done=0, units_total=4, rows_done=0, rows_total=40)


def test_units_rows_and_rejections_come_from_commits(job):
    watcher = job.watcher()
    job.commit("000000-a", 10, rejected=3)
    assert (watcher.poll().units_done, watcher.poll().rows_done, watcher.poll().rejected) == (1, 10, 3)
    job.commit("000001-b", 5, status="failed")
    snapshot = watcher.poll()
    assert (snapshot.units_done, snapshot.rows_done, snapshot.rejected, snapshot.failed_units) == (2, 15, 3, 1)


def test_the_time_left_follows_from_the_rows_of_this_run_alone(job):
    job.commit("000000-a", 20)  # by an earlier run
    watcher = job.watcher()
    watcher.poll()
    assert watcher.poll().eta_s is None
    job.time += 10
    job.commit("000001-b", 5)
    assert watcher.poll().eta_s == pytest.approx(15 / (5 / 10))


def test_tokens_per_second_sum_the_workers_of_this_run(job):
    job.beat("old", tokens_out=1e6)
    job.time += 1
    watcher = job.watcher()
    watcher.poll()
    job.time += 10
    job.beat("one", tokens_out=300, slot_occupancy=0.9)
    job.beat("two", tokens_out=100, slot_occupancy=0.7)
    snapshot = watcher.poll()
    assert snapshot.tokens_per_s == pytest.approx(40)
    assert snapshot.slot_occupancy == pytest.approx(0.8)


def test_rates_are_over_the_last_minutes_only(job):
    watcher = job.watcher()
    watcher.poll()
    job.time += 10
    job.beat("one", tokens_out=100_000)
    watcher.poll()
    for tokens in range(100_000, 101_001, 100):
        job.time += 15
        job.beat("one", tokens_out=tokens)
        snapshot = watcher.poll()
    assert snapshot.tokens_per_s == pytest.approx(100 / 15)


def test_a_silent_worker_no_longer_counts_in_the_slot_occupancy(job):
    watcher = job.watcher()
    job.beat("dead", tokens_out=1, slot_occupancy=0.1)
    job.time += 60
    job.beat("live", tokens_out=1, slot_occupancy=0.9)
    assert watcher.poll().slot_occupancy == pytest.approx(0.9)


def test_a_heartbeat_of_a_work_without_engine_is_fine(job):
    job.beat("one")
    assert job.watcher().poll().slot_occupancy is None


def test_targets_count_before_their_unit_is_committed_and_the_time_left_follows_from_them(job):
    watcher = job.watcher(units=1, rows=40)
    watcher.poll()
    job.time += 10
    job.beat("one", rows_prepared=10, targets_asked=20, targets_done=0)
    snapshot = watcher.poll()
    assert (snapshot.targets_done, snapshot.targets_total, snapshot.eta_s) == (0, 80, None)
    job.time += 10
    job.beat("one", rows_prepared=40, targets_asked=60, targets_done=15)
    snapshot = watcher.poll()
    assert (snapshot.targets_done, snapshot.targets_total, snapshot.share) == (15, 60, 0.25)
    assert snapshot.eta_s == pytest.approx(45 / (15 / 10))
    assert metrics(snapshot)[0] == "15/60 targets"


def test_targets_of_an_earlier_run_count_but_not_in_the_rate(job):
    job.commit("000000-a", 20, targets=50)
    watcher = job.watcher(units=2, rows=40)
    watcher.poll()
    job.time += 10
    job.beat("one", rows_prepared=20, targets_asked=30, targets_done=15)
    snapshot = watcher.poll()
    assert (snapshot.targets_done, snapshot.targets_total, snapshot.rows_prepared) == (65, 80, 40)
    assert snapshot.eta_s == pytest.approx(15 / (15 / 10))


def test_time_in_which_nothing_is_done_yet_does_not_slow_the_rate(job):
    watcher = job.watcher(units=1, rows=40)
    for _ in range(100):
        job.time += 1
        job.beat("one", phase="loading the model")
        watcher.poll()
    job.time += 10
    job.beat("one", rows_prepared=40, targets_asked=40, targets_done=10)
    assert watcher.poll().eta_s == pytest.approx(30)


def test_what_all_workers_wait_for_is_a_phase_with_its_time(job):
    watcher = job.watcher()
    job.beat("one", phase="loading the model")
    watcher.poll()
    job.time += 12
    job.beat("one", phase="loading the model")
    assert metrics(watcher.poll())[0] == "loading the model 00:12"
    job.beat("one", compiles=3, programs=28, compiling_s=38.0, targets_asked=90, targets_done=0, rows_prepared=20)
    assert metrics(watcher.poll())[:2] == ["0/~180 targets", "compiling program 4 of at most 28 00:38"]
    told = watcher.poll()
    assert (told.compiles, told.programs) == (3, 28)
    job.time += 5
    assert metrics(watcher.poll())[1] == "compiling program 4 of at most 28 00:43"
    job.beat("two", compiles=3, compiling_s=0.0)
    assert watcher.poll().phase is None, "one of them works"


def test_once_all_units_are_committed_their_targets_are_those_of_the_ledger(job):
    watcher = job.watcher(units=1, rows=40)
    watcher.poll()
    job.beat("one", rows_prepared=38, targets_asked=50, targets_done=44)
    job.commit("000000-a", 40, targets=52)
    assert metrics(watcher.poll())[0] == "52/52 targets"


def test_the_time_goes_on_in_a_bar_that_nothing_new_is_told(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    bar = display.open_display("bar", stream := Terminal())
    monkeypatch.setattr("jobs.terminal.bar.time.monotonic", lambda began=time.monotonic(): began + 65)
    bar.show(["0/1 units"], None)
    bar.close()
    assert "01:05 · 0/1 units" in stream.getvalue()


def test_all_metrics_are_in_the_line():
    snapshot = Snapshot(
        units_done=41,
        units_total=117,
        rows_done=10_496,
        rows_total=29_952,
        rejected=212,
        failed_units=1,
        tokens_per_s=1204.4,
        slot_occupancy=0.93,
        eta_s=451,
    )
    assert metrics(snapshot) == [
        "41/117 units",
        "1 FAILED",
        "ETA 07:31",
        "10,496/29,952 rows",
        "1,204 tokens/s",
        "212 rejected",
        "slots 93%",
    ]


@given(st.lists(st.text(min_size=1), min_size=1), st.integers(1, 200))
def test_a_line_never_exceeds_the_width_and_keeps_the_first_metrics(words, width):
    line = fit(words, width)
    assert len(line) <= width
    assert line == words[0][:width] or any(line == " · ".join(words[:count]) for count in range(1, len(words) + 1))


def test_a_clock_counts_beyond_a_day():
    assert clock(100 * 3600 + 61) == "100:01:01"


# --- display -----------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_where_there_is_no_terminal_a_last_plain_line_comes(job):
    job.commit("000000-a", 40)
    stream = io.StringIO()
    with follow_job(JobFolder(str(job.job_dir)), units_total=1, rows_total=40, stream=stream):
        pass
    assert stream.getvalue() == "[00:00] 1/1 units · 40/40 rows · 0 rejected\n"


def test_plain_lines_come_now_and_then(monkeypatch):
    times = iter([0.0, 10.0, 31.0, 31.0, 31.0, 40.0, 50.0, 50.0])
    lines = display._Lines(stream := io.StringIO(), now=lambda: next(times))
    for word in ("one", "two", "three"):
        lines.show([word], None)
    lines.close()
    assert stream.getvalue() == "[00:31] two\n[00:50] three\n"


def test_a_terminal_gets_a_bar_with_the_metrics(job, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    job.commit("000000-a", 20)
    stream = Terminal()
    with follow_job(JobFolder(str(job.job_dir)), units_total=2, rows_total=40, stream=stream):
        pass
    assert "1/2 units · 20/40 rows · 0 rejected" in stream.getvalue() and "\x1b[" in stream.getvalue()


def test_a_narrow_terminal_gets_what_fits(job, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "36")
    stream = Terminal()
    with follow_job(JobFolder(str(job.job_dir)), units_total=2, rows_total=40, stream=stream):
        pass
    assert "00:00 · 0/2 units · 0/40 rows" in stream.getvalue() and "rejected" not in stream.getvalue()


def test_rounding_does_not_make_a_slow_engine_look_dead():
    at = {"units_done": 0, "units_total": 1, "rows_done": 0, "rows_total": 1}
    assert "0.4 tokens/s" in metrics(Snapshot(**at, tokens_per_s=0.41))
    assert "1,204 tokens/s" in metrics(Snapshot(**at, tokens_per_s=1204.4))


def test_a_poll_that_fails_in_whatever_way_fails_no_job(job, monkeypatch):
    def broken(watcher):
        raise LookupError("a client's own kind of error")

    monkeypatch.setattr(Watcher, "poll", broken)
    with follow_job(JobFolder(str(job.job_dir)), units_total=1, rows_total=1, stream=(stream := io.StringIO())):
        pass
    assert stream.getvalue() == ""


def test_none_shows_nothing_at_all(job):
    stream = Terminal()
    with follow_job(JobFolder(str(job.job_dir)), units_total=1, rows_total=1, mode="none", stream=stream):
        pass
    with count_line("none", "files", stream) as line:
        line.update(1)
    assert stream.getvalue() == ""


def test_storage_that_fails_for_a_moment_does_not_end_the_job(job, monkeypatch):
    polls = []

    def failing(self):
        polls.append(1)
        if len(polls) == 1:
            raise OSError("the network is down")
        return Snapshot(units_done=1, units_total=1, rows_done=1, rows_total=1)

    monkeypatch.setattr(Watcher, "poll", failing)
    monkeypatch.setattr(progress, "_POLL_S", 0.001)
    stream = io.StringIO()
    with follow_job(JobFolder(str(job.job_dir)), units_total=1, rows_total=1, stream=stream):
        while len(polls) < 3:
            time.sleep(0.001)
    assert "1/1 units" in stream.getvalue()


def test_the_blocks_own_error_comes_out(job):
    with (
        pytest.raises(KeyError, match="mine"),
        follow_job(JobFolder(str(job.job_dir)), units_total=1, rows_total=1, stream=io.StringIO()),
    ):
        raise KeyError("mine")


def test_a_count_shows_its_last_value():
    stream = io.StringIO()
    with count_line("auto", "files", stream) as line:
        for count in range(1, 1001):
            line.update(count, "2 rejected")
    assert stream.getvalue() == "[00:00] 1,000 files · 2 rejected\n"
