"""The checker of the five nights finds what it is there for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.night_checks import Checks


def write(path: Path, *names: str) -> dict[str, int]:
    rows = [
        {"path": name, "repo_name": "a/b", "content": f"# {name}\n", "lineage": {"source_uri": str(path), "job": "x"}}
        for name in names
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return {path.name: path.stat().st_size}


@pytest.fixture
def spec(tmp_path) -> dict[str, Any]:
    """Two editions, the first of which has a row that the second doesn't."""
    out = tmp_path / "out"
    for number, files in (
        (1, {"_editions/0001/data/a.parquet": ["x.py", "old.py"]}),
        (2, {"data/b.parquet": ["x.py", "y.py"]}),
    ):
        sizes = {name: next(iter(write(out / name, *rows).values())) for name, rows in files.items()}
        (out / f"_editions/{number:04d}").mkdir(parents=True, exist_ok=True)
        (out / f"_editions/{number:04d}/manifest.json").write_text(json.dumps({"files": sizes}))
    write(tmp_path / "once/data/c.parquet", "y.py", "x.py")
    (tmp_path / "snapshots").mkdir()
    return {
        "output": str(out),
        "once": str(tmp_path / "once"),
        "forgotten": {"paths": [], "hashes": []},
        "opted_out": [],
        "snapshots": str(tmp_path / "snapshots"),
    }


def faults(spec: dict[str, Any], *, newest_only: bool = False) -> list[str]:
    checks = Checks(spec)
    checks.compare_with_once()
    if not newest_only:
        checks.compare_with_snapshots()
    checks.search_everywhere()
    return checks.faults


def test_rows_as_they_should_be_are_no_fault_wherever_they_were_read_from(spec):
    assert faults(spec, newest_only=True) == []


def test_a_row_that_is_missing_or_too_many_is_a_fault(spec, tmp_path):
    write(tmp_path / "once/data/c.parquet", "y.py")
    assert faults(spec, newest_only=True) == ["data/: rows that differ: 1, such as x.py"]


def records(path: Path, *names: str) -> None:
    digests = [hashlib.sha256(f"# {name}\n".encode()).hexdigest() for name in names]
    reasons = ["near_duplicate"] * len(names)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"path": names, "content_sha256": digests, "reason": reasons}), path)


def duplicate_faults(spec: dict[str, Any]) -> list[str]:
    checks = Checks({**spec, "deduplicated": spec["once"]})
    checks.compare_with_duplicates()
    return checks.faults


def test_a_row_that_is_neither_kept_nor_a_duplicate_is_a_fault(spec, tmp_path):
    write(tmp_path / "once/data/c.parquet", "y.py", "x.py", "twin.py")
    (fault,) = duplicate_faults(spec)
    assert fault == "rows that are neither kept nor rejected, or too many: 1, such as twin.py"
    records(tmp_path / "out/rejected/r.parquet", "twin.py")
    assert duplicate_faults(spec) == []
    write(tmp_path / "out/data/d.parquet", "y.py")
    assert [fault.split(":")[0] for fault in duplicate_faults(spec)] == [
        "rows that are neither kept nor rejected, or too many",
        "texts that are kept twice",
    ]


def test_an_earlier_edition_that_changed_is_a_fault(spec, tmp_path):
    Checks(spec).compare_with_snapshots()
    size = write(tmp_path / "out/_editions/0001/data/a.parquet", "x.py", "new.py")["a.parquet"]
    manifest = tmp_path / "out/_editions/0001/manifest.json"
    manifest.write_text(json.dumps({"files": {"_editions/0001/data/a.parquet": size}}))
    (tmp_path / "snapshots/1.json").write_text(json.dumps({"of another row": [1, [["old.py", ""]]]}))
    assert any(fault.startswith("edition 1: rows that differ") for fault in faults(spec))


@pytest.mark.parametrize("how", ["path", "hash"])
def test_a_forgotten_row_in_any_edition_is_a_fault(spec, how):
    content = hashlib.sha256(b"# old.py\n").hexdigest()
    spec["forgotten"] = {"paths": ["old.py"] if how == "path" else [], "hashes": [content] if how == "hash" else []}
    assert faults(spec, newest_only=True) == ["forgotten rows: 1, such as old.py"]


def test_a_row_of_a_repository_that_opted_out_is_a_fault(spec):
    spec["opted_out"] = ["a/b"]
    assert faults(spec, newest_only=True) == ["opted out: 2, such as x.py, y.py"]
