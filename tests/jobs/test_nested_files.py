"""Whole jobs over deeply nested files. `tests/transforms/languages/test_syntax.py` bounds the work of one."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cli import main
from tests.transforms.nested_files import nested_files

SIZE = 3_000


@pytest.mark.parametrize(
    "words", [["pack"], ["filter", "--require_syntax", "--no-quality", "--no-drop_generated"]], ids=["pack", "filter"]
)
def test_every_nested_file_is_kept_or_rejected_for_its_syntax(tmp_path, words):
    files = list(nested_files(SIZE))
    columns = {
        "content": [file.text for file in files],
        "path": [f"{file.language}/{file.path}" for file in files],
        "repo_name": [file.language for file in files],
        "language": [file.language for file in files],
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    out = tmp_path / "out"
    more = ["--input", str(tmp_path / "in.parquet"), "--output", str(out), "--policy", "none", "--progress", "none"]
    assert main([*words, *more, "--workers", "1"]) == 0
    # A table without rows has no file.
    rejected = pq.read_table(out / "rejected").to_pylist() if (out / "rejected").exists() else []
    assert {record["reason"] for record in rejected} <= {"does_not_parse"}
    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert (rows["planned"], rows["in_failed_units"]) == (160, 0)
    assert rows["kept"] + rows["rejected"] == 160
    assert rows["rejected"] == (0 if words == ["pack"] else len(rejected))
