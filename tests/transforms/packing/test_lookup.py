"""What a file imports is found in a grouped corpus, however its repositories are cut into row groups."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.packing.lookup import FoundFile, GroupedCorpus, RepositoryFiles, index_of
from transforms.packing.order import IMPORTS, POSITION

SCHEMA = pa.schema(
    [
        ("content", pa.large_binary()),
        ("path", pa.large_string()),
        ("repo_name", pa.large_string()),
        ("language", pa.large_string()),
        (POSITION, pa.int64()),
        (IMPORTS, pa.list_(pa.int64())),
    ]
)
Rows = list[tuple[str | None, str, list[int]]]  # repository, path, positions of imports


def parquet_of(rows: Rows, group_rows: int) -> bytes:
    """A grouped file; positions count from 0 in each repository."""
    counts: dict[str | None, int] = {}
    records = []
    for repo_name, path, imports in rows:
        position = counts[repo_name] = counts.get(repo_name, -1) + 1
        values = (f"# {repo_name} {path}".encode(), path, repo_name, "Python", position, imports)
        records.append(dict(zip(SCHEMA.names, values, strict=True)))
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records, schema=SCHEMA), sink, row_group_size=group_rows)
    return sink.getvalue()


def files_of(rows: Rows, group_rows: int = 10) -> RepositoryFiles:
    data = parquet_of(rows, group_rows)
    index = io.BytesIO()
    np.save(index, index_of([pq.ParquetFile(io.BytesIO(data))]))
    stored = {"rows": data, "index": index.getvalue()}
    return RepositoryFiles(GroupedCorpus(("rows",), "index", lambda name: io.BytesIO(stored[name])))


def test_a_file_s_imports_are_found_with_their_contents():
    files = files_of(
        [("a/b", "tax.py", []), ("a/b", "money.py", []), ("a/b", "cart.py", [0, 1]), ("c/d", "cart.py", [])]
    )
    assert list(files.imported("a/b", "cart.py")) == [
        FoundFile("tax.py", "Python", b"# a/b tax.py"),
        FoundFile("money.py", "Python", b"# a/b money.py"),
    ]
    assert not list(files.imported("c/d", "cart.py"))


@pytest.mark.parametrize(("repo_name", "path"), [("a/b", "gone.py"), ("x/y", "tax.py"), ("", "alone.py")])
def test_what_the_corpus_does_not_have_imports_nothing(repo_name, path):
    files = files_of([("a/b", "tax.py", []), (None, "alone.py", []), ("", "alone.py", [0])])
    assert not list(files.imported(repo_name, path))


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_every_import_is_found_in_whatever_row_group_it_is(sizes, group_rows, rng):
    rows: Rows = []
    for number, size in enumerate(sizes):
        rows += [(f"r{number}", f"{n}.py", [p for p in range(n) if rng.random() < 0.4]) for n in range(size)]
    files = files_of(rows, group_rows)
    asked = rows[:]
    rng.shuffle(asked)
    for repo_name, path, imports in asked:
        assert [found.path for found in files.imported(repo_name or "", path)] == [f"{n}.py" for n in imports]


def test_memory_is_bounded_by_dropping_what_was_not_asked_for_lately(monkeypatch):
    monkeypatch.setattr("transforms.packing.lookup.MAX_TEXTS_MB", 0)
    monkeypatch.setattr("transforms.packing.lookup.MAX_PATHS_MB", 0)
    rows: Rows = [(f"r{n}", path, imports) for n in range(5) for path, imports in (("a.py", []), ("b.py", [0]))]
    files = files_of(rows, group_rows=1)
    for n in (0, 1, 2, 3, 4, 0):
        assert [found.path for found in files.imported(f"r{n}", "b.py")] == ["a.py"]
    assert len(files._texts._values) == len(files._paths._values) == 1
    files.close()
