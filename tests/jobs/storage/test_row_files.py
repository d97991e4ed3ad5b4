"""Rows come out in order and whole, whatever they come in; files and row groups keep to their bounds."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from jobs.storage import row_files
from jobs.storage.row_files import RowFiles
from transforms.rows.row_groups import encode_group

SCHEMA = pa.schema([("text", pa.large_string())])
adds = st.lists(st.tuples(st.booleans(), st.lists(st.text("ab", max_size=9), min_size=1, max_size=5)), max_size=8)


def written(folder, added, **limits) -> list[pq.ParquetFile]:
    files = RowFiles(str(folder / "rows"), SCHEMA, **{"file_bytes": 1e9, "group_rows": 4, "group_bytes": 20, **limits})
    with files:
        for is_encoded, texts in added:
            table = pa.table({"text": texts}, SCHEMA)
            if is_encoded:
                files.add_group(encode_group(table), sum(map(len, texts)))
            else:
                files.add(table, [len(text) for text in texts])
    return [pq.ParquetFile(path) for path in files.paths]


@given(added=adds)
def test_tables_and_encoded_groups_come_out_in_order(tmp_path_factory, added):
    found = written(tmp_path_factory.mktemp("rows"), added, file_bytes=30)
    rows = [text for file in found for text in file.read()["text"].to_pylist()]
    assert rows == [text for _, texts in added for text in texts]
    for file in found:
        groups = [file.read_row_group(index)["text"].to_pylist() for index in range(file.num_row_groups)]
        sizes = [sum(map(len, group)) for group in groups]
        assert len(groups) == 1 or sum(sizes) <= 30


def test_rows_before_an_encoded_group_become_one(tmp_path):
    (file,) = written(tmp_path, [(False, ["a"]), (False, ["b"]), (True, ["c"]), (False, ["d"])])
    assert [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)] == [2, 1, 1]


def test_a_file_has_no_more_groups_than_parquet_can_number(tmp_path, monkeypatch):
    monkeypatch.setattr(row_files, "MAX_GROUPS", 3)
    found = written(tmp_path, [(True, ["a"])] * 7)
    assert [file.num_row_groups for file in found] == [3, 3, 1]
