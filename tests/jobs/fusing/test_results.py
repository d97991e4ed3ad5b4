"""What fused steps made of rows is found again as it was, for just these rows, and without their texts."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.fusing.results import ResultsInJob, from_bytes, to_bytes
from transforms.rows.rejections import RejectedRow, Rejection, rejected_table
from transforms.rows.row import SourceRef
from transforms.work import Unit, UnitResult

INPUT = pa.schema([("content", pa.string()), ("path", pa.large_string()), ("stars", pa.int32())])
KEPT = pa.schema(
    [
        ("content", pa.large_string()),
        ("path", pa.large_string()),
        ("stars", pa.int32()),
        pa.field("words", pa.list_(pa.field("element", pa.large_string()))),
    ]
)
WORDS = st.sampled_from(["", "a", "secret", "x = 1\n" * 50, "\u00e9"])


def unit(count: int) -> Unit:
    return Unit(
        unit_id="000000-ab", uri="a.parquet", version="", row_group=1, row_start=0, row_count=count, num_bytes=0
    )


def step(table: pa.Table, rows: list[int], *, redacts_paths: bool) -> UnitResult:
    """Rejects rows without content, and redacts `secret`."""
    cells = table.to_pylist()
    kept = [
        {
            "content": cell["content"].replace("secret", "REDACTED"),
            "path": None if cell["path"] is None else (cell["path"] + "!" if redacts_paths else cell["path"]),
            "stars": cell["stars"],
            "words": [cell["content"][:3]],
        }
        for cell in cells
        if cell["content"]
    ]
    gone = [
        RejectedRow(SourceRef("a.parquet", 1, row), Rejection("read", "empty_content")).record()
        for row, cell in zip(rows, cells, strict=True)
        if not cell["content"]
    ]
    counts = Counter(rows_in=len(rows), rows_kept=len(kept), rows_rejected=len(gone), own=3)
    return UnitResult(pa.Table.from_pylist(kept, KEPT), rejected_table(gone), counts)


rows_of_units = st.lists(
    st.tuples(st.integers(0, 1), st.fixed_dictionaries({"content": WORDS | st.none(), "path": WORDS | st.none()})),
    min_size=1,
    max_size=9,
)


@given(rows_of_units, st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_result_is_read_back_as_it_was(drawn, redacts_paths):
    """Also for rows with others between them, and without counting any that follow."""
    numbers = [number + sum(gap for gap, _ in drawn[: number + 1]) for number in range(len(drawn))]
    table = pa.Table.from_pylist([{**cells, "stars": None} for _, cells in drawn], INPUT)
    few = max(1, len(numbers) - 2)
    result = step(table.slice(0, few), numbers[:few], redacts_paths=redacts_paths)
    data = to_bytes(unit(99), table.slice(0, few), numbers[:few], result)
    found = from_bytes(data, unit(99), table, numbers, KEPT)
    assert found is not None
    assert found.kept.equals(result.kept) and found.rejected.equals(result.rejected) and found.counts == result.counts
    assert from_bytes(data, unit(99), table, [number + 1 for number in numbers], KEPT) is None


def test_texts_that_a_step_left_as_they_were_are_not_kept():
    texts = [f"def unchanged_{number}(): pass\n" for number in range(50)]
    table = pa.table({"content": [*texts, "a secret"], "path": ["a.py"] * 51, "stars": [1] * 51}).cast(INPUT)
    data = to_bytes(unit(51), table, range(51), step(table, list(range(51)), redacts_paths=False))
    stored = pa.ipc.open_stream(data).read_all()
    assert stored.column_names == ["number", "0", "3"]
    assert stored.column("0").to_pylist() == [None] * 50 + ["a REDACTED"]


@pytest.mark.parametrize("damage", [b"", b"no Arrow", None])
def test_pieces_make_up_the_rows_or_nothing_is_found(tmp_path, damage):
    results, rows = ResultsInJob(str(tmp_path)), list(range(6))
    table = pa.table({"content": [*"abcde", None], "path": ["a.py"] * 6, "stars": [1] * 6}).cast(INPUT)
    for first, end in ((0, 2), (2, 6)):
        part = table.slice(first, end - first)
        result = step(part, rows[first:end], redacts_paths=False)
        results.keep("clean", unit(6), part, rows[first:end], result)
    found = results.find("clean", unit(6), table, rows, KEPT)
    assert found is not None and found.kept.column("content").to_pylist() == [*"abcde"]
    assert found.counts == Counter(rows_in=6, rows_kept=5, rows_rejected=1, own=6)
    assert results.find("clean", unit(6), table.slice(0, 3), rows[:3], KEPT) is None
    (path,) = (tmp_path / "_job" / "fused" / "clean").glob("*.2")
    path.unlink() if damage is None else path.write_bytes(damage)
    assert results.find("clean", unit(6), table, rows, KEPT) is None
