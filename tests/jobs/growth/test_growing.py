"""A dataset grows by what is new in its input, edition by edition; what it has stays as it is."""

from __future__ import annotations

import json
from collections import Counter
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
    monkeypatch.setattr(
        "jobs.driver.runners.LocalRunner.read_footers", lambda self, files: uppercase.read_here(files)
    )
    monkeypatch.setattr("jobs.driver.runners.LocalRunner.prepare", lambda self, orders: None)


def write(path: Path, *files: str, **more: list) -> None:
    """A corpus file of `repository:path=content` each; content of one word becomes a function of that name."""
    repositories, paths, contents = zip(*(_parts(one) for one in files), strict=True)
    columns = {"content": list(contents), "path": list(paths), "repo_name": list(repositories), **more}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=2)


def _parts(text: str) -> tuple[str, str, str]:
    where, _, content = text.partition("=")
    repository, _, path = where.rpartition(":")
    return repository or "own/repo", path, f"def {content}(a):\n    return a\n" * 9


def run(folder: Path, *more: str, output: str = "out") -> int:
    argv = ["filter", "--policy", "none", "--no-decontaminate", "--input", str(folder / "in")]
    return cli.main([*argv, "--output", str(folder / output), "--progress", "none", *more])


def rows(folder: Path, output: str = "out") -> Counter:
    """The rows of a dataset, without what tells when and from which file they were made."""
    found: Counter = Counter()
    for path in sorted((folder / output / "data").glob("train-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            word = row["content"].split("(")[0].removeprefix("def ")
            found[f"{row['repo_name']}:{row['path']}={word}"] += 1
    return found


def summary(folder: Path, output: str = "out") -> dict:
    return json.loads((folder / output / "summary.json").read_text())


def of(*files: str) -> Counter:
    return Counter(one if ":" in one.partition("=")[0] else f"own/repo:{one}" for one in files)


@pytest.fixture
def folder(tmp_path) -> Path:
    write(tmp_path / "in" / "a.parquet", "x.py=one", "y.py=two", "z.py=three")
    write(tmp_path / "in" / "b.parquet", "v.py=four")
    return tmp_path


def test_a_new_file_is_a_further_edition_and_earlier_shards_stay_as_they_are(folder):
    assert run(folder, "--grow") == 0
    before = {path: path.read_bytes() for path in (folder / "out" / "data").iterdir()}
    write(folder / "in" / "c.parquet", "w.py=five")
    assert run(folder) == 4
    assert run(folder, "--grow") == 0
    assert rows(folder) == of("x.py=one", "y.py=two", "z.py=three", "v.py=four", "w.py=five")
    assert before == {path: path.read_bytes() for path in before}
    assert (folder / "out" / "data" / "train-e0002-00000-of-00001.parquet").exists()
    assert run(folder) == run(folder, "--grow") == 0
    assert summary(folder)["rows"] == {
        "planned": 5, "kept": 5, "rejected": 0, "in_failed_units": 0, "output": 5, "removed": 0
    }  # fmt: skip
