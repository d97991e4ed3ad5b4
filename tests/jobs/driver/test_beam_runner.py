"""A job's steps on a Beam runner, from the driver's side: what it repeats, what ends it, and what a resume finds."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs import storage
from jobs.beam import orphans
from jobs.driver import beam_runner, driver
from jobs.driver.beam_runner import MAX_RUNS_IN_VAIN, BeamRunner
from jobs.errors import StorageFull, WorkerFailed
from jobs.execution.orders import Orders, failure_of
from jobs.execution.worker import RunSpec
from jobs.finalize.merge_on_beam import MergeShards
from jobs.finalize.shards import MergeSpec
from jobs.hosts.checks import driver_facts
from jobs.hosts.stopping import read_reason, write_reason
from jobs.ledger import commits
from jobs.ledger.lock import acquire
from jobs.plan.units import read_plan
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from tests.jobs import toy, uppercase

LOCAL = ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",)
ORDERS = Orders(job_name="tests.jobs.toy", options={})


@pytest.fixture
def job_dir(tmp_path, monkeypatch) -> JobFolder:
    monkeypatch.setattr(beam_runner, "_PAUSE_S", 0)
    return toy.make_job(str(tmp_path), [["a"], ["b"], ["c"], ["d"]])


def spec_of(job_dir: JobFolder) -> RunSpec:
    return RunSpec(job_dir=job_dir, schema=toy.SCHEMA, config_hash=toy.CONFIG_HASH)


def run_units(job_dir: JobFolder) -> None:
    BeamRunner(LOCAL).run_units(spec_of(job_dir), ORDERS)


def runs(monkeypatch, job_dir: JobFolder, *steps) -> list[int]:
    """Has each run of the pipeline commit so many units, then raise the error, if there is one; the list of runs."""
    waiting, seen = list(steps), []

    def run(told, beam_args, needs):
        count, error = waiting.pop(0)
        seen.append(count)
        left = sorted({unit.unit_id for unit in read_plan(job_dir)} - commits.list_commits(job_dir))
        toy.run_here(job_dir, only=set(left[:count]))
        if error is not None:
            raise error

    monkeypatch.setattr(beam_runner, "run_pipeline", run)
    return seen


def test_the_pipeline_runs_again_while_that_leaves_fewer_units(job_dir, monkeypatch):
    lost = RuntimeError("Traceback\nRuntimeError: a worker was lost")
    seen = runs(monkeypatch, job_dir, (1, lost), (0, lost), (1, None), (2, lost))
    run_units(job_dir)
    assert seen == [1, 0, 1, 2]
    assert len(commits.list_commits(job_dir)) == 4


def test_a_runner_that_brings_nothing_again_and_again_ends_the_job_in_one_line(job_dir, monkeypatch):
    lost = RuntimeError("Job failed\nTraceback ...\nRuntimeError: a worker was lost")
    seen = runs(monkeypatch, job_dir, (1, lost), *[(0, lost)] * 5)
    with pytest.raises(ConfigError, match=r"left 3 units undone in 2 runs .* RuntimeError: a worker was lost;") as told:
        run_units(job_dir)
    assert len(seen) == 1 + MAX_RUNS_IN_VAIN
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("error", [StorageFull("no space left"), ConfigError("no batteries"), WorkerFailed("x: y")])
def test_what_a_remote_host_says_is_raised_as_what_it_is(job_dir, monkeypatch, error):
    def run(told, beam_args, needs):
        write_reason(job_dir, failure_of(error))
        raise RuntimeError("Pipeline job-1 failed in state FAILED: see the worker's log")

    monkeypatch.setattr(beam_runner, "run_pipeline", run)
    with pytest.raises(type(error), match=str(error)):
        run_units(job_dir)


def test_a_reason_that_could_not_be_written_is_found_in_the_runners_text(job_dir, monkeypatch):
    text = "Pipeline failed:\nTraceback ...\njobs.errors.StorageFull: no space left [while running 'RunUnits']\n\nmore"
    runs(monkeypatch, job_dir, (0, RuntimeError(text)))
    with pytest.raises(StorageFull, match=r"^no space left$"):
        run_units(job_dir)


def test_a_worker_without_codemill_is_told_in_one_line(job_dir, monkeypatch):
    text = "Pipeline failed:\nTraceback ...\nModuleNotFoundError: No module named 'jobs'\n"
    runs(monkeypatch, job_dir, (0, RuntimeError(text)))
    with pytest.raises(ConfigError, match="can't import codemill; install"):
        run_units(job_dir)


def test_the_reason_of_an_earlier_run_isnt_that_of_the_next(job_dir):
    write_reason(job_dir, {"kind": "ConfigError", "message": "yesterday's"})
    run_units(job_dir)
    assert read_reason(job_dir) is None
    assert len(commits.list_commits(job_dir)) == 4


@pytest.mark.parametrize("opens_first", [True, False])
def test_what_all_workers_read_is_made_by_one_before_the_units_run(job_dir, monkeypatch, opens_first):
    did = []
    lost = [RuntimeError("a worker was lost"), None]

    def open_first(told, beam_args, needs):
        did.append("open")
        if error := lost.pop(0):
            raise error

    def run(told, beam_args, needs):
        did.append("run")
        toy.run_here(job_dir)

    monkeypatch.setattr(beam_runner, "open_first", open_first)
    monkeypatch.setattr(beam_runner, "run_pipeline", run)
    orders = dataclasses.replace(ORDERS, opens_first=opens_first)
    for _ in range(2):  # the second time nothing is left to do
        BeamRunner(LOCAL).run_units(spec_of(job_dir), orders)
    assert did == (["open", "open", "run"] if opens_first else ["run"])


def flags(tmp_path: Path, out: str, *more: str) -> list[str]:
    corpus = uppercase.write_corpus(tmp_path / "in" / "a.parquet")
    return ["--input", str(corpus), "--output", out, "--unit_rows", "10", "--content_column", "content", *more]


def test_a_job_on_a_runner_gives_the_local_runs_rows_also_for_a_relative_output(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert uppercase.command_line(flags(tmp_path, "on_runner", "--", *LOCAL)) == 0
    assert uppercase.command_line(flags(tmp_path, str(tmp_path / "local"))) == 0
    assert uppercase.dataset(tmp_path / "on_runner") == uppercase.dataset(tmp_path / "local")
    assert "Traceback" not in capsys.readouterr().err


def test_a_second_driver_on_the_same_output_is_refused(tmp_path, capsys):
    out = tmp_path / "out"
    with acquire(OutputFolder(str(out)).job):
        assert uppercase.command_line(flags(tmp_path, str(out), "--", *LOCAL)) == 2
    assert "is being written by" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_job_on_the_local_runner_ends_with_one_line_and_resumes(tmp_path, number):
    out = tmp_path / "out"
    argv = flags(tmp_path, str(out), "--pause_s", "10", "--workers", "1", "--", *LOCAL)
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.uppercase", *argv], cwd=uppercase.ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    job_dir = OutputFolder(str(out)).job
    while not commits.list_commits(job_dir) and time.monotonic() < deadline:
        time.sleep(0.05)
    driver.send_signal(number)
    _, said = driver.communicate(timeout=200)
    assert driver.returncode == 128 + number, said
    assert "committed work is kept; run the same command to resume" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert 0 < len(commits.list_commits(job_dir)) < 4
    argv[argv.index("--pause_s") + 1] = "0"
    assert uppercase.command_line(argv) == 0
    assert len(uppercase.dataset(out)["data"]) == 35


def test_the_job_that_a_killed_driver_left_behind_is_named_where_it_cant_be_canceled(job_dir, monkeypatch, caplog):
    monkeypatch.setattr(orphans, "_QUIET_S", 0.1)
    record = {"job_id": "job-7", "job_endpoint": "localhost:1"}
    storage.write_bytes(job_dir.runner_job, json.dumps(record).encode())
    assert BeamRunner(LOCAL).end_orphan(job_dir)
    assert "job job-7, which an earlier run of this command left behind, can't be canceled from here" in caplog.text
    assert not os.path.exists(job_dir.runner_job)


@pytest.mark.parametrize("has_ended", [True, False])
def test_temporary_files_are_swept_when_what_was_left_behind_has_ended(tmp_path, monkeypatch, has_ended):
    out, did = tmp_path / "out", []
    assert uppercase.command_line(flags(tmp_path, str(out), "--", *LOCAL)) == 0
    (out / "COMPLETED").unlink()
    monkeypatch.setattr(BeamRunner, "end_orphan", lambda self, job_dir: (did.append("end"), has_ended)[1])
    monkeypatch.setattr(driver, "sweep", lambda output: did.append("sweep"))
    assert uppercase.command_line(flags(tmp_path, str(out), "--", *LOCAL)) == 0
    assert did == (["end", "sweep"] if has_ended else ["end"])


def test_a_worker_that_doesnt_see_the_attempts_merges_nothing(job_dir):
    function = MergeShards(MergeSpec(job_dir=job_dir, plan_id="0", schema=toy.OUTPUT_SCHEMA), driver_facts(job_dir))
    storage.write_bytes(job_dir.probe, b"another machine's")
    with pytest.raises(ConfigError, match="doesn't see the job's folder"):
        function.setup()


def test_grouping_runs_again_once_after_an_error_of_the_runners(monkeypatch, caplog, tmp_path):
    folder = str(tmp_path / "_job" / "grouped" / "0")
    errors = [RuntimeError("Traceback ...\nRuntimeError: a worker was lost"), None]

    def group(*arguments, **more):
        assert read_reason(JobFolder(str(tmp_path / "_job"))) is None
        if error := errors.pop(0):
            raise error
        return "the outcome"

    monkeypatch.setattr(beam_runner, "group_on_runner", group)
    assert BeamRunner(LOCAL).group(None, folder, None, None) == "the outcome"
    assert "a worker was lost): it runs again" in caplog.text
    errors[:] = [RuntimeError("lost"), RuntimeError("lost again")]
    write_reason(JobFolder(str(tmp_path / "_job")), {"kind": "ConfigError", "message": "yesterday's"})
    with pytest.raises(ConfigError, match="the runner failed 2 times: lost again"):
        BeamRunner(LOCAL).group(None, folder, None, None)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ('Traceback (most recent call last):\n  File "a.py", line 1\nValueError: no room\n', "ValueError: no room"),
        (
            "java.lang.RuntimeException: it broke\n\tat org.apache.beam.Some$Thing.run(Thing.java:840)\n"
            "Caused by: java.io.IOException: no space left\n\tat java.base/java.lang.Thread.run(Thread.java:840)\n"
            "\t... 3 more\n",
            "Caused by: java.io.IOException: no space left",
        ),
        ("gone\njava.base/java.lang.Thread.run(Thread.java:840)", "gone"),
        ("", "RuntimeError"),
    ],
)
def test_a_runners_error_is_told_by_the_last_line_with_a_message(said, line):
    assert beam_runner._line_of(RuntimeError(said)) == line
