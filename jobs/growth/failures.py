"""Which failures of earlier editions are over, because the files that failed have changed or are gone.

Rows of a failed unit are in no list of rows, so they are new when their file is read again. Here the ledger learns it:
they are no longer rows in failed units, but rows that another edition answers for.

Cost: nothing unless units have failed; then one look at each commit of earlier editions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Set
from typing import Any, Final

from jobs import storage
from jobs.finalize.summary import walk_commits
from jobs.plan.units import NO_ROW_GROUP
from jobs.storage.folders import OutputFolder
from transforms.work import Unit

NONE_OVER: Final[Mapping[str, Any]] = {"rows": 0, "reasons": {}, "units": [], "files": []}


def failures_over(base: OutputFolder, summary: Mapping[str, Any], differing: Set[str]) -> Mapping[str, Any]:
    """What is over, for `before.json`.

    Args:
        base: The newest edition that is complete.
        summary: Its summary.
        differing: The names of files that have changed or are gone since.

    Returns:
        `rows` of these files in failed units; failed units by `reasons` and their ids (`units`) of which no other file
        is left; `files`: all that were over before or are now, as edition, unit and name.
    """
    if not summary["units"]["failed"]:
        return NONE_OVER
    files = {tuple(one) for one in _known(base)}
    rows, reasons, units = 0, Counter[str](), []
    for edition in range(1, base.edition + 1):
        for unit, commit in walk_commits(base.of_edition(edition).job):
            if commit.status != "failed":
                continue
            of_unit = _rows_by_name(unit)
            left = {name for name in of_unit if (edition, unit.unit_id, name) not in files}
            over = left & differing
            rows += sum(of_unit[name] for name in over)
            files |= {(edition, unit.unit_id, name) for name in over}
            if over and over == left:
                reasons[commit.reason] += 1
                units.append(unit.unit_id)
    return {"rows": rows, "reasons": dict(reasons), "units": units, "files": sorted(map(list, files))}


def _known(base: OutputFolder) -> list[list[Any]]:
    if base.edition == 1:
        return []
    found: list[list[Any]] = json.loads(storage.read_bytes(base.job.before))["over"]["files"]
    return found


def _rows_by_name(unit: Unit) -> dict[str, int]:
    if unit.row_group == NO_ROW_GROUP:
        return {unit.public_name: 0}
    return {file.public_name: len(file.rows) for _, file in unit.by_file()}
