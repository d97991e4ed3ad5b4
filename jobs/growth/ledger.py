"""The summary of a grown dataset: that of the edition before, what the new edition adds, and what left the dataset.

    rows planned, over all editions = kept + rejected + in failed units + removed

Removed are rows that were replaced, are gone (`--drop_gone`) or have opted out. Targets and other counts are those of
all that was ever made; so are the datasets that rows are from and the models that wrote any of their text. The engine's
figures and the timeline are those of the new edition's units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jobs.errors import LedgerBroken
from jobs.finalize.origins import each_once
from jobs.finalize.summary import MAX_LISTED
from jobs.fusing.told import fused_sum
from jobs.growth.rewriting import Rewritten
from jobs.storage.folders import DATA, REJECTED

_KEY: Final = ("kind", "stage", "reason")
_BREAKDOWNS: Final = ("languages", "target_kinds")


def dead_in(rewritten: Sequence[Rewritten], dead: int, *, may_lack: bool) -> int:
    """How many rows leave the dataset: each is found once, kept or rejected.

    Args:
        rewritten: The shards that lose rows.
        dead: The rows that are to leave.
        may_lack: Whether some may have left before: rows that were forgotten.

    Raises:
        LedgerBroken: It is another number.
    """
    found = sum(one.sources - one.unread for one in rewritten)
    if found > dead or (found < dead and not may_lack):
        raise LedgerBroken(f"{dead} rows leave the dataset, but {found} were found in its shards")
    return found


def grown_summary(
    before: Mapping[str, Any],
    own: Mapping[str, Any],
    *,
    edition: int,
    dead: int,
    rewritten: Sequence[Rewritten],
    files: Mapping[str, int],
    news: Mapping[str, int],
    over: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the content of `summary.json`.

    Args:
        before: The summary of the edition before.
        own: That of the new edition's units alone.
        edition: The new edition.
        dead: How many rows left the dataset.
        rewritten: The shards of the edition before that were written again.
        files: All shards of the dataset with their sizes.
        news: What was new when the edition was planned.
        over: Which failures of earlier editions are over (`jobs.growth.failures`).

    Raises:
        LedgerBroken: The sums differ.
    """
    dropped = {folder: [one for one in rewritten if one.old.startswith(f"{folder}/")] for folder in (DATA, REJECTED)}
    summary = {**before, **own, "created": before["created"]}
    rows = _sum(before["rows"], own["rows"])
    rows["kept"] -= sum(one.sources for one in dropped[DATA])
    rows["rejected"] -= sum(one.sources for one in dropped[REJECTED])
    rows["output"] -= sum(one.dropped for one in dropped[DATA])
    rows["in_failed_units"] -= over["rows"]
    rows["removed"] = rows.get("removed", 0) + dead + over["rows"] + sum(one.unread for one in rewritten)
    summary["rows"] = rows
    accounted = rows["kept"] + rows["rejected"] + rows["in_failed_units"] + rows["removed"]
    if rows["planned"] != accounted:
        raise LedgerBroken(
            f"{rows['planned']} rows planned in {edition} editions, but {rows['kept']} kept + {rows['rejected']} "
            f"rejected + {rows['in_failed_units']} in failed units + {rows['removed']} removed = {accounted}"
        )
    for name in ("targets", "units", "failures", "counts"):
        summary[name] = _sum(before[name], own[name])
    summary |= fused_sum(before, own)
    summary["units"]["failed"] -= sum(over["reasons"].values())
    summary["failures"] = dict(Counter(summary["failures"]) - Counter(over["reasons"]))
    for name in ("sources", "models"):
        summary[name] = each_once([*before.get(name, ()), *own.get(name, ())])
    still_failed = [unit for unit in before["failed_units"] if unit["unit"] not in over["units"]]
    summary["failed_units"] = [*still_failed, *own["failed_units"]][:MAX_LISTED]
    summary["rejected"] = _rejections(before["rejected"], own["rejected"], dropped[REJECTED])
    summary["seconds"] = {**own["seconds"], "units": round(before["seconds"]["units"] + own["seconds"]["units"], 3)}
    summary["shards"] = {folder: _shards(folder, before, own, dropped[folder], files) for folder in (DATA, REJECTED)}
    first = {"edition": 1, "finished": before["finished"], "rows_new": before["rows"]["planned"]}
    told = {"edition": edition, "finished": own["finished"], **news, "rows_output": rows["output"]}
    summary["editions"] = [*before.get("editions", [first]), told]
    return summary


def _sum(*parts: Mapping[str, Any]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _rejections(
    before: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]], dropped: Sequence[Rewritten]
) -> list[dict[str, Any]]:
    """The table of rejections of both. What is told of a reason beside its count is left out where records of it were
    dropped: the example may be one of them."""
    left: Counter[tuple[str, ...]] = Counter()
    for one in dropped:
        left.update({tuple(key.split("/")): count for key, count in one.tally.items()})
    table: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in (*before, *own):
        key = tuple(entry[name] for name in _KEY)
        known = table.setdefault(key, {**dict(zip(_KEY, key, strict=True)), "count": 0})
        known["count"] += entry["count"]
        if key not in left:
            if "example" in entry:
                known.setdefault("example", entry["example"])
            for name in _BREAKDOWNS:
                if name in entry:
                    known[name] = _sum(known.get(name, {}), entry[name])
    for key, count in left.items():
        table.setdefault(key, {**dict(zip(_KEY, key, strict=True)), "count": 0})["count"] -= count
    told = (entry for entry in table.values() if entry["count"])
    return sorted(told, key=lambda entry: (entry["kind"], -entry["count"], entry["stage"], entry["reason"]))


def _shards(
    folder: str,
    before: Mapping[str, Any],
    own: Mapping[str, Any],
    dropped: Sequence[Rewritten],
    files: Mapping[str, int],
) -> dict[str, int]:
    sizes = [size for path, size in files.items() if path.startswith(f"{folder}/")]
    rows = before["shards"][folder]["rows"] + own["shards"][folder]["rows"] - sum(one.dropped for one in dropped)
    return {"files": len(sizes), "rows": rows, "bytes": sum(sizes)}
