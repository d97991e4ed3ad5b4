"""A job that is run again says how its input differs from what it was planned from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from tests.jobs import uppercase


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


def write(path: Path, *names: str) -> None:
    rows = {"content": [f"def {name}(a):\n    return a\n" * 9 for name in names]}
    pq.write_table(
        pa.table({**rows, "path": [f"{name}.py" for name in names], "repo_name": ["a/b"] * len(names)}), path
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.parquet", "first", "second")
    write(tmp_path / "in" / "b.parquet", "third")
    return tmp_path


def run(folder: Path, *more: str, job: str = "dedup") -> int:
    argv = [job, "--input", str(folder / "in"), "--output", str(folder / "out"), "--progress", "none"]
    return cli.main([*argv, *(["--context_length", "128"] if job == "pack" else []), *more])


@pytest.mark.parametrize("job", ["dedup", "pack"])
def test_new_changed_and_missing_files_are_told_with_exit_code_4(folder, job, capsys):
    assert run(folder, job=job) == run(folder, job=job) == 0
    assert "since this job was planned" not in capsys.readouterr().err
    before = {path: path.read_bytes() for path in (folder / "out" / "data").iterdir()}
    write(folder / "in" / "c.parquet", "fourth", "fifth")
    assert run(folder, job=job) == 4
    assert "1 file is new (2 rows) since this job was planned; none of it is in this output" in capsys.readouterr().err
    write(folder / "in" / "a.parquet", "first", "secund")  # as large as before
    (folder / "in" / "b.parquet").unlink()
    assert run(folder, job=job) == 4
    told = capsys.readouterr().err
    assert "1 file is new (2 rows), 1 has changed, 1 is gone since this job was planned" in told
    assert run(folder, "--input_frozen", job=job) == 0
    assert before == {path: path.read_bytes() for path in (folder / "out" / "data").iterdir()}


def test_an_input_that_was_touched_copied_or_moved_through_a_link_is_the_same(folder):
    assert run(folder) == 0
    os.utime(folder / "in" / "a.parquet", ns=(1, 1))
    shutil.copy(folder / "in" / "b.parquet", folder / "copy")
    os.replace(folder / "copy", folder / "in" / "b.parquet")
    os.rename(folder / "in", folder / "elsewhere")
    os.symlink(folder / "elsewhere", folder / "in")
    assert run(folder) == 0


def test_an_input_that_is_gone_altogether_is_told(folder, capsys):
    assert run(folder) == 0
    shutil.rmtree(folder / "in")
    assert run(folder) == 4
    assert "2 are gone since this job was planned" in capsys.readouterr().err


def test_with_a_limit_only_planned_files_are_compared(folder):
    assert run(folder, "--limit", "1") == 0
    write(folder / "in" / "c.parquet", "fourth")
    assert run(folder, "--limit", "1") == 0
    write(folder / "in" / "a.parquet", "other")
    assert run(folder, "--limit", "1") == 4


def test_a_file_that_was_bad_and_can_be_read_now_has_changed(folder, capsys):
    os.symlink(folder / "later.parquet", folder / "in" / "d.parquet")
    assert run(folder) == run(folder) == 3
    assert "since this job was planned" not in capsys.readouterr().err
    write(folder / "later.parquet", "sixth")
    assert run(folder) == 3  # goes before 4
    assert "1 has changed since this job was planned" in capsys.readouterr().err
