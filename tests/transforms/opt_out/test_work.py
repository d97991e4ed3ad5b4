"""Rows of repositories that have opted out never reach a job's work."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.opt_out.lists import parse_opt_out
from transforms.opt_out.rows import RowMatcher
from transforms.opt_out.work import MATCHED, REASON, STAGE, UNKNOWN, OptOutWork
from transforms.rows.columns import ColumnOverrides, RowLimits, table_to_rows
from transforms.rows.rejections import RejectedRow, rejected_counts, rejected_table
from transforms.work import Unit, UnitResult


class Keeps:
    """A work that keeps every row with a text, and tells what it has seen."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def input_columns(self, schema: pa.Schema) -> list[str]:
        return list(schema.names)

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        from transforms.rows.columns import resolve_columns

        items = table_to_rows(table, unit, rows, resolve_columns(table.schema), RowLimits())
        kept = [index for index, item in enumerate(items) if not isinstance(item, RejectedRow)]
        records = [item.record() for item in items if isinstance(item, RejectedRow)]
        self.seen += [item.content for item in items if not isinstance(item, RejectedRow)]
        counts = Counter(rows_in=len(rows), rows_kept=len(kept), rows_rejected=len(records), targets=0)
        counts.update(rejected_counts(records))
        return UnitResult(table.take(pa.array(kept, pa.int64())), rejected_table(records), counts)


def work_of(*lines: str, columns: ColumnOverrides = ColumnOverrides()) -> tuple[OptOutWork, Keeps]:
    inner: Any = Keeps()
    opt_out = parse_opt_out([("list", "\n".join(lines).encode())])
    return OptOutWork(inner, RowMatcher(opt_out, columns)), inner


def unit_of(num_rows: int) -> Unit:
    return Unit(unit_id="0", uri="a.parquet", version="", row_group=0, row_start=0, row_count=num_rows, num_bytes=0)


@given(st.lists(st.tuples(st.sampled_from(["out/a", "OUT/b", "in/a", "", None]), st.sampled_from(["x", "", None]))))
def test_each_row_is_kept_or_rejected_once_and_in_order(cells):
    repos, texts = [repo for repo, _ in cells], [text and f"{text}{i}" for i, (_, text) in enumerate(cells)]
    table = pa.table({"content": pa.array(texts, pa.string()), "repo_name": pa.array(repos, pa.string())})
    work, inner = work_of("out")
    result = work.run(unit_of(len(cells)), table, list(range(len(cells))))
    gone = [i for i, repo in enumerate(repos) if repo and repo.lower().startswith("out/")]
    assert inner.seen == [text for i, text in enumerate(texts) if text and i not in gone]
    assert result.kept.column("content").to_pylist() == inner.seen
    assert [r["row"] for r in result.rejected.to_pylist() if r["reason"] == REASON] == gone
    assert (rows := result.rejected.column("row").to_pylist()) == sorted(rows)
    counts = result.counts
    assert counts["rows_in"] == counts["rows_kept"] + counts["rows_rejected"] == len(cells)
    assert result.rejected.num_rows == counts["rows_rejected"]
    assert counts[f"{MATCHED}out/*"] == counts[f"rejected_row/{STAGE}/{REASON}"] == len(gone)
    assert counts[UNKNOWN] == sum(not repo for repo in repos)


def test_a_row_that_lists_repositories_is_rejected_for_any_of_them():
    work, inner = work_of("out/a")
    table = pa.table({"content": ["x", "y"], "repo_name": ["in/a,out/a", "in/a,in/b"]})
    assert work.run(unit_of(2), table, [0, 1]).kept.num_rows == 1
    table = pa.table({"content": ["x", "y"], "repo_name": [["in/a", "out/a"], ["in/b"]]})
    assert work.run(unit_of(2), table, [0, 1]).kept.num_rows == 1
    assert inner.seen == ["y", "y"]


def test_a_packed_row_is_rejected_for_any_of_its_parts():
    work, inner = work_of("out/a")
    parts = [[{"repo_name": "in/a"}, {"repo_name": "Out/A"}], [], [{"repo_name": "in/a"}]]
    result = work.run(unit_of(3), pa.table({"text": ["x", "y", "z"], "parts": parts}), [0, 1, 2])
    assert inner.seen == ["y", "z"] and result.counts[UNKNOWN] == 1


def test_the_source_of_a_grouped_row_is_the_one_that_it_names():
    work, _ = work_of("out/a")
    origin = {"source_uri": ["b.parquet", "c.parquet"], "source_row_group": [7, 8], "source_row": [9, 10]}
    table = pa.table({"content": ["x", "y"], "path": ["p", "q"], "repo_name": ["in/a", "out/a"], **origin})
    (record,) = work.run(unit_of(2), table, [0, 1]).rejected.to_pylist()
    assert (record["uri"], record["row_group"], record["row"], record["path"]) == ("c.parquet", 8, 10, "q")
    assert record["detail"] == "by the entry out/a" and record["content_sha256"]


def test_an_input_that_names_no_repositories_is_refused():
    work, _ = work_of("out/a")
    with pytest.raises(ConfigError, match=r"no column of the input says which repository .* \(the input has content\)"):
        work.output_schema(pa.schema([("content", pa.string())]))
    named, _ = work_of("out/a", columns=ColumnOverrides(repo_name="origin"))
    assert named.output_schema(pa.schema([("content", pa.string()), ("origin", pa.string())]))
