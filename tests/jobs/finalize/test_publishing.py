"""Publishing: published files contain no local paths, and a lost part of an output is rebuilt or refused."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.catalog import JOBS, options_of
from jobs.finalize.publishing import public_options
from jobs.ledger import commits, journal
from jobs.options.fields import fields_of
from jobs.plan.units import read_plan
from jobs.storage.folders import JobFolder
from tests.jobs import uppercase
from transforms.rows.columns import RowLimits, resolve_columns, table_to_rows


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


@pytest.fixture
def home(tmp_path) -> Path:
    """A corpus of two folders with files of the same names, one of them bad, deep in a user's home folder."""
    home = tmp_path / "home" / "secretive-maker"
    for folder in ("a", "b"):
        uppercase.write_corpus(home / "corpus" / folder / "part.parquet", 35)
    (home / "corpus" / "b" / "zero.parquet").write_bytes(b"")
    return home


def run(home: Path, *more: str) -> int:
    flags = ["--output", str(home / "out"), "--unit_rows", "5", "--progress", "none", *more]
    inputs = [] if "--retry_rejected" in more else ["--input", str(home / "corpus")]
    return uppercase.command_line([*inputs, *flags])


def one_line(capfd) -> str:
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said, said
    return said


# --- names -----------------------------------------------------------------------------------------


def test_nothing_that_is_published_contains_local_paths(home):
    broken = home / "corpus" / "a" / "part.parquet"
    assert run(home, "--limit", "1000") == 3
    # A unit that fails while the job runs, in addition to the bad file: its source changes after the plan was made.
    shutil.rmtree(home / "out" / "_job" / "commits")
    (home / "out" / "COMPLETED").unlink()
    uppercase.write_corpus(broken, 36)
    assert run(home, "--limit", "1000") == 3
    output = home / "out"
    assert (output / "summary.json").read_text().count("input_changed") > 1
    for path in output.rglob("*"):
        if path.is_file() and "_job" not in path.relative_to(output).parts:
            data = path.read_bytes()
            if path.suffix == ".parquet":
                data = repr(pq.read_table(path).to_pylist()).encode() + repr(pq.read_schema(path).metadata).encode()
            assert b"secretive" not in data, path


_LOOKS_LIKE_A_PATH = re.compile(
    r"(?:^|_)(?:path|dir|folder|file|files|input|output|source|index|checkpoint|model|tokenizer|policy|task|cache)(?:_from)?$"
)


@pytest.mark.parametrize("job", JOBS)
def test_an_option_that_may_name_a_path_is_marked_as_one(job):
    for field in fields_of(options_of(job)):
        looks = field.metavar in ("DIR", "FILE", "FOLDER", "GLOB", "PATH", "SOURCE", "OUT")
        looks |= bool(_LOOKS_LIKE_A_PATH.search(field.name))
        if looks and field.kind.scalar is str and field.choices is None:
            assert field.is_path, f"codemill {job} --{field.name} may name a path: option(..., is_path=True)"


def test_every_option_that_is_published_by_its_last_part_is_a_path():
    options = {"input": ["in/a.parquet"], "policy": "mine/strict.yaml", "content_column": "a/b", "set": ["x=/y/z"]}
    assert public_options("annotate", options | {"task": "mine/ask.yaml", "known_text": "known/"}) == {
        "input": ["a.parquet"],
        "policy": "strict.yaml",
        "content_column": "a/b",
        "set": ["x=/y/z"],
        "task": "ask.yaml",
        "known_text": "known",
    }


def test_public_names_tell_rejected_rows_of_different_files_apart(home):
    assert run(home) == 3
    rejected = uppercase.dataset(home / "out")["rejected"]
    assert {row["uri"] for row in rejected} == {"a/part.parquet", "b/part.parquet"}
    assert uppercase.summary(home / "out")["bad_files"][0]["uri"] == "b/zero.parquet"


def test_rows_carry_the_public_name_of_their_file(home):
    assert run(home) == 3
    unit = next(unit for unit in read_plan(JobFolder(str(home / "out" / "_job"))) if unit.row_count)
    table = pq.read_table(unit.uri).slice(0, 1)
    (row,) = table_to_rows(table, unit, [0], resolve_columns(table.schema), RowLimits())
    assert row.source.uri == "a/part.parquet" and os.path.isabs(unit.uri)


def test_rows_are_retried_by_their_public_names_and_keep_them(home):
    assert run(home) == 3
    code = uppercase.command_line(
        ["--retry_rejected", str(home / "out"), "--output", str(home / "again"), "--progress", "none"]
    )
    assert code == 0
    before, after = (uppercase.dataset(home / name)["rejected"] for name in ("out", "again"))
    places = [{(r["uri"], r["row_group"], r["row"]) for r in rows if r["kind"] == "row"} for rows in (before, after)]
    assert places[0] == places[1] and len(places[0]) == 10


# --- a part is lost --------------------------------------------------------------------------------


def spoil(path: Path, how: str) -> None:
    if how == "deleted":
        path.unlink()
    else:
        os.truncate(path, 10)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("summary.json", "deleted"),
        ("README.md", "deleted"),
        ("report.html", "deleted"),
    ],
)
def test_a_page_of_a_finished_output_that_is_lost_is_named_and_made_again(home, capfd, name, how):
    assert run(home) == 3
    path = home / "out" / name
    before = uppercase.dataset(home / "out")
    spoil(path, how)
    capfd.readouterr()
    assert run(home) == 3
    assert f"was complete but is now missing {name}: rebuilding it" in capfd.readouterr().err
    assert uppercase.dataset(home / "out") == before and path.stat().st_size > 10
    assert run(home) == 3
    assert "has been complete since" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("data/train-00000-of-00001.parquet", "deleted"),
        ("data/train-00000-of-00001.parquet", "cut short"),
        ("rejected/rejected-00000-of-00001.parquet", "deleted"),
    ],
)
def test_rows_that_cant_be_made_again_are_named_and_run_again_only_where_that_is_wanted(home, capfd, name, how):
    assert run(home) == 3
    before = uppercase.dataset(home / "out")
    spoil(home / "out" / name, how)
    capfd.readouterr()
    assert run(home) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert f"is missing {name}, and with it the rows of" in said
    assert f"remove {home}/out/COMPLETED and run the same command" in said
    (home / "out" / "COMPLETED").unlink()
    assert run(home) == 3
    assert uppercase.dataset(home / "out") == before


@pytest.mark.parametrize("name", ["plan.parquet", "inputs.parquet"])
def test_a_job_whose_records_are_missing_names_the_missing_one(home, capfd, name):
    assert run(home) == 3
    (home / "out" / "COMPLETED").unlink()
    (home / "out" / "_job" / name).unlink()
    capfd.readouterr()
    assert run(home) == 2
    assert f"_job/{name} is missing and the job can't continue without it" in one_line(capfd)


def test_commits_whose_job_file_is_gone_are_not_taken_for_those_of_a_new_job(home, capfd):
    assert run(home) == 3
    (home / "out" / "_job" / "job.json").unlink()
    capfd.readouterr()
    assert run(home, "--mark", "x") == 2
    assert "job.json is missing, although units are committed" in one_line(capfd)


def test_a_published_dataset_without_its_job_folder_is_not_touched(home, capfd):
    assert run(home) == 3
    shutil.rmtree(home / "out" / "_job")
    capfd.readouterr()
    assert run(home) == 2
    assert "is a finished dataset without its _job folder" in one_line(capfd)


# --- failed units ----------------------------------------------------------------------------------


@pytest.fixture
def failed(home, capfd) -> Path:
    """A finished job; one of its source files was missing while it ran, and exists again."""
    source, away = home / "corpus" / "a" / "part.parquet", home / "away.parquet"
    assert run(home) == 3
    shutil.rmtree(home / "out" / "_job" / "commits")
    (home / "out" / "COMPLETED").unlink()
    source.rename(away)
    assert run(home) == 3
    assert "FAILED UNITS: 8 of 15 (input_missing 7, zero_bytes 1)" in capfd.readouterr().out
    away.rename(source)
    return home


def test_failed_units_are_tried_again_and_nothing_else_is_done_twice(failed, capfd):
    before = {record.unit_id: record for record in commits.read_commits(JobFolder(str(failed / "out" / "_job")))}
    assert run(failed, "--retry_failed") == 3  # for the bad file, which has no units
    said = capfd.readouterr()
    assert "retrying 7 failed units" in said.err
    assert "1 file bad when the job was planned: process in a separate job with --input" in said.err
    after = {record.unit_id: record for record in commits.read_commits(JobFolder(str(failed / "out" / "_job")))}
    assert all(after[unit_id] == record for unit_id, record in before.items() if record.status == "done")
    told = uppercase.summary(failed / "out")
    assert told["rows"]["in_failed_units"] == 0 and told["rows"]["planned"] == 70
    assert len(uppercase.dataset(failed / "out")["data"]) == 60


def test_what_failed_says_how_to_try_it_again(failed, capfd):
    assert run(failed) == 3
    assert "run the same command with --retry_failed to retry the failed units" in capfd.readouterr().err


def test_units_that_fail_again_are_failed_again(failed, capfd):
    (failed / "corpus" / "a" / "part.parquet").unlink()
    assert run(failed, "--retry_failed") == 3
    assert "FAILED UNITS: 8 of 15 (input_missing 7, zero_bytes 1)" in capfd.readouterr().out


def test_a_retry_that_is_interrupted_goes_on_without_the_flag(failed, monkeypatch, capfd):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("jobs.execution.supervisor.run_units", interrupt)
        assert run(failed, "--retry_failed") == 130
    assert run(failed) == 3
    assert uppercase.summary(failed / "out")["rows"]["in_failed_units"] == 0


def test_units_that_crashed_their_worker_while_they_were_read_are_really_tried_again(failed):
    job_dir = JobFolder(str(failed / "out" / "_job"))
    for record in commits.read_commits(job_dir):
        start = journal.Start(unit_id=record.unit_id, attempt_id="x", begin=0, end=0, phase="read", alone=True)
        for _ in range(journal.ALONE_DEATHS):
            session = journal.new_session(supervised=True)
            with journal.Journal(job_dir, session).started(start):
                journal.record_death(job_dir, session, "SIGKILL")
    assert run(failed, "--retry_failed") == 3
    suspects = journal.diagnose(journal.read_deaths(job_dir))
    retried = {unit.unit_id for unit in read_plan(job_dir) if unit.name == "a/part.parquet"}
    assert retried and not retried & set(suspects)


def test_with_nothing_failed_a_retry_says_so(tmp_path, capfd):
    uppercase.write_corpus(tmp_path / "corpus" / "a.parquet", 10)
    assert run(tmp_path) == 0
    assert run(tmp_path, "--retry_failed") == 0
    assert "there are no failed units that can be retried" in capfd.readouterr().err


def test_a_damaged_row_group_among_good_ones_makes_the_exit_code_that_of_failed_units(tmp_path):
    path = tmp_path / "corpus" / "a.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"content": [f"x = {n}" for n in range(40)]}), path, row_group_size=10)
    column = pq.read_metadata(path).row_group(2).column(0)
    data = bytearray(path.read_bytes())
    data[column.dictionary_page_offset : column.dictionary_page_offset + 20] = b"\xff" * 20
    path.write_bytes(data)
    output = tmp_path / "out"
    assert uppercase.command_line(["--input", str(path), "--output", str(output), "--progress", "none"]) == 3
    told = uppercase.summary(output)
    assert (told["rows"]["kept"], told["rows"]["rejected"], told["units"]["failed"]) == (30, 10, 0)
    (reason,) = told["rejected"]
    assert {"kind": "row", "stage": "read", "reason": "damaged_input", "count": 10}.items() <= reason.items()


def test_completed_tells_the_size_of_each_shard(home):
    assert run(home) == 3
    done = json.loads((home / "out" / "COMPLETED").read_text())
    assert done["files"] == {
        str(path.relative_to(home / "out")): path.stat().st_size
        for folder in ("data", "rejected")
        for path in sorted((home / "out" / folder).iterdir())
    }
