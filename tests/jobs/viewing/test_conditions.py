"""Conditions on rows mean what they say, in Arrow and in DuckDB alike."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jobs.browsing import sql
from jobs.browsing.request import Asked
from jobs.viewing.choosing import Choice, chosen_numbers
from jobs.viewing.conditions import Condition, find_term, holds, names_in, values_of
from jobs.viewing.places import shards_in
from model.errors import ConfigError

duckdb = pytest.importorskip("duckdb", reason="the extra browse is not installed")

SCHEMA = pa.schema(
    [
        pa.field("path", pa.large_string()),
        pa.field('od"d', pa.string()),
        pa.field("size", pa.int64()),
        pa.field("data", pa.binary()),
        pa.field("checks", pa.struct([("exact_match", pa.bool_()), ("similarity", pa.float32())])),
        pa.field("lineage", pa.struct([("mean_logprob", pa.float32()), ("agreement", pa.float32())])),
        pa.field("parts", pa.list_(pa.int64())),
    ]
)
KEPT = sql.Source("FROM kept", (), SCHEMA)
TEXTS = st.none() | st.text("aAé%_'\"\\;- x", max_size=6)
NUMBERS = st.none() | st.integers(-3, 3)
HALVES = st.none() | st.integers(-4, 4).map(lambda number: number / 2)
MAYBE_NAN = HALVES | st.just(float("nan"))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "path": TEXTS,
            'od"d': TEXTS,
            "size": NUMBERS,
            "data": TEXTS.map(lambda text: text and text.encode()) | st.just(b"a\xff"),
            "checks": st.fixed_dictionaries({"exact_match": st.none() | st.booleans(), "similarity": MAYBE_NAN}),
            "lineage": st.fixed_dictionaries({"mean_logprob": MAYBE_NAN, "agreement": MAYBE_NAN}),
        }
    ),
    max_size=12,
)
TEXT_COLUMNS = ["path", 'od"d', "data"]
WRITTEN = st.one_of(
    st.builds(
        "{}{}{}".format, st.sampled_from(["path", 'od"d', "data"]), st.sampled_from(["=", "!=", "~", "<", ">="]), TEXTS
    ),
    st.builds("size{}{}".format, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.integers(-3, 3)),
    st.builds("similarity{}{}".format, st.sampled_from(["<=", ">", "=", "!="]), st.integers(-3, 3) | st.just("nan")),
    st.sampled_from(["similarity=null", "similarity!=null", "data=null", "data!=null"]),
    st.builds("score{}{}".format, st.sampled_from(["<=", ">"]), st.integers(-3, 3)),
    st.builds("exact_match{}{}".format, st.sampled_from(["=", "!="]), st.sampled_from(["true", "false", "null"])),
)


@given(ROWS, st.lists(WRITTEN, max_size=3))
@settings(max_examples=200, deadline=None)
def test_duckdb_finds_the_rows_that_arrow_does(rows, written):
    table = pa.Table.from_pylist(rows, SCHEMA)
    conditions = [Condition.parse(text) for text in written]
    mask = holds(table, [(one, find_term(SCHEMA, one.name)) for one in conditions]).to_pylist()
    query = sql.matching(KEPT, Asked(where=tuple(written)), [])
    db = duckdb.connect(":memory:")
    db.register("kept", table.append_column("number", pa.array(range(len(rows)), pa.int64())))
    found = db.execute(f"SELECT number {query.sql} ORDER BY number", query.parameters).fetchall()
    assert [number for (number,) in found] == [number for number, is_met in enumerate(mask) if is_met]


@given(st.text(max_size=20), st.sampled_from(["=", "~", "<"]))
@settings(deadline=None)
def test_what_a_user_wrote_is_a_parameter_and_never_sql(text, operator):
    assume(not (operator == "<" and text.startswith("=")))  # that is another operator
    written = f"path{operator}{text}"
    plain, query = (sql.matching(KEPT, Asked(where=(one,)), []) for one in (f"path{operator}x", written))
    if text != "null":
        assert query.sql == plain.sql and query.parameters == [Condition.parse(written).value]


def test_a_name_that_is_no_column_is_never_sql():
    for name in ('path" OR 1', "size;", "parts", "checks", "checks.nothing", "--", ""):
        with pytest.raises(ConfigError, match=r"no column or field|is no condition"):
            sql.matching(KEPT, Asked(where=(f"{name}=1",)), [])


def test_a_field_of_checks_is_named_alone_and_the_score_is_a_sum():
    assert find_term(SCHEMA, "exact_match") == find_term(SCHEMA, "checks.exact_match")
    table = pa.Table.from_pylist(
        [{"lineage": {"mean_logprob": -1.0, "agreement": 0.5}}, {"lineage": {"mean_logprob": -2.0, "agreement": None}}],
        SCHEMA,
    )
    assert values_of(table, find_term(SCHEMA, "score")).to_pylist() == [-0.5, -2.0]
    assert "parts" not in names_in(SCHEMA) and "checks.exact_match" in names_in(SCHEMA)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("exact_match", "is no condition; write NAME=VALUE"),
        ("exact_match=maybe", "is true, false or null"),
        ("exact_match>true", "is true, false or null"),
        ("size=big", "is a number"),
        ("size~1", "is a number"),
        ("path=\udcff", "is not UTF-8"),
        ("colour=red", "no column or field colour; there are path, "),
        ("exact_math=true", r"no column or field exact_math; did you mean exact_match\? there are path, "),
    ],
)
def test_a_condition_that_makes_no_sense_is_one_line(written, why):
    with pytest.raises(ConfigError, match=why) as error:
        sql.matching(KEPT, Asked(where=(written,)), [])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "condition", "met", "order"),
    [
        (pa.array([0.5, None, 2.0], pa.float16()), "x>=0.5", [0, 2], [2, 0, 1]),
        (pa.array(["a", None, "b"], pa.string_view()), "x=a", [0], [2, 0, 1]),
        (pa.array([b"\xff", b"a", b"b"], pa.binary()), "x~A", [1], [2, 1, 0]),
        (pa.array([b"\xff", b"a", b"b"], pa.binary(1)), "x!=b", [1], [2, 1, 0]),
        (pa.array([b"a", b"b", b"a"], pa.binary()).dictionary_encode(), "x=a", [0, 2], [1, 0, 2]),
        (pa.array(["1", "[]", None], pa.json_()), "x~[", [1], [1, 0, 2]),
        (pa.array([b"a" * 16, None, b"b" * 16], pa.uuid()), "x=null", [1], [2, 0, 1]),
        (pa.array([3, None, 5], pa.duration("s")), "x=3", [0], [2, 0, 1]),
        (pa.array([True, None, False]), "x=true", [0], [0, 2, 1]),
        (pa.nulls(3), "x=null", [0, 1, 2], [0, 1, 2]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_values_of_any_type_are_compared_and_sorted(tmp_path, values, condition, met, order):
    pq.write_table(pa.table({"x": values}), tmp_path / "a.parquet")
    rows = shards_in(str(tmp_path))
    assert chosen_numbers(rows, Choice(rows=9, only=[Condition.parse(condition)]))[0] == met
    assert chosen_numbers(rows, Choice(rows=9, sort="x"))[0] == order
