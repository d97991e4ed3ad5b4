"""Pieces of units of several files stay within the bound on decoded bytes."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from jobs.execution.pieces import _joined
from transforms.rows.rejections import Rejection

BAD = Rejection("read", "damaged_input", "")


@given(st.lists(st.integers(1, 60) | st.none(), max_size=12), st.integers(1, 500))
def test_joined_tables_stay_within_the_bound_unless_one_alone_is_larger(sizes: list[int | None], most: int) -> None:
    """None stands for a file that can't be read."""
    pieces = [(BAD, [n]) if size is None else (pa.table({"n": pa.array([n] * size, pa.int64())}), [n] * size)
              for n, size in enumerate(sizes)]  # fmt: skip
    found = list(_joined(iter(pieces), most))
    assert [row for _, rows in found for row in rows] == [row for _, rows in pieces for row in rows]
    for table, rows in found:
        if not isinstance(table, Rejection):
            assert table.column("n").to_pylist() == rows
            assert table.nbytes <= most or len(set(rows)) == 1
