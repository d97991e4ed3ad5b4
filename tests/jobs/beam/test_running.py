"""A pipeline's way from its submission to its end, and what a later run of the command finds of it."""

from __future__ import annotations

import itertools
import json
import os
import threading

import grpc
import pytest
from apache_beam.runners.runner import PipelineState

from jobs import storage
from jobs.beam import orphans, running, waiting
from jobs.beam.orphans import cancel_orphan
from jobs.beam.running import run_to_end
from jobs.beam.waiting import RunnerSilent
from jobs.storage.folders import JobFolder

FLAGS = ["--runner=PortableRunner", "--job_endpoint=localhost:1"]


@pytest.fixture
def job_dir(tmp_path) -> JobFolder:
    return JobFolder(str(tmp_path / "_job"))


class Job:
    """A pipeline and its result."""

    job_id = "job-7"

    def __init__(self, error: BaseException | None = None, *, lasts: bool = False):
        self.error = error
        self.state = PipelineState.RUNNING
        self.is_canceled = False
        self._ended = threading.Event()
        if not lasts:
            self._ended.set()

    def run(self):
        return self

    def wait_until_finish(self):
        self._ended.wait(20)
        if self.state == PipelineState.RUNNING:
            self.state = PipelineState.FAILED if self.error else PipelineState.DONE
        if self.error:
            raise self.error

    def cancel(self):
        self.is_canceled = True
        self.state = PipelineState.CANCELLED
        self._ended.set()


def recorded(job_dir: JobFolder) -> bool:
    return os.path.exists(job_dir.runner_job)


@pytest.mark.parametrize("error", [None, RuntimeError("a worker was lost")])
def test_the_record_of_a_job_that_has_ended_is_removed(job_dir, error):
    job, seen = Job(error), []
    job.wait_until_finish = lambda wait=job.wait_until_finish: (seen.append(recorded(job_dir)), wait())
    if error is None:
        assert run_to_end(job, job_dir, FLAGS) is job
    else:
        with pytest.raises(RuntimeError, match="a worker was lost"):
            run_to_end(job, job_dir, FLAGS)
    assert seen == [True] and not recorded(job_dir)


def test_a_job_that_cant_be_recorded_is_canceled(job_dir, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running, "record_job", full)
    job = Job(lasts=True)
    with pytest.raises(OSError, match="No space left"):
        run_to_end(job, job_dir, FLAGS)
    assert job.is_canceled


def test_a_job_that_is_canceled_stays_recorded_since_some_runners_only_call_it_so(job_dir, monkeypatch):
    beats = itertools.chain([1, 2], itertools.repeat(2))
    monkeypatch.setattr(running, "signs_of_life", lambda job_dir: next(beats))
    job = Job(lasts=True)
    with pytest.raises(RunnerSilent):
        run_to_end(job, job_dir, FLAGS, silent_s=0.2)
    assert job.is_canceled and recorded(job_dir)


def test_an_error_of_the_runner_isnt_hidden_by_a_folder_that_cant_be_written(job_dir, monkeypatch):
    def stalls(job_dir):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(running, "forget_job", stalls)
    with pytest.raises(RuntimeError, match="lost"):
        run_to_end(Job(RuntimeError("lost")), job_dir, FLAGS)


# --- what a killed driver left behind -----------------------------------------------------------------


@pytest.fixture
def left_behind(job_dir, monkeypatch) -> JobFolder:
    monkeypatch.setattr(orphans, "_QUIET_S", 0.3)
    monkeypatch.setattr(orphans, "_END_S", 1.5)
    monkeypatch.setattr(orphans.heartbeat, "PERIOD_S", 0.1)
    storage.write_bytes(job_dir.runner_job, json.dumps({"job_id": "job-7", "job_endpoint": "there:1"}).encode())
    return job_dir


def test_nothing_is_said_where_nothing_was_left_behind(job_dir, caplog):
    assert cancel_orphan(job_dir)
    assert caplog.text == ""


def test_a_job_whose_workers_stop_was_canceled(left_behind, monkeypatch, caplog):
    beats = itertools.chain(range(4), itertools.repeat(4))  # they take a while to end
    monkeypatch.setattr(orphans, "_cancel", lambda job_id, endpoint: "CANCELLED")
    monkeypatch.setattr(orphans, "signs_of_life", lambda job_dir: next(beats))
    assert cancel_orphan(left_behind)
    assert "job job-7, which an earlier run of this command left behind, was canceled: there:1 says" in caplog.text
    assert not recorded(left_behind)


def test_a_job_that_is_only_called_canceled_is_named_as_running(left_behind, monkeypatch, caplog):
    beats = itertools.count()
    monkeypatch.setattr(orphans, "_cancel", lambda job_id, endpoint: "CANCELLED")
    monkeypatch.setattr(orphans, "signs_of_life", lambda job_dir: next(beats))
    assert not cancel_orphan(left_behind)
    assert recorded(left_behind), "the next look must find it"
    assert not cancel_orphan(left_behind)
    assert "is still running, although there:1 was told to cancel it (it says CANCELLED)" in caplog.text
    assert "was canceled" not in caplog.text


def test_a_service_that_doesnt_answer_leaves_open_what_became_of_the_job(left_behind, monkeypatch, caplog):
    def cancel(job_id, endpoint):
        raise grpc.RpcError("unavailable")

    monkeypatch.setattr(orphans, "_cancel", cancel)
    assert cancel_orphan(left_behind), "no worker gives a sign of life"
    assert "can't be canceled from here (unavailable) and may still be running" in caplog.text


def test_heartbeats_that_cant_be_read_for_a_while_dont_end_the_command(left_behind, monkeypatch):
    answers = itertools.chain([OSError(116, "Stale file handle")] * 3, itertools.repeat(1))

    def signs(job_dir):
        if isinstance(answer := next(answers), OSError):
            raise answer
        return answer

    monkeypatch.setattr(orphans, "_cancel", lambda job_id, endpoint: "CANCELLED")
    monkeypatch.setattr(orphans, "signs_of_life", signs)
    assert cancel_orphan(left_behind)


def test_each_look_at_the_workers_is_shorter_than_what_ends_the_wait():
    assert orphans._QUIET_S < orphans._END_S < waiting.SILENT_S
