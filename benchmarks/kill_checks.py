"""What a killed and resumed job left, compared with what an uninterrupted one leaves (see `benchmarks/kills.py`).

published files   data/ and rejected/ must hold the same names and, byte for byte, the same files
ledgers           summary.json must balance, agree with the files, and equal the reference apart from times
leftovers         no grouped, temporary, spool or orphaned files in the output, nothing in TMPDIR
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PARTS = ("data", "rejected")
# What differs between two uninterrupted runs, or tells of the deaths of workers: times, speeds, restarts.
UNEQUAL = frozenset(
    {"created", "finished", "engine", "seconds", "last_session", "failures", "versions", "run_id", "timeline"}
)
# Names in the output's `_job` that a kill may add, without content: the records of voided commits.
MAY_BE_ADDED = frozenset({"voided"})
_MERGED = re.compile(r"(train|rejected)-\d{5,}\..+\.(parquet|part)")


def faults_of(output: Path, reference: Path, scratch: Path) -> list[str]:
    """All that is wrong with a finished output, a line each; empty if nothing is."""
    if not (output / "COMPLETED").exists():
        return ["there is no COMPLETED"]
    return [
        *(fault for part in PARTS for fault in different_files(output / part, reference / part)),
        *ledger_faults(output, reference),
        *leftovers(output, reference),
        *(f"left in TMPDIR: {path.relative_to(scratch)}" for path in sorted(scratch.rglob("*"))[:5]),
    ]


def different_files(ours: Path, theirs: Path) -> Iterator[str]:
    """Where the files of two folders differ in name or content."""
    names = {
        folder: {path.name for path in folder.iterdir()} if folder.exists() else set() for folder in (ours, theirs)
    }
    for name in sorted(names[ours] ^ names[theirs]):
        yield f"{ours.name}/{name} is {'missing' if name in names[theirs] else 'not in the reference'}"
    for name in sorted(names[ours] & names[theirs]):
        if (ours / name).read_bytes() != (theirs / name).read_bytes():
            yield f"{ours.name}/{name} has other bytes, {_rows_compared(ours / name, theirs / name)}"


def _rows_compared(ours: Path, theirs: Path) -> str:
    first, second = pq.read_table(ours), pq.read_table(theirs)
    if first.num_rows != second.num_rows:
        return f"{first.num_rows} rows instead of {second.num_rows}"
    if first.schema != second.schema:
        return "another schema"
    differ = [row for row in range(first.num_rows) if not _equal(first, second, row)]
    return f"rows {differ[:5]} differ" if differ else "but equal rows"


def _equal(first: pa.Table, second: pa.Table, row: int) -> bool:
    return bool(first.slice(row, 1).to_pylist() == second.slice(row, 1).to_pylist())


def ledger_faults(output: Path, reference: Path) -> Iterator[str]:
    """What doesn't add up in a summary, or differs from the reference's."""
    ours, theirs = (json.loads((folder / "summary.json").read_text()) for folder in (output, reference))
    yield from unbalanced(ours)
    written = {part: _num_rows(output / part) for part in PARTS}
    for part, rows in written.items():
        told = told_rows(ours, part)
        if told != rows:
            yield f"summary.json tells of {told} rows in {part}/, the files have {rows}"
    for key in sorted({*ours, *theirs} - UNEQUAL):
        if comparable(ours.get(key)) != comparable(theirs.get(key)):
            yield f"summary.json: {key} is {ours.get(key)} instead of {theirs.get(key)}"


def unbalanced(summary: Mapping[str, Any]) -> Iterator[str]:
    """The ledgers of a summary whose sums are off.

    >>> list(unbalanced({"files_seen": 3, "rows_kept": 1, "rows_rejected": 1}))
    ['3 files seen are not 1 kept + 1 rejected']
    """
    if "files_seen" in summary:
        seen, kept, rejected = (summary[name] for name in ("files_seen", "rows_kept", "rows_rejected"))
        if seen != kept + rejected:
            yield f"{seen} files seen are not {kept} kept + {rejected} rejected"
        return
    rows, targets = summary["rows"], summary["targets"]
    if rows["planned"] != rows["kept"] + rows["rejected"] + rows["in_failed_units"]:
        yield f"the ledger of rows is off: {rows}"
    if targets["chosen"] != targets["accepted"] + targets["rejected"]:
        yield f"the ledger of targets is off: {targets}"
    for kind, number in (("row", rows["rejected"]), ("target", targets["rejected"])):
        listed = sum(entry["count"] for entry in summary["rejected"] if entry["kind"] == kind)
        if listed != number:
            yield f"{listed} rejected {kind}s are listed, {number} are counted"


def told_rows(summary: Mapping[str, Any], part: str) -> int:
    """The rows that a summary says are in a folder."""
    if "files_seen" in summary:
        return int(summary["rows_kept" if part == "data" else "rows_rejected"])
    return int(summary["shards"][part]["rows"])


def comparable(value: Any) -> Any:
    """A summary's value without what may differ: the number of restarted units."""
    return {key: item for key, item in value.items() if key != "restarted"} if isinstance(value, dict) else value


def _num_rows(folder: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet"))


def leftovers(output: Path, reference: Path) -> Iterator[str]:
    """Files of a finished output that a killed run left behind."""
    job = output / "_job"
    for name in sorted({path.name for path in job.iterdir()} - {path.name for path in (reference / "_job").iterdir()}):
        if name not in MAY_BE_ADDED:
            yield f"left in the output: _job/{name}"
    named = _committed_files(job)
    for path in sorted(path for path in output.rglob("*") if path.is_file()):
        place = path.relative_to(output)
        in_job = place.parts[1:] if place.parts[0] == "_job" else ()
        is_left = (
            path.name.startswith(".")
            or (in_job[:1] == ("attempts",) and "/".join(in_job) not in named)
            or in_job[:2] == ("journal", "open")
            or (in_job[:1] == ("shards",) and _MERGED.fullmatch(path.name) is not None)
        )
        if is_left:
            yield f"left in the output: {place} ({path.stat().st_size} bytes)"


def _committed_files(job: Path) -> set[str]:
    commits = (json.loads(path.read_text()) for path in (job / "commits").glob("*.json"))
    return {file["path"] for commit in commits for file in commit["files"].values()}
