"""Finalize: turns committed units into a dataset, in steps that may be interrupted at any point and started again.

    1  sum the commits, check the two ledgers       7  remove shards of an earlier shard size
    2  write the shard plan under its hash          8  summary.json, README.md, report.html
    3  merge the shards on the runner               9  remove the grouped copy of the input, and claims
    4  check the merged shards against the commits 10  delete attempts, whose rows the shards have
    5  remove COMPLETED, if it exists              11  COMPLETED
    6  publish the shards under their final names

A further edition of a dataset keeps shards of earlier ones, some without rows that left it (`jobs.growth.publishing`).

A repeated step writes the same bytes (except for times in the summary), so running the same command again recovers from
a kill between any two steps. A shard is removed only after its replacement exists.
Memory is bounded by one unit's file and one row group, times the number of concurrent merges.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobs import storage
from jobs.errors import DamagedAttempt
from jobs.finalize.card import dataset_card
from jobs.finalize.figures import Figures, prepare_figures, read_figures
from jobs.finalize.notice import carry_notice
from jobs.finalize.origins import input_datasets, origins_of
from jobs.finalize.report import html_report
from jobs.finalize.shard_plan import KINDS, Kind, ShardPlan, ShardPlanner, ShardRecord, remove_stale
from jobs.finalize.shards import MergeSpec, merge_again, read_shard_record
from jobs.finalize.stored_rows import StoredRows
from jobs.finalize.summary import Totals, engine_figures, summarize, walk_commits
from jobs.growth.publishing import carry_over
from jobs.ledger.heartbeat import read_heartbeats
from jobs.monitoring.summaries import summary_text
from jobs.pipelines.belonging import current_pipeline
from jobs.plan.footers import InputFile
from jobs.plan.job_file import JobFile
from jobs.plan.opt_out import write_matches
from jobs.plan.units import read_input_files, read_source_files
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import DATA, REJECTED, JobFolder, OutputFolder
from jobs.system.clock import utc_now
from jobs.viewing.places import Rows, count_rows
from model.errors import ConfigError

AFTER_PLAN = register("finalize.after_plan")
AFTER_MERGE = register("finalize.after_merge")
AFTER_PUBLISH = register("finalize.after_publish")
AFTER_FIRST_PUBLISHED = register("finalize.after_first_published")
AFTER_STALE = register("finalize.after_stale")
AFTER_SUMMARY = register("finalize.after_summary")
AFTER_CARD = register("finalize.after_card")
BEFORE_COMPLETED = register("finalize.before_completed")
AFTER_COMPLETED = register("finalize.after_completed")
INSIDE_COLLECT = register("finalize.inside_collect")

_THREADS = 16

Merge = Callable[[MergeSpec, Sequence[tuple[Kind, int]]], None]


def finalize(
    output: OutputFolder,
    job: JobFile,
    *,
    shard_mb: int,
    options: Mapping[str, Any],
    merge: Merge,
    earlier: Collection[str] = (),
    session_s: float = 0.0,
    run_id: str = "",
    still_held: Callable[[], bool] = lambda: True,
    results: Callable[[], list[str]] | None = None,
    sources: Sequence[InputFile] | None = None,
) -> dict[str, Any]:
    """Writes the dataset of a job whose units are all committed. Returns the summary.

    Args:
        output: The output folder.
        job: The frozen job.
        shard_mb: Maximum size of a shard, in megabytes.
        options: All options, for the card; a merge that hangs is noticed by `row_timeout_s`.
        merge: Merges the given shards, and returns when all are committed.
        earlier: Units that were committed before this run, excluded from its rates.
        session_s: Duration of this run's units together, in seconds.
        run_id: Name of this run.
        still_held: Whether this driver still holds the output's lock.
        results: Reckons what the published rows say, for the summary, the card and the report; one line each.
        sources: The files of the job's input, if the caller has just planned them; they are read otherwise.

    Raises:
        LedgerBroken: The sums of a ledger differ; nothing is published.
        EveryRowFailed: All rows ended in the same error of a stage; nothing is published.
        IncompleteJob: A unit has no commit.
        DamagedAttempt: A committed file is missing or damaged.
        ConfigError: Another driver took over.
    """
    job_dir = output.job
    totals, planner = Totals(), ShardPlanner(shard_mb * 1_000_000)
    for unit, commit in walk_commits(job_dir):
        totals.add(unit, commit, is_new=unit.unit_id not in earlier)
        planner.add(commit)
    totals.check()
    totals.check_some_row_ran()
    plan = planner.write(job_dir)
    failpoint(AFTER_PLAN)
    timeout_s = float(options.get("row_timeout_s", math.inf))
    spec = MergeSpec(job_dir=job_dir, plan_id=plan.plan_id, schema=job.final_schema, row_timeout_s=timeout_s)
    with _meanwhile(prepare_figures):  # this process has nothing else to do
        shards = _merge(spec, plan, merge)
    totals.check_shards(shards)
    carried = carry_over(output, job)
    failpoint(AFTER_MERGE)
    if not still_held():
        raise ConfigError(f"another driver took over {output} (--break_lock); this one stops without losing any work")
    shards, waiting = _with_files(output, spec, plan, shards)
    storage.remove(output.completed)
    _publish(output, plan, waiting)
    made = {plan.final_path(shard.kind, shard.index): shard for shard in shards if shard.rows}
    files = {path: shard.bytes for path, shard in made.items()}
    if carried is not None:
        carried.publish()
    failpoint(AFTER_PUBLISH)
    remove_stale(output, files)
    failpoint(AFTER_STALE)
    files_read = read_source_files(job_dir) if sources is None else list(sources)
    summary = summarize(
        job,
        totals,
        shards,
        read_input_files(job_dir) if carried is None else files_read,
        finished=utc_now(),
        session_s=session_s,
        run_id=run_id,
        engine=engine_figures(read_heartbeats(job_dir)),
    )
    if (pipeline := current_pipeline()) is not None:
        summary["pipeline"] = pipeline
    datasets = input_datasets(files_read)
    summary |= origins_of(job, datasets)
    carry_notice(output, job, datasets)
    if carried is not None:
        files |= carried.files
        summary = carried.summary(summary, files)
    write_matches(job_dir, totals.counts if carried is None else carried.matched(totals.counts))
    if results is not None:
        summary["results"] = results()
    # The rows of attempts are published, and to remove thousands of files may take a second.
    with _meanwhile(functools.partial(storage.remove_tree, job_dir.attempts)):
        _write_pages(output, job, summary, options, _report_figures(output, files, made, summary, options))
    # Before COMPLETED, since a complete output is not finalized again after a kill: no unredacted text stays behind
    # (a retry groups the input again), and no file that no commit names.
    for folder in (job_dir.grouped, *job_dir.only_while_units_run):
        storage.remove_tree(folder)
    _collect(job_dir, plan)
    sweep(output)
    if carried is not None:
        carried.finish(summary["finished"], files)
    failpoint(BEFORE_COMPLETED)
    done = {"finished": summary["finished"], "plan_id": plan.plan_id, "shard_mb": shard_mb, "shards": plan.shards}
    done |= {"files": files, "edition": output.edition}
    storage.write_bytes(output.completed, json.dumps({**done, "config_hash": job.config_hash}).encode())
    failpoint(AFTER_COMPLETED)
    return summary


def sweep(output: OutputFolder) -> None:
    """Removes the temporary files left by killed writers. Requires the output's lock and no running worker."""
    job_dir = output.job
    for folder in (output.path, job_dir.path, output.data, output.rejected):
        storage.remove_temporaries(folder)
    for name in storage.list_names(job_dir.path):
        # Attempts are by far the most folders, and their files have unique names from the start.
        if job_dir.join(name) != job_dir.attempts:
            storage.remove_temporaries(job_dir.join(name), below=True)


# --- merge and publish -----------------------------------------------------------------------------


def _merge(spec: MergeSpec, plan: ShardPlan, merge: Merge) -> list[ShardRecord]:
    """Merges the shards that aren't merged yet; returns all records, in order."""
    missing = [item for item in plan.items() if read_shard_record(spec, *item) is None]
    if missing:
        try:
            merge(spec, missing)
        except (ConfigError, DamagedAttempt):
            raise
        except Exception:
            # A remote runner returns an error as text only, so the fault of a unit's file is determined here.
            _check_attempts(spec)
            raise
    records = [read_shard_record(spec, *item) for item in plan.items()]
    assert all(records), "a shard has no commit though its merge has ended"
    return [record for record in records if record is not None]


def _check_attempts(spec: MergeSpec) -> None:
    """Raises DamagedAttempt for the first unit whose rows aren't those that it committed."""
    stored = StoredRows(spec.job_dir)
    for _, commit in walk_commits(spec.job_dir):
        if fault := stored.fault(commit, full=True):
            raise DamagedAttempt(fault)


def _with_files(
    output: OutputFolder, spec: MergeSpec, plan: ShardPlan, shards: Sequence[ShardRecord]
) -> tuple[list[ShardRecord], list[ShardRecord]]:
    """Returns all shards, and those that wait to be published. A merge that is gone, unpublished, is made again."""

    def look(record: ShardRecord) -> tuple[ShardRecord, bool]:
        if not record.rows:
            return record, False
        if record.path and storage.exists(spec.job_dir.join(record.path)):
            return record, True
        final = output.join(plan.final_path(record.kind, record.index))
        if storage.exists(final) and storage.sha256_of(final) == record.sha256:
            return record, False  # published by an earlier finalizer, which has deleted its own files
        return merge_again(spec, record.kind, record.index), True

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="look-at-shards") as pool:
        found = list(pool.map(look, shards))
    return [record for record, _ in found], [record for record, waits in found if waits]


def _publish(output: OutputFolder, plan: ShardPlan, shards: Sequence[ShardRecord]) -> None:
    def publish_one(record: ShardRecord) -> None:
        storage.publish(output.job.join(record.path), output.join(plan.final_path(record.kind, record.index)))
        failpoint(AFTER_FIRST_PUBLISHED)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="publish") as pool:
        list(pool.map(publish_one, shards))


def _report_figures(
    output: OutputFolder,
    files: Collection[str],
    made: Mapping[str, ShardRecord],
    summary: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Figures:
    """What the report shows of the rows of all shards; those that this edition didn't make are looked up."""

    def rows_of(path: str) -> tuple[str, int]:
        where = output.join(path)
        return where, made[path].rows if path in made else count_rows(where)

    def rows_in(folder: str) -> Rows:
        return Rows(list(pool.map(rows_of, sorted(path for path in files if path.startswith(f"{folder}/")))))

    has_answers = bool(options.get("rejected_answers"))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="look-up") as pool:
        kept, rejected = rows_in(DATA), rows_in(REJECTED) if has_answers else Rows([])
    return read_figures(kept, rejected, summary["columns"], has_answers=has_answers)


def _write_pages(
    output: OutputFolder, job: JobFile, summary: Mapping[str, Any], options: Mapping[str, Any], figures: Figures
) -> None:
    storage.write_bytes(output.summary, summary_text(summary))
    failpoint(AFTER_SUMMARY)
    card = dataset_card(summary, job.final_schema, options)
    storage.write_bytes(output.card, card.encode())
    failpoint(AFTER_CARD)
    storage.write_bytes(output.report, html_report(summary, figures).encode())


# --- collect ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _meanwhile(task: Callable[[], object]) -> Iterator[None]:
    """Does something while the block runs, and waits for it; if it fails, whoever does it again tells why."""
    with ThreadPoolExecutor(1, thread_name_prefix="meanwhile") as pool:
        pool.submit(task)
        yield


def _collect(job_dir: JobFolder, plan: ShardPlan) -> None:
    """Deletes all attempts, published merges, plans of other shard sizes, and start records of killed workers.

    The current plan stays with its shards' commits: by them the rows of a unit are found in the published shards
    (`StoredRows`).
    """
    commits = (commit for _, commit in walk_commits(job_dir))
    rows = {job_dir.rows_of(commit.unit_id, commit.attempt_id).rpartition("/")[2] for commit in commits}
    storage.remove_tree(job_dir.attempts)
    failpoint(INSIDE_COLLECT)
    _remove_others(job_dir.rows, rows)
    for session in storage.list_names(job_dir.open_starts):
        _remove_others(job_dir.open_starts_of(session), set())
    for plan_id in storage.list_names(job_dir.shards):
        folder = job_dir.shard(plan_id)
        names = storage.list_names(folder)
        kept = {f"{kind}.parquet" for kind in KINDS} | {name for name in names if name.endswith(".json")}
        _remove_others(folder, kept if plan_id == plan.plan_id else set())


def _remove_others(folder: str, kept: Collection[str]) -> None:
    for name in storage.list_names(folder):
        if name not in kept:
            storage.remove(storage.join(folder, name))
