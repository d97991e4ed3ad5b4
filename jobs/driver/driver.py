"""Runs a job from end to end: plan or resume, lock, units, finalize, and the exit code.

    check the output -> plan (or read the existing plan) -> lock -> job.json -> run units -> finalize -> release

Everything that can be refused is refused before anything is written. Whatever happens afterward (a kill, a full disk,
Ctrl-C), running the same command again resumes from the committed units.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jobs import storage
from jobs.beam.dataflow import check_paths, is_dataflow
from jobs.driver.ending import Ending
from jobs.driver.progress import follow_job
from jobs.driver.resume import reopen, retry_failed, take_stock, void_damaged
from jobs.driver.runners import Runner, runner_for
from jobs.errors import DamagedAttempt, ReportedBug
from jobs.execution.orders import Orders
from jobs.execution.processes import processes_of, units_in_flight
from jobs.execution.sample import Sample
from jobs.execution.supervisor import uncommitted
from jobs.execution.worker import RunSpec
from jobs.finalize.finalize import finalize, sweep
from jobs.finalize.rewriting import finish_pending
from jobs.growth.editions import discard, is_of_edition, newest
from jobs.growth.planning import MAY_CHANGE, Growth, changed_for_growth, freeze_growth, growth_line, plan_growth
from jobs.ledger.commits import commit_failed, list_commits, new_attempt_id
from jobs.ledger.completed import has_pending, missing_files, read_completed
from jobs.ledger.lock import Lock, acquire
from jobs.monitoring.run import Run, monitored, with_run_id
from jobs.monitoring.summaries import keep_failure
from jobs.options import CommonOptions, GrowOptions, all_options
from jobs.plan.freezing import PlannedJob, freeze, plan_job
from jobs.plan.job_file import JobFile, changed_versions, check_output, check_resume, read_job
from jobs.plan.opt_out import freeze_opt_out, without_opted_out
from jobs.plan.units import NO_ROW_GROUP, read_input_files, read_plan
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from jobs.system.exit_codes import BUG, DONE
from jobs.system.signals import how_it_ended, signals_raised
from jobs.terminal.escapes import keep_line, print_line
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.spool import scratch_for_process
from transforms.work import Unit, Work

AFTER_LOCK = register("plan.after_lock")
AFTER_BAD_FILES = register("plan.after_bad_files")


def run_job(
    job_name: str,
    options: CommonOptions,
    beam_args: Sequence[str],
    work: Work,
    *,
    reads: Callable[[Runner], str] | None = None,
    restore: Callable[[Runner], None] | None = None,
    results: Callable[[], list[str]] | None = None,
) -> int:
    """Runs a job and returns its exit code: 0 done, 1 a bug, 2 opt-out lists that must match and don't, 3 finished with
    failed units, damaged input or too many errors of its own stages, 5 fewer rows kept than asked for, 4 done, but the
    input is another one since it was planned, 128 + n after signal n. Of several, the first.

    Args:
        job_name: The module under `jobs` whose `build_work(all_options(options))` rebuilds `work` in the worker.
        options: The job's options.
        beam_args: Beam's own flags.
        work: The job's work; opened here only for the sample of a dry run.
        reads: Prepares files from the job's input, with the columns that `work` names, and returns their folder. The
            units read them instead of the input.
        restore: Makes these files again if they are gone; called before units run.
        results: Reckons what the published rows say (`jobs.finalize.finalize`).

    Raises:
        ConfigError: The set-up can't work (exit code 2); the one-line message says why.
    """
    options = with_run_id(freeze_opt_out(dataclasses.replace(options, output=_normal(options.output))))
    work = without_opted_out(work, all_options(options))
    if is_dataflow(beam_args):
        check_paths(options)
    with monitored(job_name, options) as run:
        return _run(run, _Driver(run, job_name, options, list(beam_args), work, reads, restore, results))


def _run(run: Run, driver: _Driver) -> int:
    prog = f"codemill {driver.job_name}"
    try:
        with signals_raised(), scratch_for_process():
            try:
                return driver.dry_run() if driver.options.dry_run else driver.run()
            finally:
                driver.runner.close()
    except KeyboardInterrupt as interrupt:
        run.failed(interrupt)
        how, code = how_it_ended(interrupt)
        print_line(f"{prog}: {how}; committed work is kept; run the same command to resume", sys.stderr)
        return code
    except ReportedBug as error:
        run.failed(error)
        print_line(f"{prog}: {error.headline}: {error}", sys.stderr, level="error")
        return BUG
    except Exception as error:
        if not storage.is_unanswered(error):
            raise
        raise ConfigError(storage.unanswered_line(error)) from error


def _normal(output: str) -> str:
    """Returns the output's path; a local one becomes absolute, so that workers in other folders find it."""
    return os.path.abspath(output.removeprefix("file://")) if storage.is_local(output) else output.rstrip("/")


class _Driver:
    """One run of a job."""

    def __init__(
        self,
        run: Run,
        job_name: str,
        options: CommonOptions,
        beam_args: list[str],
        work: Work,
        prepare_input: Callable[[Runner], str] | None,
        restore: Callable[[Runner], None] | None,
        results: Callable[[], list[str]] | None,
    ):
        self.monitor = run
        self.job_name = job_name
        self.options = options
        self.beam_args = beam_args
        self.work = work
        self.processes = processes_of(options, work, is_here=not beam_args)
        self.runner = runner_for(beam_args, self.processes, options.run_units, options.claim_timeout_s, self._say)
        self.prepare_input = prepare_input
        self.reads: str | None = None
        self.is_prepared = False
        self.was_begun = False
        self.was_complete = False
        self.restore = restore
        self.results = results
        self.output = OutputFolder(options.output)

    def run(self) -> int:
        """Plans or resumes the job, runs its units, and finalizes the output; with `--grow`, again for what is new."""
        summary, is_planned = self._complete()
        grown = self._grow() if self.grows and not is_planned else None
        if grown is None and self.was_complete:
            self._note(f"{self.output} has been complete since {summary['finished']}; nothing to do")
        return self._close(grown or summary)

    def _complete(self) -> tuple[dict[str, Any], bool]:
        """Completes the newest edition; returns the summary, and whether all of it was planned just now."""
        planned = None
        missing: list[str] = []
        if self.prepare_input is not None:
            self._prepare_runner()
            self.reads = self.prepare_input(self.runner)
        found = check_output(self.output, self.job_name)
        self.was_begun = found is not None
        if has_pending(self.output):
            with acquire(self.output.job, break_lock=self.options.break_lock):
                finish_pending(self.output)
            self._say(f"{self.output}: finished a removal that was interrupted (codemill forget)")
        if found is None:
            self._prepare_runner()
            # Before the lock: a plan that is refused leaves nothing behind.
            planned = self.plan()
        else:
            self.output = newest(self.output)
            found = read_job(self.output) or found
            if self.grows and self._discards(found):
                self.output = self.output.of_edition(self.output.edition - 1)
                found = read_job(self.output) or found
            done = read_completed(self.output)
            if not is_of_edition(done, self.output):
                done = None  # of the edition before, which stays as it is until this one is published
            missing = [] if done is None else missing_files(self.output, done)
            is_finished = done is not None and not missing and self._is_as_asked(done)
            self._check_resume(found, is_finished=is_finished)
            if is_finished:
                self.was_complete = True
                kept: dict[str, Any] = json.loads(storage.read_bytes(self.output.summary))
                return kept, False
            self._prepare_runner()
        storage.make_job_folder(self.output.first_job.path, shared=self.options.share_job_folder)
        with acquire(self.output.first_job, break_lock=self.options.break_lock) as lock:
            failpoint(AFTER_LOCK)
            with self._failures_kept(lock):
                return self._run_locked(planned, missing, lock.still_held), found is None

    @contextlib.contextmanager
    def _failures_kept(self, lock: Lock) -> Iterator[None]:
        """Leaves the summary of a run that fails."""
        try:
            yield
        except BaseException as error:
            if lock.still_held():
                keep_failure(self.output, self.monitor.failure(error))
            raise

    @property
    def grows(self) -> bool:
        """Whether what is new in the input is to be taken in."""
        return isinstance(self.options, GrowOptions) and self.options.grow

    def _grow(self) -> dict[str, Any] | None:
        """Makes the edition that follows a complete one; returns its summary, or None if nothing is new."""
        base = self.output
        with acquire(base.first_job, break_lock=self.options.break_lock) as lock:
            self._refuse_pending()
            job = read_job(base)
            if job is None or newest(base) != base or not is_of_edition(read_completed(base), base):
                raise ConfigError(f"another driver has changed {base} in the meantime; run the same command again")
            growth = self._plan_growth(base, job)
            if growth is None:
                return None
            self._prepare_runner()
            self.output = growth.output
            job = freeze_growth(growth, self.job_name, self.options, self.work.checkpoint_sha256)
            self._note(f"edition {self.output.edition}: {growth_line(growth.news)}")
            return self._run_job(job, set(), lock.still_held)

    def _refuse_pending(self) -> None:
        """Refuses an output whose change was decided since this run looked at it, by a process that has ended."""
        if has_pending(self.output.of_edition(1)):
            raise ConfigError(f"codemill forget was interrupted in {self.output}; run the same command again")

    def _discards(self, job: JobFile) -> bool:
        """Discards an edition that was planned with another input or other opt-outs, and isn't published yet."""
        base = self.output.of_edition(self.output.edition - 1)
        if not (changed_for_growth(job, self.options) and is_of_edition(read_completed(base), base)):
            return False
        with acquire(base.first_job, break_lock=self.options.break_lock):
            if is_discarded := newest(base) == self.output and is_of_edition(read_completed(base), base):
                self._say(f"edition {self.output.edition} was planned with another input or other opt-outs: anew")
                discard(self.output)
        return is_discarded

    def _plan_growth(self, base: OutputFolder, job: JobFile) -> Growth | None:
        return plan_growth(
            base, job, self.options, all_options(self.options), self.work, self._say, self.runner.read_footers
        )

    def _run_locked(
        self, planned: PlannedJob | None, missing: list[str], still_held: Callable[[], bool]
    ) -> dict[str, Any]:
        """Does all that needs the output's lock; returns the summary."""
        self._refuse_pending()
        if self.runner.end_orphan(self.output.job):  # nobody else is writing
            sweep(self.output)
        job = self._found()
        if missing:
            self._say(f"{self.output} was complete but is now missing {', '.join(missing)}: rebuilding it")
            reopen(self.output, missing)
        earlier: set[str] = set()
        if job is None:
            job = self._begin(planned or self.plan())
        else:
            earlier = self._take_stock(job)
        return self._run_job(job, earlier, still_held)

    def _run_job(self, job: JobFile, earlier: set[str], still_held: Callable[[], bool]) -> dict[str, Any]:
        """Runs the units that are left, and finalizes the output; returns the summary."""
        self.monitor.planned(**job.totals, units_committed=len(earlier))
        self._fail_bad_files(job)
        session_s = self._run_units(job)
        return self._finalize(job, earlier, session_s, still_held)

    def dry_run(self) -> int:
        """Prints the plan and an estimate from a sample; returns the exit code."""
        self.runner.prepare(self._orders())
        planned = self._planned_growth() if self.grows else self.plan()
        if planned is None:
            self._note(f"{self.output} has all that is in the input; nothing to do")
            return DONE

        def sample(units: Sequence[Unit]) -> Sample:
            return self.runner.sample(self._orders(), units, planned.read_schema)

        # With its estimates it imports what most runs of most jobs don't need.
        code: int = importlib.import_module("jobs.driver.dry_run").dry_run(self.options, planned, sample)
        return code

    def _prepare_runner(self) -> None:
        if not self.is_prepared:
            self.runner.prepare(self._orders())
        self.is_prepared = True

    def _orders(self) -> Orders:
        return Orders(
            job_name=self.job_name,
            options=all_options(self.options),
            checkpoint_sha256=self.work.checkpoint_sha256,
            row_timeout_s=self.options.row_timeout_s,
            opens_first=self.work.opens_first,
        )

    def _planned_growth(self) -> PlannedJob | None:
        """What a further edition would make; of an output that isn't complete, what is planned anyway."""
        base = newest(self.output)
        job = None if check_output(self.output, self.job_name) is None else read_job(base)
        if job is None or not is_of_edition(read_completed(base), base):
            return self.plan()
        self.output = base
        self._check_resume(job, is_finished=True)
        growth = self._plan_growth(base, job)
        if growth is None:
            return None
        self._note(f"edition {growth.output.edition}: {growth_line(growth.news)}")
        return growth.planned

    def _found(self) -> JobFile | None:
        """Returns the job to resume, if any.

        Raises:
            ConfigError: The output belongs to another job, or this job was started with another schema version or with
                other values of options that affect the output.
        """
        found = check_output(self.output, self.job_name) and read_job(newest(self.output))
        if found is not None:
            self._check_resume(found)
        return found

    def _check_resume(self, found: JobFile, *, is_finished: bool = False) -> None:
        check_resume(
            found,
            self.output,
            self.options,
            self.work.checkpoint_sha256,
            is_finished=is_finished,
            may_change=MAY_CHANGE if self.grows and is_finished else (),
        )

    def _is_as_asked(self, done: Mapping[str, Any]) -> bool:
        """Whether a complete output has the requested shard size, and no failed units must be retried."""
        return done.get("shard_mb") == self.options.shard_mb and not self.options.retry_failed

    # --- plan ------------------------------------------------------------------------------------

    def plan(self) -> PlannedJob:
        """Reads the inputs' footers and splits the inputs into units; writes nothing."""
        if self.reads is None:
            return plan_job(self.options, self.work, self._say, self.runner.read_footers)
        options = dataclasses.replace(
            self.options,
            input=(self.reads,),
            limit=None,
            content_column=None,
            path_column=None,
            repo_column=None,
            language_column=None,
        )
        return plan_job(options, self.work, self._say, self.runner.read_footers)

    def _begin(self, planned: PlannedJob) -> JobFile:
        job = freeze(planned, self.job_name, self.options, self.work.checkpoint_sha256)
        totals = job.totals
        self._note(
            f"plan: {counted(totals['files'], 'file')}, {counted(totals['rows'], 'row')}, "
            f"{totals['bytes'] / 1e6:,.1f} MB in {counted(totals['units'], 'unit')}; "
            f"column layout {planned.inputs.columns.preset}"
        )
        return job

    def _fail_bad_files(self, job: JobFile) -> None:
        """Commits each bad file's unit as failed and reports it."""
        if not job.totals["bad_files"]:
            return
        bad = {file.uri: file for file in read_input_files(self.output.job) if file.state == "bad"}
        committed = list_commits(self.output.job)
        for unit in read_plan(self.output.job):
            if unit.row_group == NO_ROW_GROUP and unit.unit_id not in committed:
                file = bad[unit.uri]
                self._say(f"bad file {unit.uri}: {file.reason}: {file.detail}")
                commit_failed(
                    self.output.job, unit, new_attempt_id(), file.reason, file.detail, config_hash=job.config_hash
                )
        failpoint(AFTER_BAD_FILES)

    def _take_stock(self, job: JobFile) -> set[str]:
        """Checks the plan and commits of a resumed job; returns the ids of the committed units."""
        for line in changed_versions(job):
            self._say(f"note: {line}; rows produced from now on may differ from those already committed")
        committed = take_stock(self.output, job, self._say)
        if self.options.retry_failed:
            restore = self.restore
            prepare = None if restore is None else lambda: restore(self.runner)
            committed -= retry_failed(self.output, self._say, prepare)
        self._note(f"resuming: {len(committed):,} of {counted(job.totals['units'], 'unit')} committed")
        return committed

    # --- run and finalize ------------------------------------------------------------------------

    def _run_units(self, job: JobFile) -> float:
        """Runs the uncommitted units; returns the duration in seconds."""
        began = time.monotonic()
        spec = RunSpec(
            job_dir=self.output.job,
            config_hash=job.config_hash,
            schema=job.read_schema,
            identified_by=job.column_map if isinstance(self.options, GrowOptions) else None,
            max_units_in_flight=units_in_flight(
                self.options,
                self.work,
                self.processes,
                units=job.totals["units"],
                num_bytes=job.totals["bytes"],
                is_shared=bool(self.beam_args) or self.options.run_units != "here",
            ),
            max_bytes_in_flight=self.processes.max_bytes_in_flight,
            run_id=self.monitor.facts.run_id,
        )
        if self.restore is not None and uncommitted(spec):
            self.restore(self.runner)
        self.runner.invite(spec, self._orders(), self.options)
        with follow_job(
            self.output.job,
            units_total=job.totals["units"],
            rows_total=job.totals["rows"],
            mode=self.options.shown_progress,
            tell=self.monitor.progress,
        ):
            self.runner.run_units(spec, self._orders())
        return time.monotonic() - began

    def _finalize(self, job: JobFile, earlier: set[str], session_s: float, still_held: Any) -> dict[str, Any]:
        """Builds the dataset. Units whose files turn out to be damaged run once more."""

        def once() -> dict[str, Any]:
            return finalize(
                self.output,
                job,
                shard_mb=self.options.shard_mb,
                options=all_options(self.options),
                merge=self.runner.merge,
                earlier=earlier,
                session_s=session_s,
                run_id=self.monitor.facts.run_id,
                still_held=still_held,
                results=self.results,
            )

        try:
            return once()
        except DamagedAttempt:
            earlier -= void_damaged(self.output, self._say)
        session_s += self._run_units(job)
        return once()

    # --- messages --------------------------------------------------------------------------------

    def _close(self, summary: dict[str, Any]) -> int:
        return Ending(self.output, self.options, self.was_begun, self._say, self._note).tell(summary, self.monitor)

    def _note(self, line: str) -> None:
        """Says what goes as it should."""
        if self.options.quiet:
            keep_line(f"codemill {self.job_name}: {line}")
        else:
            self._say(line)

    def _say(self, line: str) -> None:
        print_line(f"codemill {self.job_name}: {line}", sys.stderr)
