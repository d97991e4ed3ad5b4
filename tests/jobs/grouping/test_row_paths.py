"""The paths of rows, as several processes store them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.grouping.row_paths import PathsReader, PathsWriter, create_row_paths

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.lists(TEXT, max_size=6)), max_size=8))
def test_a_row_has_the_path_that_was_last_stored_for_it(tmp_path_factory, runs):
    folder = str(tmp_path_factory.mktemp("paths"))
    create_row_paths(folder, 40)
    writers = [PathsWriter(folder), PathsWriter(folder)]
    wanted = [""] * 40
    for writer, first, paths in runs:
        writers[writer].write(first, paths)
        if any(paths):
            wanted[first : first + len(paths)] = paths
    reader = PathsReader(folder)
    assert [reader.path(number) for number in range(40)] == wanted
    reader.close()
    for writer in writers:
        writer.close()
