"""Sizes of rows."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.rows.sizes import size_of

TEXTS = st.none() | st.text(max_size=9)
PAIRS = st.none() | st.fixed_dictionaries({"text": TEXTS, "is_good": st.none() | st.booleans()})
KINDS = {
    "bool": (pa.bool_(), st.none() | st.booleans()),
    "int16": (pa.int16(), st.none() | st.integers(-9, 9)),
    "text": (pa.large_string(), TEXTS),
    "bytes of one length": (pa.binary(3), st.none() | st.binary(min_size=3, max_size=3)),
    "list": (pa.list_(pa.bool_()), st.none() | st.lists(st.none() | st.booleans(), max_size=9)),
    "struct": (pa.struct([("text", pa.string()), ("is_good", pa.bool_())]), PAIRS),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), st.none() | st.sampled_from("abc")),
    "null": (pa.null(), st.none()),
}


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_the_size_of_rows_does_not_depend_on_the_table_that_they_are_a_part_of(name, data):
    kind, values = KINDS[name]
    rows = data.draw(st.lists(values, max_size=40))
    start = data.draw(st.integers(0, len(rows)))
    end = data.draw(st.integers(start, len(rows)))
    part = pa.table({"column": pa.array(rows, kind)}).slice(start, end - start)
    alone = pa.table({"column": pa.array(rows[start:end], kind)})
    assert size_of(part) == size_of(alone)


def test_a_size_is_about_that_in_memory():
    table = pa.table({"text": pa.array(["x" * 100] * 1000, pa.large_string()), "number": range(1000)})
    assert size_of(table) == pytest.approx(table.nbytes, rel=0.01)
