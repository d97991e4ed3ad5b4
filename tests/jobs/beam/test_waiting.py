"""How the driver waits for a runner's job, with a job that does as it is told."""

from __future__ import annotations

import itertools
import threading

import pytest

from jobs.beam.waiting import RunnerSilent, wait_for


class Job:
    """A runner's job that ends when it is canceled, or at once with an error."""

    def __init__(self, error: Exception | None = None, *, is_over: bool = False):
        self.error = error
        self.canceled = threading.Event()
        self.was_canceled = False
        if is_over or error:
            self.canceled.set()

    def wait_until_finish(self):
        self.canceled.wait(20)
        if self.error:
            raise self.error

    def cancel(self):
        self.was_canceled = True
        self.end()

    def end(self):
        self.canceled.set()


def test_a_job_that_ends_is_waited_for():
    job = Job(is_over=True)
    wait_for(job, lambda: 0)
    assert not job.was_canceled


def test_the_error_of_a_job_is_that_of_the_wait():
    with pytest.raises(ValueError, match="lost"):
        wait_for(Job(ValueError("lost")), lambda: 0)


def test_a_job_whose_workers_have_stopped_is_canceled():
    job, beats = Job(), iter([1, 2, 3])
    with pytest.raises(RunnerSilent, match="sign of life"):
        wait_for(job, lambda: next(beats, 3), silent_s=0.2)
    assert job.canceled.is_set()


def test_a_job_whose_workers_havent_started_yet_is_waited_for():
    job = Job()
    threading.Timer(1.0, job.cancel).start()
    wait_for(job, lambda: {"yesterday's": 1.0}, silent_s=0.1)
    assert job.canceled.is_set(), "by the timer, not by the wait"


class Signs:
    """Signs of life that can't be read from one look on, for a while or for good; the eighth look ends the job."""

    def __init__(self, job: Job, fails, error: Exception | None = None):
        self.job, self.count = job, 0
        self.fails, self.error = fails, error or OSError(116, "Stale file handle")

    def __call__(self):
        self.count += 1
        if self.count == 8:
            self.job.end()
        if self.fails(self.count):
            raise self.error
        return self.count


@pytest.mark.parametrize("fails", [lambda count: count in (3, 4), lambda count: count == 1], ids=["later", "at first"])
def test_a_storage_that_fails_for_a_while_cancels_no_job(fails, caplog):
    job = Job()
    wait_for(job, Signs(job, fails), silent_s=1.0)
    assert not job.was_canceled
    assert "can't read the heartbeats of the runner's workers: [Errno 116] Stale file handle" in caplog.text


def test_a_storage_that_fails_for_long_ends_the_job_with_its_error():
    job = Job()
    with pytest.raises(OSError, match="Stale"):
        wait_for(job, Signs(job, lambda count: count > 2), silent_s=0.2)
    assert job.was_canceled


def test_the_time_in_which_nothing_could_be_read_is_no_silence_of_the_workers():
    job = Job()
    signs, seen = Signs(job, lambda count: 3 <= count < 6), iter([1, 2])

    def beats() -> int:
        signs()
        return next(seen, 2)  # the worker's heartbeat, the same before and after

    wait_for(job, beats, silent_s=1.0)
    assert not job.was_canceled


def test_heartbeats_of_an_earlier_run_that_are_seen_late_are_no_change():
    job, count = Job(), itertools.count()
    threading.Timer(1.5, job.end).start()

    def signs() -> dict[str, float]:
        if not next(count):
            raise OSError(116, "Stale file handle")
        return {"yesterday's": 1.0}

    wait_for(job, signs, silent_s=0.2)
    assert not job.was_canceled


def test_a_bug_in_looking_is_raised_at_once():
    job = Job()
    with pytest.raises(ValueError, match="bug"):
        wait_for(job, Signs(job, lambda count: True, ValueError("bug")))
    assert job.was_canceled


def test_an_interrupt_cancels_the_job():
    job = Job()

    def signs():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_for(job, signs)
    assert job.canceled.is_set()
