"""What a removal counts: source rows of which nothing is left, targets, records."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from jobs.forgetting.ledger import Removed
from jobs.ledger.commits import CommitRecord, FileRecord
from jobs.storage.folders import OutputFolder

KEPT = FileRecord(path="attempts/u/a.kept.parquet", rows=0, bytes=1, sha256="")


def write(folder: Path, sources: list[tuple[int, str]]) -> str:
    """A shard of generated rows: of each the source row and the target."""
    lineage = [
        {"source_uri": "a", "source_row_group": 0, "source_row": row, "target": target} for row, target in sources
    ]
    (folder / "data").mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(repr(sources).encode()).hexdigest()[:12]
    pq.write_table(pa.table({"lineage": lineage}), folder / "data" / f"{name}.parquet")
    return f"data/{name}.parquet"


def removed(folder: Path, sources: list[tuple[int, str]], gone: list[bool]) -> Removed:
    found = Removed()
    units = [{"unit_id": "u", "rows": len(sources)}]
    found.add(OutputFolder(str(folder)), "train", write(folder, sources), np.array(gone, dtype=bool), units)
    return found


def test_a_source_row_is_removed_once_its_last_answer_is(tmp_path):
    rows = [(0, "x"), (0, "y"), (1, "x")]
    counts = removed(tmp_path, rows, [True, False, True]).counts["u"]
    assert counts == {"rows_kept": -1, "rows_removed": 1, "targets_accepted": -2, "targets_removed": 2}


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.sampled_from("xyz")), min_size=1, max_size=12, unique=True),
    data=st.data(),
)
def test_whatever_goes_the_ledger_of_a_unit_adds_up(tmp_path_factory, rows, data):
    gone = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    folder = tmp_path_factory.mktemp("ledger")
    before = CommitRecord(
        unit_id="u",
        attempt_id="a",
        status="done",
        rows_in=5,
        config_hash="",
        counts={"rows_kept": len({row for row, _ in rows}), "targets": 20, "targets_accepted": len(rows)},
        files={"kept": FileRecord(path=KEPT.path, rows=len(rows), bytes=1, sha256="")},
    )
    after = removed(folder, rows, gone).applied(before)
    left = [one for one, goes in zip(rows, gone, strict=True) if not goes]
    assert after.files["kept"].rows == len(left)
    assert after.counts["rows_kept"] == len({row for row, _ in left})
    assert after.counts["rows_kept"] + after.counts.get("rows_removed", 0) == before.counts["rows_kept"]
    assert after.counts["targets_accepted"] + after.counts.get("targets_removed", 0) == len(rows)
