"""Grouped files are a copy of the input: they are gone when `codemill pack` is complete, and made again if needed."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cli import main
from jobs.driver.runners import runner_for
from jobs.finalize.finalize import BEFORE_COMPLETED
from jobs.grouping import cutting, reading
from jobs.grouping.repositories import group_by_repository
from jobs.grouping.restoring import restore_grouped
from jobs.storage.failpoints import failpoint
from jobs.storage.folders import JobFolder
from transforms.rows.columns import ColumnOverrides

ROWS = [
    {
        "content": f"def f_{number}(a):\n    return a\n" * 9,
        "path": f"m_{number}.py",
        "repo_name": f"o/{name}",
    }
    for number in range(12)
    for name in "abcd"
]


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "corpus").mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "corpus" / "0.parquet", row_group_size=7)
    return tmp_path / "corpus"


def pack(corpus, output, *more):
    words = ["--input", str(corpus), "--output", str(output), "--context_length", "512", "--workers", "1"]
    return main(["pack", *words, "--progress", "none", *more])


def rows_of(output):
    return [pq.read_table(path).to_pylist() for path in sorted((output / "data").glob("*.parquet"))]


def lose_a_shard(output):
    """Damages a shard, as a disk may, so that its units must run again."""
    path = next((output / "data").iterdir())
    path.write_bytes(path.read_bytes()[:-9])
    (output / "COMPLETED").unlink()


def test_grouped_files_are_gone_and_the_job_folder_is_private(corpus, tmp_path, capsys):
    assert pack(corpus, tmp_path / "out") == 0
    assert not (tmp_path / "out" / "_job" / "grouped").exists()
    assert stat.S_IMODE((tmp_path / "out" / "_job").stat().st_mode) == 0o700
    assert pack(corpus, tmp_path / "out") == 0
    assert "nothing to do" in capsys.readouterr().err


def test_a_job_folder_is_shared_if_asked(corpus, tmp_path):
    job = tmp_path / "out" / "_job"
    assert pack(corpus, tmp_path / "out", "--share_job_folder") == 0
    assert stat.S_IMODE(job.stat().st_mode) & 0o055
    job.chmod(0o700)
    (tmp_path / "out" / "COMPLETED").unlink()
    assert pack(corpus, tmp_path / "out", "--share_job_folder") == 0
    assert stat.S_IMODE(job.stat().st_mode) & 0o055


def test_a_kill_before_completed_leaves_no_grouped_files_and_resumes(corpus, tmp_path, monkeypatch):
    def stop(name):
        failpoint(name)
        if name == BEFORE_COMPLETED:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jobs.finalize.finalize.failpoint", stop)
        assert pack(corpus, tmp_path / "out") == 130
    assert not (tmp_path / "out" / "COMPLETED").exists() and not (tmp_path / "out" / "_job" / "grouped").exists()
    assert pack(corpus, tmp_path / "out") == 0
    assert pack(corpus, tmp_path / "whole") == 0
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "whole")


def test_a_unit_that_must_run_again_gets_its_grouped_files_back(corpus, tmp_path):
    out = tmp_path / "out"
    assert pack(corpus, out) == 0
    before = rows_of(out)
    lose_a_shard(out)
    assert pack(corpus, out) == 0
    assert rows_of(out) == before and not (out / "_job" / "grouped").exists()


def test_failed_units_are_retried_after_the_grouped_files_are_gone(corpus, tmp_path, monkeypatch):
    out = tmp_path / "out"
    fail_a_unit(corpus, out, monkeypatch)
    assert rows_of(out) == [] or sum(map(len, rows_of(out))) == 0
    assert not (out / "_job" / "grouped").exists()
    assert pack(corpus, out) == 3  # complete, with failed units
    assert pack(corpus, out, "--retry_failed") == 0
    assert pack(corpus, tmp_path / "whole") == 0
    assert rows_of(out) == rows_of(tmp_path / "whole") and not (out / "_job" / "grouped").exists()


@pytest.mark.parametrize("flags", [[], ["--runner", "apache_beam.runners.portability.fn_api_runner.FnApiRunner"]])
def test_restored_files_have_their_names_content_and_times(flags, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BUCKET_MB", 0.002)
    monkeypatch.setattr(cutting, "GROUP_MB", 0.001)
    job, spread = JobFolder(str(tmp_path / "job")), runner_for(flags).group
    folder = Path(group_by_repository([str(corpus)], job, ColumnOverrides(), spread=spread).folder)

    def files():
        found = sorted(folder.glob("*.parquet"))
        return [(path.name, path.read_bytes(), path.stat().st_mtime_ns) for path in found]

    before = files()
    assert len(before) > 1
    before_restoring = folder.stat().st_ino
    restore_grouped([str(corpus)], job, ColumnOverrides(), spread=spread)
    assert folder.stat().st_ino == before_restoring  # nothing was missing
    Path(folder / before[0][0]).unlink()  # a removal that was interrupted
    restore_grouped([str(corpus)], job, ColumnOverrides(), spread=spread)
    assert files() == before and len(list((tmp_path / "job" / "grouped").iterdir())) == 1


def test_an_input_that_changed_is_not_grouped_again(corpus, tmp_path, capsys):
    out = tmp_path / "out"
    assert pack(corpus, out) == 0
    lose_a_shard(out)
    pq.write_table(pa.Table.from_pylist([{**row, "content": "x = 1\n" * 9} for row in ROWS]), corpus / "0.parquet")
    assert pack(corpus, out) == 2
    assert "the input has changed since" in capsys.readouterr().err
    assert not list((out / "_job" / "grouped").rglob("*.parquet"))


def fail_a_unit(corpus, out, monkeypatch):
    """A complete output one of whose units could not be read."""

    def lose(*arguments, **more):
        next((out / "_job" / "grouped").rglob("*.parquet")).unlink()

    with monkeypatch.context() as patch:
        patch.setattr("jobs.grouping.restoring.restore_grouped", lose)
        assert pack(corpus, out) == 3


def drop_hashes(corpus, manifest):
    del manifest["files"]


def change_input(corpus, manifest):
    pq.write_table(pa.Table.from_pylist([{**row, "content": "x = 1\n" * 9} for row in ROWS]), corpus / "0.parquet")


def cut_by_an_earlier_version(corpus, manifest):
    del manifest["cutting"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop_hashes, "was removed when the job was complete"),
        (change_input, "the input has changed since"),
        (cut_by_an_earlier_version, "was grouped by a version of codemill that cuts rows otherwise"),
    ],
)
def test_what_can_not_be_grouped_again_is_refused_before_anything_is_voided(
    change, says, corpus, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    fail_a_unit(corpus, out, monkeypatch)
    manifest = json.loads((out / "_job" / "grouped.json").read_text())
    change(corpus, manifest)
    (out / "_job" / "grouped.json").write_text(json.dumps(manifest))
    completed, commits = (out / "COMPLETED").read_bytes(), sorted((out / "_job" / "commits").iterdir())
    capsys.readouterr()
    assert pack(corpus, out, "--retry_failed") == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "can't run again" in line]
    assert says in line and "choose another --output" in line
    assert (out / "COMPLETED").read_bytes() == completed
    assert sorted((out / "_job" / "commits").iterdir()) == commits and not (out / "_job" / "voided").exists()
    assert not list((out / "_job").rglob("grouped/**/*.parquet"))
    assert pack(corpus, out) == 3
    assert "nothing to do" in capsys.readouterr().err


def test_an_output_of_a_version_that_kept_no_hashes_says_what_to_do(corpus, tmp_path, capsys):
    out = tmp_path / "out"
    assert pack(corpus, out) == 0
    lose_a_shard(out)
    manifest = json.loads((out / "_job" / "grouped.json").read_text())
    del manifest["files"]
    (out / "_job" / "grouped.json").write_text(json.dumps(manifest))
    assert pack(corpus, out) == 2
    assert "choose another --output" in capsys.readouterr().err
