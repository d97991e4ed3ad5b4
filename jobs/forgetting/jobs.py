"""Forgets rows of the complete output of a job with units and commits: any but `corpus`, `train`, `index`.

    search the shards -> write them without the rows -> the commits, plan, records, pages of what is left -> one change

Of a dataset that grew, shards of all editions are searched. Its newest edition's own ones are in the shard plan; those
that it has from earlier ones, and those that only these have, are named by manifests (`jobs.forgetting.renewal`).

Nothing but the shards with such rows is written again. Everything else that may hold text of them goes: attempts,
voided commits, the journal, last lines of hosts, the grouped input, and an evaluation's joined problems and answers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from jobs import storage
from jobs.finalize.card import dataset_card
from jobs.finalize.figures import Figures, read_figures
from jobs.finalize.notice import repository_column
from jobs.finalize.report import html_report
from jobs.finalize.rewriting import Rewriting, Rewritten
from jobs.finalize.shard_plan import (
    KINDS,
    Kind,
    ShardPlan,
    ShardRecord,
    plan_with_rows,
    read_record,
    read_sources,
)
from jobs.finalize.summary import Totals, summarize, walk_commits
from jobs.forgetting.editions import Editions, read_editions
from jobs.forgetting.ledger import Removed, folder_of, keys_of, loss_of
from jobs.forgetting.lists import Asked, read_forgotten, removals
from jobs.forgetting.notices import renew_notice
from jobs.forgetting.renewal import Renewal
from jobs.forgetting.returning import input_columns
from jobs.forgetting.row_lists import RowLists
from jobs.forgetting.searching import Found, search_data, search_rejected
from jobs.forgetting.twins import DUPLICATES, Twins, unnamed_details
from jobs.growth.editions import is_of_edition, newest
from jobs.ledger.completed import missing_files, read_completed
from jobs.monitoring.summaries import summary_text
from jobs.plan.job_file import JobFile, read_job
from jobs.plan.units import read_input_files, read_source_files
from jobs.storage.folders import DATA, REJECTED, OutputFolder
from jobs.system.clock import utc_now
from jobs.viewing.places import Rows, count_rows
from model.errors import ConfigError
from transforms.opt_out.selection import FileColumns, Selection

_OF_THE_RUN = ("run_id", "finished", "exit_codes", "engine", "seconds", "last_session", "results")
_SHOWN = 3  # names in a message


@dataclass(frozen=True)
class JobOutput:
    """The complete output of a job.

    Args:
        output: Its folder.
        job: Its job file.
        done: The content of COMPLETED.
        editions: Its editions, and their shards.
    """

    output: OutputFolder
    job: JobFile
    done: Mapping[str, Any]
    editions: Editions

    @property
    def plan(self) -> ShardPlan:
        """The plan of its shards."""
        return ShardPlan(
            plan_id=self.done["plan_id"], shards=self.done["shards"], edition=int(self.done.get("edition", 1))
        )

    def search(self, selection: Selection) -> Found:
        """Finds what is to be forgotten. Raises ConfigError as `search_data` does."""
        found, columns = Found(), self._columns()
        kept, rejected = self.editions.by_maker(DATA), self.editions.by_maker(REJECTED)
        for number in sorted({*kept, *rejected}):
            edition = self.output.of_edition(number)
            made = search_data(edition, kept[number], columns, selection)
            inputs = read_source_files(edition.job)
            search_rejected(edition, rejected[number], selection, made, inputs, input_columns(self.job))
            found.add(made)
        found.emptied = self.editions.emptied_by(found.gone)
        if any(storage.exists(one.job.join(DUPLICATES)) for one in self._job_editions()):
            self._search_twins(found, selection, sorted(path for paths in rejected.values() for path in paths))
        return found

    def _search_twins(self, found: Found, selection: Selection, rejected: Sequence[str]) -> None:
        """Finds what `dedup` keeps of rows that are to be forgotten: also of those that no shard has anymore."""
        for number, places in RowLists(self.output, found.listed, selection, found.identities).places().items():
            found.listed[number] |= places
        twins = Twins(self.output, found.listed, selection.paths)
        for path in rejected:
            named = twins.naming(path)
            gone = found.gone.get(path, np.zeros_like(named))
            if (named := named & ~gone).any():
                found.gone[path], found.named[path] = gone, named

    def _job_editions(self) -> list[OutputFolder]:
        return [self.output.of_edition(number) for number in range(1, self.output.edition + 1)]

    def rows(self) -> int:
        """How many rows it has."""
        return int(self._read_summary()["shards"][DATA]["rows"])

    def forget(self, found: Found, asked: Asked) -> None:
        """Removes what was found. Requires the lock.

        Raises:
            StorageFull: There is no space left. Nothing has changed.
        """
        with Rewriting(self.output.of_edition(1)) as change:
            records, removed, written = self._rewrite_shards(change, found)
            losses = {path: loss_of(self.output, path, found.gone[path]) for path in written}
            unnamed = {key for path, named in found.named.items() for key in keys_of(self.output, path, named)}
            renewal = Renewal(self.editions, found.emptied, written, losses, frozenset(unnamed))
            commits = {unit.unit_id: removed.applied(commit) for unit, commit in walk_commits(self.output.job)
                       if unit.unit_id in removed.counts}  # fmt: skip
            for unit_id, commit in commits.items():
                change.write(self._relative(self.output.job.commit(unit_id)), commit.to_json())
            plan = self._write_plan(change, records, removed)
            files = renewal.left(self.done["files"])
            summary = self._summary(removed, records, renewal)
            self._write_pages(change, summary, self._figures(change, files))
            repository = repository_column(self.job.final_schema, self.job.columns.get("repo_name"))
            renew_notice(change, self.output, found, repository)
            self._write_lists(change, found, asked)
            RowLists(self.output, found.listed, asked.selection(), found.identities).purge(change)
            Twins(self.output, found.listed, frozenset(asked.paths)).purge(change)
            renewal.write(change)
            if plan.plan_id != self.plan.plan_id:
                change.remove(self._relative(self.output.job.shard(self.plan.plan_id, "")))
            change.decide(json.dumps({**self.done, "plan_id": plan.plan_id, "files": files}).encode())

    def _columns(self) -> FileColumns:
        """The output's columns: those of the input, some of which have another name in the output."""
        names = self.job.final_schema.names

        def kept(role: str) -> str | None:
            name = self.job.columns.get(role)
            if name is None:
                return None
            return next((one for one in (f"input_{name}", name) if one in names), None)

        is_raw = "lineage" not in names and "parts" not in names
        return FileColumns(kept("path"), kept("repo_name"), kept("content"), is_raw=is_raw)

    def _rewrite_shards(
        self, change: Rewriting, found: Found
    ) -> tuple[list[ShardRecord], Removed, dict[str, Rewritten]]:
        """Writes shards again; returns the records of the newest edition's own ones, what leaves its units, and what
        each shard is then."""
        removed, records, written = Removed(), [], {}
        for kind in KINDS:
            listed = read_sources(self.output.job, self.plan.plan_id, kind)
            for record, sources in zip(self._records(kind), listed, strict=True):
                path = self.plan.final_path(kind, record.index)
                if (gone := found.gone.get(path)) is not None:
                    before = Counter(removed.records)
                    removed.add(self.output, kind, path, gone, sources)
                    written[path] = _write_shard(change, path, found)
                    named = keys_of(self.output, path, found.named[path]) if path in found.named else set()
                    record = _without(record, written[path], removed.records - before, named)
                records.append(replace(record, path=""))
        kept = self.editions.shards_without(found.emptied)
        for path in sorted((found.gone.keys() & kept) - written.keys()):
            written[path] = _write_shard(change, path, found)
        return records, removed, written

    def _records(self, kind: Kind) -> list[ShardRecord]:
        found = [read_record(self.output.job, self.plan.plan_id, kind, i) for i in range(self.plan.shards[kind])]
        records = [record for record in found if record is not None]
        if len(records) < len(found):
            raise ConfigError(f"{self.output} lacks the record of a shard; run its own command again first")
        return records

    def _write_plan(self, change: Rewriting, records: list[ShardRecord], removed: Removed) -> ShardPlan:
        def rows_of(unit: str, kind: Kind, rows: int) -> int:
            return rows - removed.file_rows[unit][kind] if unit in removed.file_rows else rows

        plan, files = plan_with_rows(self.output.job, self.plan, rows_of)
        folder = self._relative(self.output.job.shard(plan.plan_id))
        for name, data in files.items():
            change.write(f"{folder}/{name}", data)
        for record in records:
            text = json.dumps(asdict(record), sort_keys=True, indent=1)
            change.write(f"{folder}/{record.kind}-{record.index:05d}.json", text.encode())
        return plan

    def _summary(self, removed: Removed, records: list[ShardRecord], renewal: Renewal) -> dict[str, Any]:
        """The summary of what is left; what tells of the run stays."""
        totals = Totals()
        for unit, commit in walk_commits(self.output.job):
            totals.add(unit, removed.applied(commit))
        totals.check()
        totals.check_shards(records)
        before = self._read_summary()
        if self.output.edition > 1:
            files = self.done["files"]
            return renewal.summary(before, renewal.loss(files), renewal.left(files))
        inputs = read_input_files(self.output.job)
        summary = summarize(self.job, totals, records, inputs, finished="", session_s=0.0)
        return {**before, **{name: value for name, value in summary.items() if name not in _OF_THE_RUN}}

    def _read_summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(storage.read_bytes(self.output.summary))
        return summary

    def _figures(self, change: Rewriting, files: Mapping[str, int]) -> Figures:
        """What the report shows of the rows that are left."""
        kept, rejected = (
            Rows([(where, count_rows(where)) for where in map(change.place_of, paths)])
            for paths in (sorted(path for path in files if folder_of(path) == folder) for folder in (DATA, REJECTED))
        )
        has_answers = bool(self.job.options.get("rejected_answers"))
        return read_figures(kept, rejected, self.job.columns, has_answers=has_answers)

    def _write_pages(self, change: Rewriting, summary: Mapping[str, Any], figures: Figures) -> None:
        change.write("summary.json", summary_text(summary))
        change.write("README.md", dataset_card(summary, self.job.final_schema, self.job.options).encode())
        change.write("report.html", html_report(summary, figures).encode())

    def _write_lists(self, change: Rewriting, found: Found, asked: Asked) -> None:
        forgotten = read_forgotten(self.output.job) + asked
        change.write(self._relative(self.output.job.forgotten), forgotten.to_json())
        entry = {"date": utc_now(), **found.told(), "asked": asked.hashed()}
        change.write("REMOVALS.json", removals(self.output, entry))

    def _relative(self, path: str) -> str:
        return path[len(self.output.join("")) :]


def open_job_output(output: OutputFolder) -> JobOutput:
    """Opens a complete output, with its newest edition.

    Raises:
        ConfigError: It isn't one, lacks a file, or has an edition that isn't complete.
    """
    output = newest(output)
    job, done = read_job(output), read_completed(output)
    if job is None or done is None or "plan_id" not in done:
        raise ConfigError(f"{output} is not the complete output of a job; run the job's own command again first")
    if not is_of_edition(done, output):
        raise ConfigError(
            f"{output} has an edition {output.edition} that isn't complete; run the job's own command again first"
        )
    if missing := missing_files(output, done):
        raise ConfigError(f"{output} lacks {', '.join(missing[:_SHOWN])}; run the job's own command again first")
    return JobOutput(output, job, done, read_editions(output, done))


def _write_shard(change: Rewriting, path: str, found: Found) -> Rewritten:
    named = found.named.get(path)
    if named is None:
        return change.write_shard(path, found.gone[path])
    return change.write_shard(
        path, found.gone[path], edit=lambda table, first: unnamed_details(table, named[first : first + table.num_rows])
    )


def _without(record: ShardRecord, written: Rewritten, gone: Counter[str], unnamed: Set[str]) -> ShardRecord:
    tally = Counter(record.tally)
    tally.subtract(gone)
    left = {key: count for key, count in tally.items() if count}
    # A removed record may be the example of its reason, and nothing says whose the counts by language were.
    return replace(
        record,
        rows=written.rows,
        bytes=written.bytes,
        sha256=written.sha256,
        tally=left,
        examples=_other(record.examples, gone.keys() | unnamed),
        languages=_other(record.languages, gone),
        target_kinds=_other(record.target_kinds, gone),
    )


def _other(found: Mapping[str, Mapping[str, Any]], gone: Collection[str]) -> dict[str, Mapping[str, Any]]:
    return {key: value for key, value in found.items() if key not in gone}
