"""The summary: sums over the commits, the two ledgers, and `summary.json`.

    rows planned   =  kept + rejected + in failed units + removed
    targets chosen =  accepted + rejected + removed

Both equations must hold over all commits, and the counts of the output files must equal those of the commits.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.errors import OUT_OF_MEMORY, RUN_STAGE, UNREADABLE, EveryRowFailed, IncompleteJob, LedgerBroken
from jobs.finalize.publishing import public_options
from jobs.finalize.shard_plan import FOLDERS, ShardRecord
from jobs.finalize.tallies import merged
from jobs.finalize.timeline import Timeline
from jobs.fusing.told import fused_lines, fused_part, rows_left
from jobs.ledger.commits import CommitRecord, read_commits
from jobs.ledger.heartbeat import Heartbeat
from jobs.plan.footers import InputFile
from jobs.plan.job_file import JobFile
from jobs.plan.units import planned_rows, read_plan
from jobs.storage.folders import JobFolder
from jobs.terminal.wording import counted
from model.engine.metrics import SUMS, ratios
from model.engine.settings import NO_COMPILE_CACHE
from transforms.fused_work import FUSED
from transforms.opt_out.work import MATCHED
from transforms.rows.cells import READ_STAGE
from transforms.rows.rejections import STAGE_ERROR
from transforms.work import Unit

MOST_STAGE_ERRORS = 0.01  # of all rows, and of all targets: more of them are a failure of the job, not of its rows
MAX_LISTED = 100  # failed units and bad files named in the summary; `_job` lists all of them
_CHUNK_UNITS = 1024
LEAST_COMPILE_S = 1.0  # of which one line tells
_BY_TARGETS = "judge/no_target_accepted"  # of a row without a fault of its own
_LEDGER = (
    *("rows_in", "rows_kept", "rows_rejected", "rows_removed"),
    *("targets", "targets_accepted", "targets_rejected", "targets_removed"),
)


@dataclass
class Totals:
    """Sums over the commits of a job, filled by `add`. `session` sums only units committed in the last run."""

    units: int = 0
    planned_rows: int = 0
    failed_units: int = 0
    failed_rows: int = 0
    restarted_units: int = 0
    output_rows: int = 0
    rejected_records: int = 0
    unit_seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    session: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    failed: list[dict[str, Any]] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)

    def add(self, unit: Unit, commit: CommitRecord, *, is_new: bool = True) -> None:
        """Counts one unit. Raises LedgerBroken if the commit doesn't cover all rows of the unit."""
        rows = planned_rows(unit)
        if commit.rows_in != rows:
            raise LedgerBroken(f"unit {unit.unit_id}: {rows} rows planned, but its commit counts {commit.rows_in}")
        self.units += 1
        self.planned_rows += rows
        self.unit_seconds += commit.wall_s
        self.restarted_units += commit.attempts > 1
        if commit.status == "failed":
            self.failed_units += 1
            self.failed_rows += rows
            self.failures[commit.reason] += 1
            if len(self.failed) < MAX_LISTED:
                known = "unknown" if unit.row_group < 0 else rows
                self.failed.append(
                    {
                        "unit": unit.unit_id,
                        "uri": unit.title,
                        "rows": known,
                        "reason": commit.reason,
                        "detail": commit.detail,
                    }
                )
            return
        self.counts.update(commit.counts)
        self.timeline.add(commit.ended, rows, int(commit.counts.get("tokens_out", 0)))
        if is_new:
            self.session.update(commit.counts)
        for name, file in commit.files.items():
            if name == "kept":
                self.output_rows += file.rows
            else:
                self.rejected_records += file.rows

    def check(self) -> None:
        """Checks both ledgers. Raises LedgerBroken with both sums."""
        counts = self.counts
        kept, rejected, removed = counts["rows_kept"], counts["rows_rejected"], counts["rows_removed"]
        total = kept + rejected + self.failed_rows + removed
        if self.planned_rows != total:
            raise LedgerBroken(
                f"{self.planned_rows} rows planned, but {kept} kept + {rejected} rejected + {self.failed_rows} in "
                f"failed units{removed_words({'removed': removed})} = {total}"
            )
        accepted, refused = counts["targets_accepted"], counts["targets_rejected"]
        removed = counts["targets_removed"]
        if counts["targets"] != accepted + refused + removed:
            raise LedgerBroken(
                f"{counts['targets']} targets chosen, but {accepted} accepted + {refused} rejected"
                f"{removed_words({'removed': removed})} = {accepted + refused + removed}"
            )

    def check_some_row_ran(self) -> None:
        """Raises EveryRowFailed if all rows ended in the same error of a stage, in themselves or in all targets."""
        if not self.planned_rows or self.counts["rows_rejected"] != self.planned_rows:
            return
        of_rows, of_targets = (_reasons(self.counts, kind) for kind in ("row", "target"))
        if of_rows <= {_BY_TARGETS} and of_targets:
            of_rows = of_targets
        if len(of_rows) == 1 and (at := next(iter(of_rows))).endswith(f"/{STAGE_ERROR}"):
            raise EveryRowFailed(
                f"all {counted(self.planned_rows, 'row')} ended as {STAGE_ERROR} in the stage {at.partition('/')[0]}; "
                "the tracebacks are in the worker's log above; mend the cause and choose another --output"
            )

    def check_shards(self, shards: Iterable[ShardRecord]) -> None:
        """Checks the output files against the commits. Raises LedgerBroken with both sums."""
        held: Counter[str] = Counter()
        for shard in shards:
            held[shard.kind] += shard.rows
            for key, count in shard.tally.items():
                held[key.split("/")[0]] += count
        for what, in_files, committed in (
            ("output rows", held["train"], self.output_rows),
            ("rejected records", held["rejected"], self.rejected_records),
            ("rejected rows", held["row"], self.counts["rows_rejected"]),
            ("rejected targets", held["target"], self.counts["targets_rejected"]),
        ):
            if in_files != committed:
                raise LedgerBroken(f"{what}: {in_files} in the output files, {committed} in the commits")


def _reasons(counts: Mapping[str, int], kind: str) -> set[str]:
    """Stage and reason of all rejected rows or targets."""
    at = f"rejected_{kind}/"
    return {name.removeprefix(at) for name, count in counts.items() if name.startswith(at) and count}


def walk_commits(job_dir: JobFolder) -> Iterator[tuple[Unit, CommitRecord]]:
    """Yields all units with their commits, in plan order, about a thousand in memory at a time.

    Raises:
        IncompleteJob: A unit has no commit.
    """
    units = read_plan(job_dir)
    while chunk := list(itertools.islice(units, _CHUNK_UNITS)):
        try:
            yield from zip(chunk, read_commits(job_dir, [unit.unit_id for unit in chunk]), strict=True)
        except FileNotFoundError as error:
            raise IncompleteJob(f"a unit has no commit: {error.filename or error}") from None


def rejection_table(shards: Iterable[ShardRecord]) -> list[dict[str, Any]]:
    """The number of rows and targets that each stage rejected, per reason, the most frequent first.

    Each has an example, the first such record of the output, and counts per language and kind of target.
    """
    rejected = [shard for shard in shards if shard.tally]
    tally: Counter[str] = Counter()
    for shard in rejected:
        tally.update(shard.tally)
    ordered = sorted(tally.items(), key=lambda item: (item[0].split("/")[0], -item[1], item[0]))
    table = []
    for key, count in ordered:
        entry: dict[str, Any] = dict(zip(("kind", "stage", "reason"), key.split("/"), strict=True), count=count)
        entry["example"] = next((dict(shard.examples[key]) for shard in rejected if key in shard.examples), {})
        entry["languages"] = merged((shard.languages for shard in rejected), key)
        entry["target_kinds"] = merged((shard.target_kinds for shard in rejected), key)
        table.append({name: value for name, value in entry.items() if value != {}})
    return table


def summarize(
    job: JobFile,
    totals: Totals,
    shards: list[ShardRecord],
    files: list[InputFile],
    *,
    finished: str,
    session_s: float,
    run_id: str = "",
    engine: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Returns the content of `summary.json`; `engine` is the result of `engine_figures`."""
    counts = totals.counts
    return {
        "job": job.job,
        "run_id": run_id,
        "state": "complete",
        "created": job.created,
        "finished": finished,
        "exit_codes": [],  # the driver's, once it knows them
        "rows": {
            "planned": totals.planned_rows,
            "kept": counts["rows_kept"],
            "rejected": counts["rows_rejected"],
            "in_failed_units": totals.failed_rows,
            "output": totals.output_rows,
            **({"removed": counts["rows_removed"]} if counts["rows_removed"] else {}),
        },
        "targets": {name: counts[key] for name, key in _TARGETS.items() if key in _ALWAYS_TOLD or counts[key]},
        "units": {"all": totals.units, "failed": totals.failed_units, "restarted": totals.restarted_units},
        "files": dict(Counter(file.state for file in files)),
        "bad_files": [
            {"uri": file.public_name, "reason": file.reason, "detail": file.detail}
            for file in files
            if file.state == "bad"
        ][:MAX_LISTED],
        "failed_units": totals.failed,
        "failures": dict(totals.failures.most_common()),
        "rejected": rejection_table(shards),
        "counts": {name: value for name, value in sorted(counts.items()) if _is_told(name)},
        "engine": dict(engine or {}),
        "seconds": {"units": round(totals.unit_seconds, 3), "last_session": round(session_s, 3)},
        "last_session": {
            "rows": totals.session["rows_in"],
            "tokens_out": totals.session["tokens_out"],
            "tokens_per_s": round(totals.session["tokens_out"] / session_s, 1) if session_s else 0.0,
        },
        "timeline": totals.timeline.summary(),
        "shards": {
            folder: {
                "files": sum(bool(s.rows) for s in group),
                "rows": sum(s.rows for s in group),
                "bytes": sum(s.bytes for s in group),
            }
            for folder, group in _by_folder(shards).items()
        },
        **fused_part(job, counts, _is_told),
        "options": public_options(job.job, job.options),
        "columns": dict(job.columns),
        "config_hash": job.config_hash,
        "checkpoint_sha256": job.checkpoint_sha256,
        "schema_version": job.schema_version,
        "versions": dict(job.versions),
    }


def engine_figures(beats: Iterable[Heartbeat]) -> dict[str, float]:
    """The engines' statistics (`model.engine.metrics`) over all workers, from the last heartbeat of each; empty for a
    job that runs no model. `keeps_programs` is 1 if all of them keep what they compile, 0 if not."""
    told = [beat.figures for beat in beats if beat.figures.get("requests_done")]
    sums: Counter[str] = Counter()
    for figures in told:
        sums.update({name: figures[name] for name in SUMS if name in figures})
    if not all("floor_s" in figures for figures in told):
        del sums["floor_s"]  # a floor of only some workers is not a floor
    found = {**sums, **ratios(sums)}
    if keeps := [figures["keeps_programs"] for figures in told if "keeps_programs" in figures]:
        found["keeps_programs"] = min(keeps)
    return {name: round(value, 4) for name, value in found.items()}


def _is_told(name: str) -> bool:
    """Whether a count is in neither the ledgers nor the table of rejections, and may be published."""
    return name not in _LEDGER and not name.startswith(("rejected", MATCHED, FUSED))


_TARGETS: Mapping[str, str] = {
    "chosen": "targets",
    "accepted": "targets_accepted",
    "rejected": "targets_rejected",
    "removed": "targets_removed",
}
_ALWAYS_TOLD = ("targets", "targets_accepted", "targets_rejected")


def _by_folder(shards: Iterable[ShardRecord]) -> dict[str, list[ShardRecord]]:
    groups: dict[str, list[ShardRecord]] = {folder: [] for folder in FOLDERS.values()}
    for shard in shards:
        groups[FOLDERS[shard.kind]].append(shard)
    return groups


def unread_rows(summary: Mapping[str, Any]) -> int:
    """The number of rows that could not be read, in units that could otherwise."""
    return sum(
        entry["count"]
        for entry in summary["rejected"]
        if entry["kind"] == "row" and entry["stage"] == READ_STAGE and entry["reason"] in UNREADABLE
    )


def has_unread_rows(commit: CommitRecord) -> bool:
    """Whether the commit rejects rows because they could not be read."""
    return any(commit.counts.get(f"rejected_row/{READ_STAGE}/{reason}") for reason in UNREADABLE)


def kept_share(summary: Mapping[str, Any]) -> float:
    """The kept rows' share of all planned ones, or of those that fused steps left; 0 if there were none."""
    left = rows_left(summary)
    rows = summary["rows"]["planned"] if left is None else left[1]
    return float(summary["rows"]["kept"] / rows) if rows else 0.0


def yield_line(summary: Mapping[str, Any]) -> str:
    """How many rows were kept, and what rejected most of the others."""
    rows = summary["rows"]
    line = f"{rows['kept']:,} of {counted(rows['planned'], 'row')} kept ({kept_share(summary):.2%})"
    if (left := rows_left(summary)) is not None:
        line = f"{rows['kept']:,} of {counted(left[1], 'row')} that {left[0]} left kept ({kept_share(summary):.2%})"
    row_reasons = [entry for entry in summary["rejected"] if entry["kind"] == "row"]
    targets = [entry for entry in summary["rejected"] if entry["kind"] == "target"]
    if not row_reasons:
        return line
    top = row_reasons[0]
    if _is_by_targets(top) and targets:
        top = targets[0]
    kind = "row" if top["kind"] == "row" else "target"
    return f"{line}; most often {top['reason']} ({counted(top['count'], kind)})"


def _is_by_targets(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of the table of rejections tells of rows without a fault of their own."""
    return f"{entry['stage']}/{entry['reason']}" == _BY_TARGETS


def closing_lines(summary: Mapping[str, Any], output: str, compile_cache: str | None = None) -> list[str]:
    """The closing lines that a finished job prints; `compile_cache` is the option of this name."""
    rows, targets, units = summary["rows"], summary["targets"], summary["units"]
    lines = [
        f"rows: {rows['planned']:,} = {rows['kept']:,} kept + {rows['rejected']:,} rejected"
        f" + {rows['in_failed_units']:,} in failed units" + removed_words(rows)
    ]
    if targets["chosen"]:
        lines.append(
            f"targets: {targets['chosen']:,} = {targets['accepted']:,} accepted + {targets['rejected']:,} rejected"
            + removed_words(targets)
        )
    lines += fused_lines(summary)
    for kind in ("row", "target"):
        top = [f"{entry['reason']} {entry['count']:,}" for entry in summary["rejected"] if entry["kind"] == kind][:5]
        if top:
            lines.append(f"rejected {kind}s: {', '.join(top)}")
    if redacted := redaction_line(summary):
        lines.append(redacted)
    session = summary["last_session"]
    if session["tokens_out"]:
        seconds = summary["seconds"]["last_session"]
        lines.append(
            f"{counted(session['tokens_out'], 'token')} in {seconds:,.1f} s, {session['tokens_per_s']:,.1f} tokens/s"
        )
    if engine := summary.get("engine"):
        lines.append(f"engine: {', '.join(_engine_words(engine))}")
        if compiled := compile_line(engine, compile_cache):
            lines.append(compiled)
    if units["failed"]:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in summary["failures"].items())
        lines.append(f"FAILED UNITS: {units['failed']:,} of {units['all']:,} ({reasons})")
        lines += [f"  {unit['uri']}: {unit['reason']}: {unit['detail']}" for unit in summary["failed_units"][:5]]
    if summary["rejected"]:
        told = {entry["reason"]: entry["count"] for entry in summary["rejected"] if not _is_by_targets(entry)}
        reason = max(told, key=lambda name: told[name]) if told else summary["rejected"][0]["reason"]
        lines.append(f"to look at what was rejected: codemill inspect {output} --rejected --reason {reason}")
    data = summary["shards"]["data"]
    lines.append(f"{counted(data['rows'], 'row')} in {counted(data['files'], 'file')}: {output}/data")
    return lines


def redaction_line(summary: Mapping[str, Any]) -> str | None:
    """What was redacted in the rows that were kept, by type of finding; None if nothing was."""
    counts = summary["counts"]
    found = Counter({name.removeprefix("redacted/"): n for name, n in counts.items() if name.startswith("redacted/")})
    if not found:
        return None
    types = ", ".join(
        f"{count:,} {name}" for name, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    )
    return f"redacted: {counted(counts['rows_with_redactions'], 'row')}: {types}"


def removed_words(rows: Mapping[str, int]) -> str:
    """The ledger's term for rows that left the dataset; "" if none did."""
    return f" + {rows['removed']:,} removed" if rows.get("removed") else ""


def stage_errors_line(summary: Mapping[str, Any], output: str) -> str | None:
    """A line for a job in which too many rows or targets ended in an error of codemill's own stages; else None."""
    told = []
    for kind, total in (("row", summary["rows"]["planned"]), ("target", summary["targets"]["chosen"])):
        errors = sum(
            entry["count"] for entry in summary["rejected"] if (entry["kind"], entry["reason"]) == (kind, STAGE_ERROR)
        )
        if errors > total * MOST_STAGE_ERRORS:
            told.append(f"{errors:,} of {counted(total, kind)} ({errors / total:.1%})")
    if not told:
        return None
    return (
        f"{' and '.join(told)} ended in a bug of codemill ({STAGE_ERROR}), which is more than {MOST_STAGE_ERRORS:.0%}; "
        "the worker's log has the tracebacks, and codemill inspect "
        f"{output} --rejected --reason {STAGE_ERROR} lists them"
    )


def memory_line(summary: Mapping[str, Any]) -> str | None:
    """A line for a job that rejected rows or lost units for lack of memory; else None."""
    rows = sum(
        entry["count"]
        for entry in summary["rejected"]
        # In other stages it is a program's memory that ran out.
        if entry["reason"] == OUT_OF_MEMORY and entry["kind"] == "row" and entry["stage"] in (READ_STAGE, RUN_STAGE)
    )
    units = summary["failures"].get(OUT_OF_MEMORY, 0)
    told = [counted(count, what) for count, what in ((rows, "row"), (units, "unit")) if count]
    if not told:
        return None
    return (
        f"{' and '.join(told)} needed more memory than there was ({OUT_OF_MEMORY}): raise the memory limit of the "
        "job's control group (of its container), or lower --workers"
    )


def _engine_words(engine: Mapping[str, float]) -> list[str]:
    words = []
    if "slot_occupancy" in engine:
        words.append(f"{engine['slot_occupancy']:.0%} of slots busy")
    if "padding_waste" in engine:
        words.append(f"prefill padded by {engine['padding_waste'] - 1:.1%}")
    if "tokens_in_per_s" in engine:
        words.append(f"{engine['tokens_in_per_s']:,.0f} tokens/s in, {engine['tokens_out_per_s']:,.0f} out")
    if "floor_share" in engine:
        words.append(_speed_words(engine["floor_share"]))
    words.append(f"{counted(int(engine.get('compiles', 0)), 'program')} compiled")
    return words


def _speed_words(floor_share: float) -> str:
    """How close the engine came to the device's peaks, which on a CPU are measured when it starts."""
    if floor_share <= 1:
        return f"{floor_share:.0%} of the speed that the device allows"
    return "faster than the device was measured to be (it was busy then, or the weights fit its caches)"


def compile_line(engine: Mapping[str, float], compile_cache: str | None) -> str | None:
    """How long requests waited for compilation, and whether it is kept for other runs; None if they hardly did.

    Args:
        engine: The engine's figures.
        compile_cache: The option of this name.

    >>> compile_line({"compile_s": 30.0, "busy_s": 40.0, "compiles": 7}, "none")
    "compilation: 30.0 s of the engine's 40.0 s (75%); without --compile_cache none, the next run would be spared it"
    """
    compile_s, busy_s = engine.get("compile_s", 0.0), engine.get("busy_s", 0.0)
    if compile_s < LEAST_COMPILE_S:
        return None
    line = f"compilation: {compile_s:,.1f} s"
    if busy_s > compile_s:
        line += f" of the engine's {busy_s:,.1f} s ({compile_s / busy_s:.0%})"
    if compile_cache == NO_COMPILE_CACHE:
        return f"{line}; without --compile_cache none, the next run would be spared it"
    if "keeps_programs" not in engine:  # an earlier version's summary
        return line
    if not engine["keeps_programs"]:
        return f"{line}; not kept for the next run, as no folder could be made for it: pass --compile_cache DIR"
    return f"{line}; the programs are kept for the next run with this model and these lengths"
