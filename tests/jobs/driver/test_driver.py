from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.ledger import journal
from jobs.ledger.heartbeat import read_heartbeats
from jobs.ledger.lock import acquire
from jobs.plan.job_file import SCHEMA_VERSION
from jobs.storage.folders import JobFolder
from jobs.system.exit_codes import FAILED_UNITS
from tests.jobs import uppercase

ROOT = Path(__file__).parents[3]


@pytest.fixture
def inline(monkeypatch):
    """Units and merges in this process: these tests are about what comes before and after them."""
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


@pytest.fixture
def corpus(tmp_path) -> Path:
    return uppercase.write_corpus(tmp_path / "in" / "a.parquet", 35)


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "out"


def run(corpus: Path | str, output: Path, *more: str) -> int:
    return uppercase.command_line(
        ["--input", str(corpus), "--output", str(output), "--unit_rows", "5", "--progress", "none", *more]
    )


def plan_only(corpus: Path, output: Path, monkeypatch) -> None:
    """A job that was interrupted before its first unit."""

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("jobs.execution.supervisor.run_units", interrupt)
        assert run(corpus, output) == 130


def one_line(capfd) -> str:
    """What the user sees on standard error: one line, and no traceback."""
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said, said
    return said


# --- complete runs ---------------------------------------------------------------------------------


def test_a_job_runs_from_plan_to_dataset_through_beam_and_its_worker(corpus, output, tmp_path):
    flags = ["--input", str(corpus), "--output", str(output), "--unit_rows", "5"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.jobs.uppercase", *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "rows: 35 = 30 kept + 5 rejected + 0 in failed units" in done.stdout
    assert "targets: 60 = 54 accepted + 6 rejected" in done.stdout
    assert "rejected rows: no_target 5" in done.stdout
    assert f"30 rows in 1 file: {output}/data" in done.stdout
    rows = uppercase.dataset(output)
    assert [row["upper"] for row in rows["data"]] == [row["content"].upper() for row in rows["data"]]
    assert [row["stars"] for row in rows["data"]] == [n for n in range(35) if n % 7 != 6]
    written = {path.name for path in output.iterdir()}
    assert written == {"_job", "data", "rejected", "README.md", "report.html", "summary.json", "COMPLETED"}


def test_a_job_with_too_many_stage_errors_ends_with_3_and_one_line(corpus, output, inline, monkeypatch, capfd):
    run_unit = uppercase.UppercaseWork.run

    def failing(self, unit, table, rows):
        if 3 in rows:
            raise ValueError("a bug")
        return run_unit(self, unit, table, rows)

    monkeypatch.setattr(uppercase.UppercaseWork, "run", failing)
    assert run(corpus, output) == FAILED_UNITS
    said = [line for line in capfd.readouterr().err.splitlines() if "stage_error" in line]
    said = [line for line in said if line.startswith("codemill tests.jobs.uppercase: ")]
    assert len(said) == 1 and "4 of 35 rows (11.4%) ended in a bug of codemill (stage_error)" in said[0]
    assert f"codemill inspect {output} --rejected --reason stage_error" in said[0]
    assert run(corpus, output) == FAILED_UNITS  # the same command on the finished job


def test_running_the_same_command_on_a_finished_job_says_so_and_does_nothing(corpus, output, inline, capfd):
    assert run(corpus, output) == 0
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    capfd.readouterr()
    assert run(corpus, output) == 0
    assert "has been complete since" in one_line(capfd)
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_stops_the_job_with_one_line_and_the_same_command_resumes_it(
    corpus, output, number, code, word, inline, capfd
):
    script = "from tests.jobs import uppercase; import jobs.execution.supervisor, sys; "
    script += "uppercase.stay_here(); sys.exit(uppercase.command_line(sys.argv[1:]))"
    flags = ["--input", str(corpus), "--output", str(output), "--unit_rows", "5", "--progress", "none"]
    driver = subprocess.Popen(
        [sys.executable, "-c", script, *flags, "--pause_s", "0.3"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    commits = output / "_job" / "commits"
    while not (commits.is_dir() and any(name.suffix == ".json" for name in commits.iterdir())):
        assert driver.poll() is None
        time.sleep(0.02)
    driver.send_signal(number)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == code
    assert said.splitlines()[-1].endswith(f"{word}; committed work is kept; run the same command to resume")
    assert "Traceback" not in said
    assert run(corpus, output) == 0
    assert "resuming: " in capfd.readouterr().err
    assert len(uppercase.dataset(output)["data"]) == 30


# --- refusals --------------------------------------------------------------------------------------


def test_a_changed_output_option_is_refused_with_what_changed_and_what_to_do(corpus, output, inline, capfd):
    assert run(corpus, output) == 0
    capfd.readouterr()
    assert run(corpus, output, "--seed", "4", "--mark", "x") == 2
    said = one_line(capfd)
    assert "--mark was , is now x; --seed was 0, is now 4" in said
    assert "Pass the old values to resume it, or choose another --output" in said


def test_a_runtime_option_may_change(corpus, output, inline):
    assert run(corpus, output) == 0
    before = uppercase.dataset(output)
    assert run(corpus, output, "--shard_mb", "1", "--unit_mb", "1") == 0
    assert uppercase.dataset(output) == before


def test_other_weights_are_refused(corpus, output, inline, capfd, monkeypatch):
    assert run(corpus, output) == 0
    capfd.readouterr()
    monkeypatch.setattr(uppercase, "build_work", _work_with_weights)
    assert run(corpus, output) == 2
    assert "the model's weights were" in one_line(capfd)


def _work_with_weights(options):
    return uppercase.UppercaseWork(uppercase.from_all_options(uppercase.Options, options), checkpoint_sha256="ab" * 32)


def as_schema_version(output: Path, version: str) -> None:
    """Makes an output look as if a codemill of another schema version had started it."""
    path = output / "_job" / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": version}))


def refuses_version(output: Path, capfd: pytest.CaptureFixture[str]) -> bool:
    return one_line(capfd).endswith(
        f"{output} was started with schema version 1, this codemill writes version {SCHEMA_VERSION}; "
        "finish it with the codemill that started it, or choose another --output\n"
    )


def test_an_output_that_an_older_schema_version_started_is_refused_with_both_versions(
    corpus, output, inline, capfd, monkeypatch
):
    plan_only(corpus, output, monkeypatch)
    as_schema_version(output, "1")
    before = sorted(output.rglob("*"))
    capfd.readouterr()
    assert run(corpus, output) == 2
    assert refuses_version(output, capfd)
    assert run(corpus, output, "--mark", "x") == 2  # an option that differs is not what keeps it from being resumed
    assert refuses_version(output, capfd)
    assert sorted(output.rglob("*")) == before


def test_a_complete_output_of_an_older_schema_version_is_complete(corpus, output, inline, capfd):
    assert run(corpus, output) == 0
    as_schema_version(output, "1")
    capfd.readouterr()
    assert run(corpus, output) == 0
    assert "has been complete since" in one_line(capfd)
    assert run(corpus, output, "--mark", "x") == 2
    assert "--mark was , is now x" in one_line(capfd)


@pytest.mark.parametrize("how", ["other_shards", "retry_failed", "lost_file"])
def test_a_complete_output_of_an_older_schema_version_is_not_made_again(corpus, output, inline, capfd, how):
    assert run(corpus, output) == 0
    as_schema_version(output, "1")
    if how == "lost_file":
        (output / "README.md").unlink()
    flags = {"other_shards": ("--shard_mb", "1"), "retry_failed": ("--retry_failed",), "lost_file": ()}[how]
    capfd.readouterr()
    assert run(corpus, output, *flags) == 2
    assert refuses_version(output, capfd)
    assert (output / "COMPLETED").exists()


def test_the_output_of_another_job_is_refused(corpus, output, inline, capfd):
    assert run(corpus, output) == 0
    path = output / "_job" / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"job": "docstrings"}))
    capfd.readouterr()
    assert run(corpus, output) == 2
    assert "is the output of `codemill docstrings`" in one_line(capfd)


def test_a_folder_with_other_files_is_refused_and_left_alone(corpus, output, inline, capfd):
    output.mkdir()
    for name in ("a.txt", "b.txt", "c.txt", "d.txt"):
        (output / name).write_text("mine")
    assert run(corpus, output) == 2
    said = one_line(capfd)
    assert "is not empty and not an output of codemill: it contains a.txt, b.txt, c.txt, ...; choose another" in said
    assert len(list(output.iterdir())) == 4


def test_an_output_that_is_a_file_is_refused(corpus, output, inline, capfd):
    output.write_text("mine")
    assert run(corpus, output) == 2
    assert "is a file; pass a folder" in one_line(capfd)


def test_a_second_driver_reports_who_holds_the_output(corpus, output, inline, capfd):
    with acquire(JobFolder(str(output / "_job"))):
        assert run(corpus, output) == 2
    assert f"is being written by process {os.getpid()}" in one_line(capfd)
    assert not (output / "_job" / "job.json").exists()


def test_what_is_refused_leaves_no_output_behind(tmp_path, output, inline, capfd):
    assert run(tmp_path / "*.parquet", output) == 2
    assert f"--input: no file matches {tmp_path}/*.parquet" in one_line(capfd)
    assert not output.exists()


def test_a_plan_that_was_tampered_with_is_refused(corpus, output, inline, capfd):
    assert run(corpus, output) == 0
    (output / "COMPLETED").unlink()
    (output / "_job" / "plan.parquet").write_bytes(b"something else")
    capfd.readouterr()
    assert run(corpus, output) == 2
    assert "is not the plan that this job was started with" in one_line(capfd)


def test_a_full_disk_in_a_merge_is_one_line_and_the_same_command_resumes(corpus, output, monkeypatch, capfd):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units)  # the merge is Beam's
    monkeypatch.setenv("CODEMILL_FAILPOINT", "finalize.inside_shard=enospc")
    assert run(corpus, output) == 2
    said = capfd.readouterr().err
    assert "no space left while writing" in said.splitlines()[-1] and "Traceback" not in said
    monkeypatch.delenv("CODEMILL_FAILPOINT")
    assert run(corpus, output) == 0
    assert len(uppercase.dataset(output)["data"]) == 30


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def test_a_read_only_output_is_one_line(corpus, full_disk, inline, capfd):
    remount(Path(full_disk), "ro")
    assert run(corpus, Path(full_disk) / "out") == 2
    said = one_line(capfd)
    assert "can't write" in said and "read-only file system; choose another --output" in said


def test_a_disk_that_fills_up_is_one_line_and_with_more_space_the_same_command_ends_well(
    tmp_path, full_disk, inline, capfd
):
    path = tmp_path / "noise.parquet"
    noise = [os.urandom(6000).hex() for _ in range(60)]
    pq.write_table(pa.table({"content": noise}), path)
    output = Path(full_disk) / "out"
    assert run(path, output) == 2
    said = capfd.readouterr().err
    assert "no space left while writing" in said.splitlines()[-1] and "Traceback" not in said
    committed = len(list((output / "_job" / "commits").iterdir()))
    assert committed >= 1
    remount(Path(full_disk), "size=50m")
    assert run(path, output) == 0
    assert f"resuming: {committed} of 12 units" in capfd.readouterr().err
    assert [row["content"] for row in uppercase.dataset(output)["data"]] == noise


# --- resume ----------------------------------------------------------------------------------------


def test_a_resumed_job_works_on_the_existing_plan_and_tells_that_the_glob_has_grown(
    corpus, output, inline, monkeypatch
):
    plan_only(corpus.parent, output, monkeypatch)
    uppercase.write_corpus(corpus.parent / "later.parquet", 50)
    assert run(corpus.parent, output) == 4
    assert uppercase.summary(output)["rows"]["planned"] == 35


def test_a_note_reports_a_package_that_has_changed_since_the_job_started(corpus, output, inline, capfd):
    assert run(corpus, output) == 0
    (output / "COMPLETED").unlink()
    path = output / "_job" / "job.json"
    job = json.loads(path.read_text())
    path.write_text(json.dumps(job | {"versions": job["versions"] | {"pyarrow": "1.0"}}))
    capfd.readouterr()
    assert run(corpus, output) == 0
    assert f"note: pyarrow was 1.0, is now {pa.__version__}" in capfd.readouterr().err


def test_a_source_that_changes_under_a_job_fails_its_units_and_no_others(corpus, output, inline, monkeypatch, capfd):
    uppercase.write_corpus(corpus.parent / "b.parquet", 20)
    plan_only(corpus.parent, output, monkeypatch)
    uppercase.write_corpus(corpus, 36)
    assert run(corpus.parent, output) == 3
    rows = uppercase.summary(output)["rows"]
    assert rows == {"planned": 55, "kept": 18, "rejected": 2, "in_failed_units": 35, "output": 18}
    assert "FAILED UNITS: 7 of 11 (input_changed 7)" in capfd.readouterr().out


# --- limits and dry runs ---------------------------------------------------------------------------


def test_a_limit_takes_the_first_rows_and_no_more(corpus, output, inline):
    assert run(corpus, output, "--limit", "12") == 0
    assert uppercase.summary(output)["rows"]["planned"] == 12
    assert [row["stars"] for row in uppercase.dataset(output)["data"]] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]


def test_a_dry_run_counts_the_plan_measures_a_sample_and_writes_nothing(corpus, output, inline, capfd):
    (corpus.parent / "zero.parquet").write_bytes(b"")
    assert run(corpus.parent, output, "--dry_run") == 3
    said = capfd.readouterr().out
    assert "files    2 (1 good, 1 bad)" in said
    assert "zero.parquet: zero_bytes: the file is empty" in said
    assert "rows     35" in said
    # 15 of the 35 rows are measured and have 26 targets; 26 / 15 * 35 = 60.7, and there are 60.
    assert "sample   15 rows" in said and "prompts  about 61" in said
    assert "nothing was written" in said
    assert not output.exists()


def test_a_dry_run_measures_around_what_cant_be_read(corpus, output, inline, capfd):
    data = bytearray(corpus.read_bytes())
    data[8:200] = bytes(192)  # pages of the first row group
    corpus.write_bytes(data)
    assert run(corpus, output, "--dry_run") == 0
    said = capfd.readouterr().out
    assert "sample   damaged_input: " in said and "time     about" in said


def test_one_of_anything_is_named_in_the_singular(tmp_path, output, inline, capfd):
    pq.write_table(pa.table({"content": ["x = 1"]}), tmp_path / "one.parquet")
    assert run(tmp_path / "one.parquet", output) == 0
    said = capfd.readouterr()
    assert "plan: 1 file, 1 row, 0.0 MB in 1 unit;" in said.err and "1 row in 1 file: " in said.out


def test_an_option_that_a_later_version_brought_is_no_change_at_its_default(corpus, output, inline, capfd):
    assert run(corpus, output) == 0
    path = output / "_job" / "job.json"
    job = json.loads(path.read_text())
    del job["options"]["mark"]
    path.write_text(json.dumps(job))
    assert run(corpus, output) == 0
    capfd.readouterr()
    assert run(corpus, output, "--mark", "x") == 2
    assert "--mark was , is now x" in one_line(capfd)


def test_a_job_whose_input_has_no_rows_is_refused(tmp_path, output, inline, capfd):
    pq.write_table(pa.table({"content": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    assert run(tmp_path / "empty.parquet", output) == 2
    assert "the input has no rows" in one_line(capfd)


# --- Ctrl-C in mid-units ----------------------------------------------------------------------------


def test_an_interrupt_in_mid_unit_ends_driver_and_worker_at_once_with_one_line_and_the_job_resumes(corpus, output):
    """The real worker process, in a unit that would take a minute more, and a second Ctrl-C of an impatient user."""
    flags = ["--input", str(corpus), "--output", str(output), "--unit_rows", "5", "--max_units_in_flight", "2"]
    words = [sys.executable, "-m", "tests.jobs.uppercase", *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen(
        [*words, "--pause_s", "60"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    opened = output / "_job" / "journal" / "open"
    while not any(path.is_file() for path in opened.rglob("*~rows~*")):
        assert driver.poll() is None
        time.sleep(0.05)
    (beat,) = read_heartbeats(JobFolder(str(output / "_job")))
    os.killpg(driver.pid, signal.SIGINT)
    time.sleep(0.1)
    if driver.poll() is None:
        os.killpg(driver.pid, signal.SIGINT)
    out, said = driver.communicate(timeout=30)
    assert driver.returncode in (130, -signal.SIGINT), said
    assert said.splitlines()[-1].endswith("interrupted; committed work is kept; run the same command to resume")
    assert "Traceback" not in said and not out
    with pytest.raises(ProcessLookupError):
        os.kill(beat.pid, 0)
    done = subprocess.run([*words, "--pause_s", "0"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "rows: 35 = 30 kept + 5 rejected + 0 in failed units" in done.stdout
    assert "taking over" not in done.stderr, "the lock was released"
    assert journal.read_deaths(JobFolder(str(output / "_job"))) == [], "there are no suspects"


MERGE_FOR_LONG = """
import itertools, sys, time
from tests.jobs import uppercase
import jobs.finalize.shards, jobs.execution.supervisor
uppercase.stay_here()
parts = jobs.finalize.shards._parts
def endless(*args):
    for table in itertools.cycle(parts(*args)):
        sys.stdout.write("merging\\n"), sys.stdout.flush()
        time.sleep(0.2)
        yield table
jobs.finalize.shards._parts = endless
sys.exit(uppercase.command_line(sys.argv[1:]))
"""


def test_an_interrupt_in_mid_merge_is_one_line_too(corpus, output, inline):
    flags = ["--input", str(corpus), "--output", str(output), "--unit_rows", "5", "--progress", "none"]
    driver = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", MERGE_FOR_LONG, *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None and driver.stdout.readline() == "merging\n"
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert said.splitlines()[-1].endswith("interrupted; committed work is kept; run the same command to resume")
    assert "Traceback" not in said
    assert run(corpus, output) == 0
    assert len(uppercase.dataset(output)["data"]) == 30
