"""The whole job with input and output in a bucket, against an emulator."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs import storage
from tests.jobs import uppercase


@pytest.fixture
def forker(gcs_emulator):
    made = uppercase.Forker()
    yield made
    made.close()


@pytest.fixture
def bucket(gcs_root, tmp_path) -> str:
    """A bucket with a corpus in it, one file of which is bad."""
    for name, rows in (("a", 40), ("deep/b", 20)):
        path = uppercase.write_corpus(tmp_path / f"{name}.parquet", rows)
        storage.write_bytes(f"{gcs_root}/in/{name}.parquet", path.read_bytes())
    storage.write_bytes(f"{gcs_root}/in/zero.parquet", b"")
    return gcs_root


def rows_of(output: str, folder: str) -> list[dict]:
    found: list[dict] = []
    for path in storage.glob(f"{output}/{folder}/*.parquet"):
        with storage.open_input(path) as file:
            found += pq.read_table(file).to_pylist()
    return found


@pytest.mark.parametrize("pattern", ["in", "in/**/*.parquet", "in/*.parquet in/deep/b.parquet"])
def test_folders_and_globs_in_a_bucket_name_their_files(bucket, pattern):
    from jobs.plan.input_paths import expand

    found = expand([f"{bucket}/{one}" for one in pattern.split()])
    assert set(found) == {f"{bucket}/in/{name}.parquet" for name in ("a", "deep/b", "zero")}


def test_a_job_in_a_bucket_killed_twice_and_resumed_is_a_local_uninterrupted_one(bucket, forker, tmp_path):
    flags = ["--unit_rows", "10", "--progress", "none"]
    remote = [*flags, "--input", f"{bucket}/in/**/*.parquet", "--output", f"{bucket}/out"]
    for failpoint in ("commit.after_kept:3=kill", "finalize.after_first_published=kill"):
        assert os.WTERMSIG(forker.run(remote, failpoint)) == signal.SIGKILL
        assert not storage.exists(f"{bucket}/out/COMPLETED")
    # A bucket's lock says another process of this machine, which is provably gone.
    assert os.waitstatus_to_exitcode(forker.run(remote)) == 3
    assert storage.exists(f"{bucket}/out/COMPLETED")
    local = tmp_path / "out"
    (tmp_path / "zero.parquet").write_bytes(b"")
    inputs = [str(tmp_path / "a.parquet"), str(tmp_path / "deep" / "b.parquet"), str(tmp_path / "zero.parquet")]
    assert os.waitstatus_to_exitcode(forker.run([*flags, "--input", *inputs, "--output", str(local)])) == 3
    assert rows_of(f"{bucket}/out", "data") == uppercase.dataset(local)["data"]
    here = [row | {"uri": Path(row["uri"]).name} for row in uppercase.dataset(local)["rejected"]]
    there = [row | {"uri": Path(row["uri"]).name} for row in rows_of(f"{bucket}/out", "rejected")]
    assert here == there
