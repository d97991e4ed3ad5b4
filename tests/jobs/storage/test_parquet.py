"""Opening Parquet files."""

from __future__ import annotations

import gc
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.storage.parquet import open_parquet


@pytest.mark.parametrize("kind", [pa.string(), pa.list_(pa.int64(), 2)], ids=["plain", "unreliable"])
def test_a_footer_is_let_go_of_with_its_file(kind):
    written = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array([None, None], kind)}), written)
    gc.collect()
    gc.disable()
    try:
        with open_parquet(io.BytesIO(written.getvalue())) as parquet:
            assert parquet.read().num_rows == 2
        del parquet
        assert gc.collect() == 0
    finally:
        gc.enable()
