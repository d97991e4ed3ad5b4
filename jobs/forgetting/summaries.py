"""The summary of a grown dataset without the rows that are forgotten: less of what it tells, since it sums editions.

What tells of runs stays, such as times and counts of findings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from jobs.forgetting.ledger import Loss
from jobs.storage.folders import DATA, REJECTED

_TOLD: Final = ("example", "languages", "target_kinds")
_KEY: Final = ("kind", "stage", "reason")


def lessened(
    summary: Mapping[str, Any],
    loss: Loss,
    files: Mapping[str, int],
    *,
    hidden: Collection[str] = (),
    unnamed: Collection[str] = (),
    output_rows: Mapping[int, int] | None = None,
) -> dict[str, Any]:
    """Returns a summary of what is left.

    Args:
        summary: The summary.
        loss: What leaves the edition that it is about.
        files: The shards that are left, with their sizes.
        hidden: Reasons, as `kind/stage/reason`, of records that leave any edition. What is told of a reason beside
            its count is left out: the example may be one of them.
        unnamed: Reasons of which only the example is left out: it may name a row that leaves.
        output_rows: How many output rows leave each edition.
    """
    counts = loss.counts
    rows = dict(summary["rows"])
    rows["kept"] += counts["rows_kept"]
    rows["rejected"] += counts["rows_rejected"]
    rows["output"] -= loss.rows[DATA]
    if counts["rows_removed"]:
        rows["removed"] = rows.get("removed", 0) + counts["rows_removed"]
    targets = dict(summary["targets"])
    targets["accepted"] += counts["targets_accepted"]
    targets["rejected"] += counts["targets_rejected"]
    if counts["targets_removed"]:
        targets["removed"] = targets.get("removed", 0) + counts["targets_removed"]
    found = {**summary, "rows": rows, "targets": targets}
    found["rejected"] = _rejections(summary["rejected"], loss, hidden, unnamed)
    found["shards"] = {
        folder: _shards(folder, summary["shards"][folder]["rows"] - loss.rows[folder], files)
        for folder in (DATA, REJECTED)
    }
    if "editions" in summary:
        found["editions"] = [_edition(one, output_rows or {}) for one in summary["editions"]]
    return found


def _rejections(
    table: Collection[Mapping[str, Any]], loss: Loss, hidden: Collection[str], unnamed: Collection[str]
) -> list[dict[str, Any]]:
    left, tally = [], loss.tally
    for entry in table:
        key = "/".join(entry[name] for name in _KEY)
        if count := entry["count"] - tally[key]:
            out = _TOLD if key in hidden else _TOLD[:1] if key in unnamed else ()
            told = {name: value for name, value in entry.items() if name not in out}
            left.append({**told, "count": count})
    return left


def _shards(folder: str, rows: int, files: Mapping[str, int]) -> dict[str, int]:
    sizes = [size for path, size in files.items() if path.split("/")[-2] == folder]
    return {"files": len(sizes), "rows": rows, "bytes": sum(sizes)}


def _edition(told: Mapping[str, Any], output_rows: Mapping[int, int]) -> dict[str, Any]:
    """What is told of an edition; of the first one not how many rows it had."""
    if "rows_output" not in told:
        return dict(told)
    return {**told, "rows_output": told["rows_output"] - output_rows.get(told["edition"], 0)}
