"""A row is identified by its repositories, its path and its content."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from transforms.growth.identity import identities, identity_columns, row_key
from transforms.opt_out.hashed import hashed_repository
from transforms.rows.columns import resolve_columns
from transforms.rows.row import SourceRef


def identified(**columns):
    table = pa.table(columns)
    sources = [SourceRef("a.parquet", 0, row) for row in range(table.num_rows)]
    return identities(table, sources, resolve_columns(table.schema)).to_pylist()


def test_the_place_of_a_row_is_no_part_of_its_identity():
    one, other = identified(content=["x", "x"], path=["p.py", "p.py"], repo_name=["a/b", "a/b"])
    assert (one["key"], one["content"]) == (other["key"], other["content"])
    assert (one["row"], other["row"]) == (0, 1)


def test_another_repository_path_or_content_is_another_row():
    rows = identified(
        content=["x", "x", "x", "y"], path=["p.py", "q.py", "p.py", "p.py"], repo_name=["a/b", "a/b", "a/c", "a/b"]
    )
    assert len({(row["key"], row["content"]) for row in rows}) == 4


def test_the_content_is_known_by_the_start_of_the_hash_in_every_lineage():
    (row,) = identified(content=["def f(): pass"])
    assert row["content"].hex() == hashlib.sha256(b"def f(): pass").hexdigest()[:32]


def test_without_a_path_a_row_has_no_key_and_without_a_content_no_hash():
    (row,) = identified(content=pa.array([None], pa.string()), repo_name=["a/b"])
    assert row["key"] is None and row["content"] is None and row["repositories"] == [hashed_repository("a/b")]


def test_neither_path_nor_repository_can_pass_for_the_other():
    assert row_key(["a"], "b/c") != row_key(["a/b"], "c")


def test_packed_rows_have_the_repositories_of_their_parts():
    table = pa.table({"text": ["x"], "parts": [[{"repo_name": "a/b"}, {"repo_name": "c/d"}]]})
    columns = resolve_columns(table.schema)
    (row,) = identities(table, [SourceRef("a", 0, 0)], columns).to_pylist()
    assert row["repositories"] == [hashed_repository("a/b"), hashed_repository("c/d")]
    assert identity_columns(table.schema, columns) == ["text", "parts"]
