"""Rows of a dataset and those that a later version adds to it have one schema."""

from __future__ import annotations

import pyarrow as pa
import pytest

from jobs.growth.columns import grown_schema
from jobs.plan.schemas import fit_table, schema_to_text
from model.errors import ConfigError


def schema(*fields: pa.Field, make=pa.list_, **more: pa.DataType) -> pa.Schema:
    found = pa.struct([pa.field("rule", pa.string(), nullable=False), *fields])
    nested = pa.field("findings", make(pa.field("element", found, nullable=False)), nullable=False)
    own = [pa.field(name, kind, nullable=False) for name, kind in more.items()]
    return pa.schema([pa.field("content", pa.large_string(), nullable=False), nested, *own], {"made_by": "a job"})


LINE = pa.field("line", pa.int64(), nullable=False)


@pytest.mark.parametrize("make", [pa.list_, pa.large_list])
def test_a_field_that_earlier_rows_lack_is_null_in_them_and_new_rows_fit(make):
    before, now = schema(make=make), schema(LINE, make=make, words=pa.int64())
    grown = grown_schema(before, now)
    old = pa.table({"content": ["a"], "findings": [[{"rule": "x"}]]}, before)
    new = pa.table({"content": ["b"], "findings": [[{"rule": "y", "line": 3}]], "words": [1]}, now)
    rows = pa.concat_tables([fit_table(old, grown), fit_table(new, grown)]).to_pylist()
    assert [row["findings"] for row in rows] == [[{"rule": "x", "line": None}], [{"rule": "y", "line": 3}]]
    assert [row["words"] for row in rows] == [None, 1]
    assert not grown.field("content").nullable and grown.field("words").nullable
    assert grown.metadata == now.metadata


def test_a_later_edition_of_the_same_columns_has_the_very_schema():
    before, now = schema(), schema(LINE)
    assert schema_to_text(grown_schema(now, now)) == schema_to_text(now)  # so no shard is written again
    grown = grown_schema(before, now)
    assert schema_to_text(grown_schema(grown, now)) == schema_to_text(grown)


def test_rows_that_do_not_fit_are_refused_with_one_line():
    with pytest.raises(ConfigError, match="another version of codemill made the rows of this dataset"):
        grown_schema(schema(words=pa.list_(pa.int64())), schema(words=pa.int64()))
