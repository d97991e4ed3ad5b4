"""Rows written to runs come back in any order, texts to the byte, whatever bytes they are."""

from __future__ import annotations

import tempfile

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.grouping import runs
from jobs.grouping.reading import KEY_BITS, keys_of
from jobs.grouping.runs import KEYS, RunReader, RunWriter, buckets_of, entries_of

NAMES = st.one_of(st.none(), st.sampled_from(["a", "b", "é", ""]))
ROWS = st.lists(st.tuples(st.one_of(st.none(), st.binary(max_size=90)), NAMES, NAMES), min_size=1, max_size=30)


def table_of(rows):
    columns = {
        "content": pa.array([content for content, _, _ in rows], pa.large_binary()),
        "path": pa.array([path for _, path, _ in rows], pa.large_string()),
        "repo_name": pa.array([repo for _, _, repo in rows], pa.large_string()),
        "language": pa.nulls(len(rows), pa.large_string()),
        "source_uri": pa.array(["x"] * len(rows), pa.large_string()),
        "source_row_group": pa.array([0] * len(rows), pa.int32()),
        "source_row": pa.array(range(len(rows)), pa.int64()),
    }
    return pa.table(columns)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, size=st.integers(1, 300), draw=st.randoms())
def test_all_rows_come_back_from_their_buckets(rows, size, draw):
    table = table_of(rows)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, RunReader() as reader:
        patch.setattr(runs, "RUN_MB", size / 1e6)
        writer = RunWriter(f"{folder}/x")
        for row, key in enumerate(keys_of(table)):
            writer.add(key * 3 >> KEY_BITS, table.slice(row, 1))
        written = writer.finish()
        found = {}
        for bucket in buckets_of(written):
            for entry in draw.sample(entries := entries_of(written, bucket).to_pylist(), len(entries)):
                content = reader.read(written[entry["run"]].texts, entry["offset"], entry["stored"], entry["size"])
                found[entry["source_row"]] = {"content": content, **{name: entry[name] for name in KEYS}}
    assert [found[row] for row in range(len(rows))] == table.to_pylist()


def test_the_key_of_a_row_is_its_repository_s():
    keys = keys_of(table_of([(b"", "a", "r"), (b"", "b", "r"), (b"", "r", None), (b"", "b", None)]))
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert all(0 <= key < 1 << KEY_BITS for key in keys)
