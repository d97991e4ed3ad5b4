"""The NOTICE table is the same however its rows are put together, and is read as it was written."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus import notice
from transforms.corpus.notice import Attribution, Notice, attribution_of

texts = st.sampled_from(["a", "b", "c", "d"])
found = st.tuples(texts, st.lists(texts, max_size=2), st.lists(texts, max_size=3))


def table(pieces) -> pa.Table:
    told = Notice()
    for repo_name, licenses, lines in pieces:
        one = Attribution(repo_name)
        one.note(licenses, lines)
        told.add(one)
    return told.table()


@given(st.lists(found, max_size=12), st.randoms())
def test_the_order_of_the_rows_does_not_matter(pieces, random):
    mixed = list(pieces)
    random.shuffle(mixed)
    assert table(mixed).equals(table(pieces))


@given(st.lists(found, max_size=12))
def test_a_table_that_was_read_is_written_as_before(pieces):
    before, again = table(pieces), Notice()
    for record in before.to_pylist():
        again.add(attribution_of(record))
    assert again.table().equals(before)


def test_the_most_frequent_line_stands_first():
    (row,) = table([("r", ["MIT"], ["x"]), ("r", ["MIT"], ["y"]), ("r", [], ["y"])]).to_pylist()
    assert (row["licenses"], row["copyright_lines"], row["rows"]) == (["MIT"], ["y", "x"], 3)


def test_lines_beyond_the_limit_are_counted(monkeypatch):
    monkeypatch.setattr(notice, "MOST_LINES", 2)
    (row,) = table([("r", [], ["x", "y", "z"]), ("r", [], ["x"])]).to_pylist()
    assert (row["copyright_lines"], row["lines_left_off"]) == (["x", "y"], 1)


def test_lines_that_are_the_same_once_redacted_stand_there_once():
    one = Attribution("r")
    one.note([], ["(c) 2019 A", "(c) 2019 B"])
    told = Notice()
    told.add(one)
    (row,) = told.table(lambda line: line[:-1] + "*").to_pylist()
    assert row["copyright_lines"] == ["(c) 2019 *"]
