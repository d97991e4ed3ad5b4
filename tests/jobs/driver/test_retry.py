"""`--retry_rejected`: only the rows that an earlier job rejected, read from their sources again."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs import uppercase


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


@pytest.fixture
def first(tmp_path) -> Path:
    """A job for which every third row was too large."""
    for name in ("a", "b"):
        contents = [f"{name}{n} = 1" + " " * (2000 if n % 3 == 0 else 0) for n in range(40)]
        (tmp_path / "in").mkdir(exist_ok=True)
        pq.write_table(pa.table({"content": contents}), tmp_path / "in" / f"{name}.parquet", row_group_size=15)
    output = tmp_path / "first"
    assert run(tmp_path, output, "--max_content_mb", "0.001") == 0
    return output


def run(tmp_path: Path, output: Path, *more: str) -> int:
    inputs = [] if "--retry_rejected" in more else ["--input", str(tmp_path / "in")]
    return uppercase.command_line([*inputs, "--output", str(output), "--progress", "none", "--unit_rows", "6", *more])


def names(output: Path) -> set[str]:
    return {row["content"].split()[0] for row in uppercase.dataset(output)["data"]}


def test_what_was_rejected_and_nothing_else_is_read_again(tmp_path, first):
    second = tmp_path / "second"
    assert run(tmp_path, second, "--retry_rejected", str(first)) == 0
    assert uppercase.summary(second)["rows"]["planned"] == uppercase.summary(first)["rows"]["rejected"] == 28
    everything = {f"{name}{n}" for name in "ab" for n in range(40)}
    assert names(first) | names(second) == everything and not names(first) & names(second)


def test_rows_keep_their_place_in_their_source(tmp_path, first):
    second = tmp_path / "second"
    assert run(tmp_path, second, "--retry_rejected", str(first)) == 0
    places = {row["content"].split()[0]: row["source_row"] for row in uppercase.dataset(second)["data"]}
    assert places == {f"{name}{n}": n % 15 for name in "ab" for n in range(0, 40, 3)}


def test_a_retry_that_rejects_again_adds_up_too_and_can_be_retried(tmp_path, first):
    second, third = tmp_path / "second", tmp_path / "third"
    assert run(tmp_path, second, "--retry_rejected", str(first), "--max_content_mb", "0.001") == 0
    assert uppercase.summary(second)["rows"] == {
        "planned": 28,
        "kept": 0,
        "rejected": 28,
        "in_failed_units": 0,
        "output": 0,
    }
    assert run(tmp_path, third, "--retry_rejected", str(second)) == 0
    assert uppercase.summary(third)["rows"]["kept"] == 28


def test_a_limit_counts_the_rows_that_are_retried(tmp_path, first):
    second = tmp_path / "second"
    assert run(tmp_path, second, "--retry_rejected", str(first), "--limit", "3") == 0
    assert names(second) == {"a0", "a3", "a6"}


def test_a_source_that_changed_since_is_not_mistaken_for_the_old_one(tmp_path, first, capfd):
    path = tmp_path / "in" / "a.parquet"
    pq.write_table(pa.table({"content": ["other = 1"] * 41}), path)
    second = tmp_path / "second"
    assert run(tmp_path, second, "--retry_rejected", str(first)) == 3
    assert "(input_changed 1)" in capfd.readouterr().out
    assert {name[0] for name in names(second)} == {"b"}


def test_the_rows_of_a_small_file_that_was_gone_come_with_retry_failed(tmp_path, capfd, monkeypatch):
    """Its unit has other files, whose rows come out the first time."""
    for name in ("a", "b", "c"):
        (tmp_path / "in").mkdir(exist_ok=True)
        pq.write_table(pa.table({"content": [f"{name}{n} = 1" for n in range(3)]}), tmp_path / "in" / f"{name}.parquet")
    hidden = tmp_path / "hidden"

    def units(spec, orders, child=None):
        os.rename(tmp_path / "in" / "b.parquet", hidden)
        uppercase.inline_units(spec, orders)
        os.rename(hidden, tmp_path / "in" / "b.parquet")

    output = tmp_path / "out"
    flags = ["--input", str(tmp_path / "in"), "--output", str(output), "--progress", "none"]
    with monkeypatch.context() as patch:
        patch.setattr("jobs.execution.supervisor.run_units", units)
        assert uppercase.command_line(flags) == 3
    assert uppercase.summary(output)["units"] == {"all": 1, "failed": 0, "restarted": 0}
    assert names(output) == {f"{name}{n}" for name in "ac" for n in range(3)}
    assert "3 rows could not be read; run the same command with --retry_failed" in capfd.readouterr().err
    assert uppercase.command_line(flags) == 3
    assert uppercase.command_line([*flags, "--retry_failed"]) == 0
    assert names(output) == {f"{name}{n}" for name in "abc" for n in range(3)}
    assert "retrying 1 failed unit" in capfd.readouterr().err


def test_an_unfinished_job_cannot_be_retried(tmp_path, first, capfd):
    (first / "COMPLETED").unlink()
    assert run(tmp_path, tmp_path / "second", "--retry_rejected", str(first)) == 2
    assert "not the output of a finished job" in capfd.readouterr().err


def test_input_and_retry_are_one_or_the_other(tmp_path, capfd):
    for flags in (["--output", "out"], ["--output", "out", "--input", "a", "--retry_rejected", "b"]):
        assert uppercase.command_line(flags) == 2
        assert "--input" in capfd.readouterr().err


def test_an_output_whose_name_looks_like_a_glob_can_be_retried(tmp_path, first):
    odd = first.rename(tmp_path / "first [1] #%41 \N{SNOWMAN}")
    second = tmp_path / "second"
    assert run(tmp_path, second, "--retry_rejected", str(odd)) == 0
    assert uppercase.summary(second)["rows"]["planned"] == 28
