"""How the driver waits for a runner's job, with a job that does as it is told."""

from __future__ import annotations

import threading

import pytest

from jobs.beam.waiting import RunnerSilent, wait_for


class Job:
    """A runner's job that ends when it is canceled, or at once with an error."""

    def __init__(self, error: Exception | None = None, *, is_over: bool = False):
        self.error = error
        self.canceled = threading.Event()
        if is_over or error:
            self.canceled.set()

    def wait_until_finish(self):
        self.canceled.wait(20)
        if self.error:
            raise self.error

    def cancel(self):
        self.canceled.set()


def test_a_job_that_ends_is_waited_for():
    wait_for(Job(is_over=True), lambda: 0)


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


def test_an_interrupt_cancels_the_job():
    job = Job()

    def signs():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_for(job, signs)
    assert job.canceled.is_set()
