from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.rows.rejections import (
    REJECTED_SCHEMA,
    RejectedRow,
    Rejection,
    rejected_counts,
    rejected_record,
    rejected_table,
    stage_error,
)
from transforms.rows.row import Row, SourceRef

WORDS = st.text(max_size=8)
MAYBE = st.none() | WORDS
SOURCES = st.builds(SourceRef, uri=WORDS, row_group=st.integers(0, 2**31 - 1), row=st.integers(0, 2**63 - 1))
REJECTIONS = st.builds(Rejection, stage=WORDS, reason=WORDS, detail=WORDS)
ORIGINS = st.builds(Row, SOURCES, WORDS, WORDS, WORDS, WORDS) | st.builds(
    RejectedRow, SOURCES, REJECTIONS, MAYBE, WORDS
)


@given(ORIGINS, REJECTIONS, MAYBE, MAYBE)
def test_a_record_fits_the_schema_and_survives_it(origin, rejection, target, answer):
    record = rejected_record(origin, rejection, target=target, answer=answer)
    assert list(record) == REJECTED_SCHEMA.names
    table = rejected_table([record])
    table.validate(full=True)
    assert table.schema == REJECTED_SCHEMA and table.to_pylist() == [record]


@given(ORIGINS, REJECTIONS, MAYBE)
def test_a_record_states_its_source_and_an_unknown_path_is_null(origin, rejection, target):
    record = rejected_record(origin, rejection, target=target)
    assert SourceRef(record["uri"], record["row_group"], record["row"]) == origin.source
    assert record["path"] == (origin.path or None) != ""
    assert record["content_sha256"] == origin.content_sha256
    assert record["kind"] == ("row" if target is None else "target")
    assert Rejection(record["stage"], record["reason"], record["detail"]) == rejection


@given(SOURCES, REJECTIONS, MAYBE, WORDS)
def test_a_row_that_cant_be_read_has_a_record_like_any_other(source, rejection, sha256, path):
    row = RejectedRow(source, rejection, sha256, path)
    assert row.record() == rejected_record(row, rejection)


def test_no_record_holds_the_rows_content():
    row = Row(SourceRef("a", 0, 0), "the content", "c" * 64, "r" * 64, "a.py", "o/r", "python", {"notes": "the notes"})
    told = str(rejected_record(row, Rejection("read", "empty_content")))
    assert "the content" not in told and "the notes" not in told


def test_a_table_of_no_records_has_the_schema():
    assert rejected_table([]).schema == REJECTED_SCHEMA


@given(st.lists(st.builds(rejected_record, ORIGINS, REJECTIONS, target=MAYBE), max_size=5))
def test_counts_count_each_record_once_and_distinguish_rows_from_targets(records):
    counts = rejected_counts(records)
    rows = sum(count for name, count in counts.items() if name.startswith("rejected_row/"))
    assert rows == sum(record["kind"] == "row" for record in records)
    assert counts.total() == len(records)


def test_a_bug_in_a_stage_is_logged_with_its_place_and_never_with_its_own_text(caplog):
    def fail() -> None:
        raise ValueError("a line of the row")

    with pytest.raises(ValueError, match="a line") as caught:
        fail()
    rejection = stage_error("judge", caught.value, "the stage failed on %s", "row 7")
    assert rejection == Rejection("judge", "stage_error", "ValueError")
    assert "the stage failed on row 7: ValueError" in caplog.text and "in fail" in caplog.text
    assert caplog.text.count("a line of the row") == 1  # the source line that raised it, in this very file
