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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jobs import storage
from jobs.beam.dataflow import check_paths, is_dataflow
from jobs.driver.edition import EditionRun
from jobs.driver.ending import Ending
from jobs.driver.resume import reopen
from jobs.driver.runners import Runner
from jobs.driver.setup import JobSetup, Regroup
from jobs.errors import ReportedBug
from jobs.execution.orders import around
from jobs.execution.sample import Sample
from jobs.finalize.finalize import sweep
from jobs.finalize.rewriting import FINISHED, finish_pending
from jobs.growth.again import Dependents
from jobs.growth.editions import discard, is_of_edition, newest
from jobs.growth.planning import (
    Growth,
    MakeRegrouped,
    changed_for_growth,
    freeze_growth,
    growth_line,
    may_change,
    may_change_when_finished,
    plan_growth,
)
from jobs.growth.present import Rows
from jobs.ledger.completed import has_pending, missing_files, read_completed
from jobs.ledger.lock import Lock, acquire
from jobs.monitoring.run import Run, monitored, with_run_id
from jobs.monitoring.summaries import keep_failure
from jobs.options import CommonOptions, all_options
from jobs.plan.freezing import PlannedJob, plan_inputs, plan_job
from jobs.plan.inputs import Inputs
from jobs.plan.job_file import JobFile, check_output, check_resume, read_job
from jobs.plan.opt_out import freeze_opt_out
from jobs.plan.schemas import schema_from_text
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from jobs.system.exit_codes import BUG, DONE
from jobs.system.signals import how_it_ended, signals_raised
from jobs.terminal.escapes import print_line
from model.errors import ConfigError
from transforms.spool import scratch_for_process
from transforms.work import Unit, Work

AFTER_LOCK = register("plan.after_lock")


def run_job(
    job_name: str,
    options: CommonOptions,
    beam_args: Sequence[str],
    work: Work,
    *,
    reads: Callable[[Runner], str | None] | None = None,
    restore: Callable[[Runner], None] | None = None,
    results: Callable[[], list[str]] | None = None,
    dependents: Dependents | None = None,
    regroup: Regroup | None = None,
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
            units read them instead of the input; if it is None, they read the input.
        restore: Makes these files again if they are gone; called before units run.
        results: Reckons what the published rows say (`jobs.finalize.finalize`).
        dependents: Which rows must be decided again when others leave a dataset that grows, or are new.
        regroup: Prepares files from rows of the input for a further edition, as `reads` does for the first one, given
            the repositories that have changed; returns their folder, or None if there are no rows.

    Raises:
        ConfigError: The set-up can't work (exit code 2); the one-line message says why.
    """
    options = with_run_id(freeze_opt_out(dataclasses.replace(options, output=_normal(options.output))))
    work = around(job_name, work, all_options(options))
    if is_dataflow(beam_args):
        check_paths(options)
    with monitored(job_name, options) as run:
        hooks: dict[str, Any] = {"restore": restore, "results": results, "dependents": dependents, "regroup": regroup}
        setup = JobSetup.of(run, job_name, options, beam_args, work, **hooks)
        return _run(run, _Driver(setup, reads))


def _run(run: Run, driver: _Driver) -> int:
    prog = f"codemill {driver.setup.job_name}"
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
        if (told := _as_told(error)) is error:
            raise
        raise told from error


def _as_told(error: BaseException) -> BaseException:
    """The error that the user is told: that of a storage which doesn't respond is no bug."""
    return ConfigError(storage.unanswered_line(error)) if storage.is_unanswered(error) else error


def _normal(output: str) -> str:
    """Returns the output's path; a local one becomes absolute, so that workers in other folders find it."""
    return os.path.abspath(output.removeprefix("file://")) if storage.is_local(output) else output.rstrip("/")


class _Driver:
    """One run of a job: finds what is there already, and decides what to plan, complete or grow.

    Args:
        setup: What the job is run with.
        prepare_input: Prepares files from the job's input, and returns their folder.
    """

    def __init__(self, setup: JobSetup, prepare_input: Callable[[Runner], str | None] | None):
        self.setup = setup
        self.options = setup.options
        self.work = setup.work
        self.runner = setup.runner
        self.prepare_input = prepare_input
        self.reads: str | None = None
        self.is_prepared = False
        self.was_begun = False
        self.was_complete = False
        self.output = OutputFolder(setup.options.output)

    @property
    def edition(self) -> EditionRun:
        """The edition that is being made."""
        return EditionRun(self.setup, self.output)

    def run(self) -> int:
        """Plans or resumes the job, runs its units, and finalizes the output; with `--grow`, again for what is new."""
        summary, is_planned = self._complete()
        grown = self._grow() if self.setup.grows and not is_planned else None
        if grown is None and self.was_complete:
            self.setup.note(f"{self.output} has been complete since {summary['finished']}; nothing to do")
        return self._close(grown or summary)

    def _complete(self) -> tuple[dict[str, Any], bool]:
        """Completes the newest edition; returns the summary, and whether all of it was planned just now."""
        planned = None
        missing: list[str] = []
        if self.prepare_input is not None:
            self._prepare_runner()
            self.reads = self.prepare_input(self.runner)
        found = check_output(self.output, self.setup.job_name)
        self.was_begun = found is not None
        if has_pending(self.output):
            with acquire(self.output.job, break_lock=self.options.break_lock):
                finish_pending(self.output)
            self.setup.say(FINISHED.format(self.output))
        if found is None:
            self._prepare_runner()
            # Before the lock: a plan that is refused leaves nothing behind.
            planned = self.plan()
        else:
            self.output = newest(self.output)
            found = read_job(self.output) or found
            if self.setup.grows and self._discards(found):
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
                keep_failure(self.output, self.setup.monitor.failure(_as_told(error)))
            raise

    def _grow(self) -> dict[str, Any] | None:
        """Makes the edition that follows a complete one; returns its summary, or None if nothing is new."""
        base = self.output
        with acquire(base.first_job, break_lock=self.options.break_lock) as lock:
            self._refuse_pending()
            job = read_job(base)
            if job is None or newest(base) != base or not is_of_edition(read_completed(base), base):
                raise ConfigError(f"another driver has changed {base} in the meantime; run the same command again")
            growth = self._plan_growth(base, job, self._regrouped if self.setup.regroup is not None else None)
            if growth is None:
                return None
            self._prepare_runner()
            self.output = growth.output
            job = freeze_growth(growth, self.setup.job_name, self.options, self.work.checkpoint_sha256)
            self.setup.note(f"edition {self.output.edition}: {growth_line(growth.news)}")
            return self.edition.complete(job, set(), lock.still_held, growth.sources)

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
                self.setup.say(f"edition {self.output.edition} was planned with another input or other opt-outs: anew")
                discard(self.output)
        return is_discarded

    def _regrouped(self, output: OutputFolder, inputs: Inputs, rows: Rows, touched: frozenset[int]) -> PlannedJob:
        """The plan of a further edition whose units read files that are made of some rows of the input."""
        assert self.setup.regroup is not None
        self._prepare_runner()
        self.reads = self.setup.regroup(self.runner, output, inputs, rows, touched)
        if self.reads is not None:
            return self.plan()
        job = read_job(output.of_edition(output.edition - 1))
        assert job is not None
        nothing = Inputs((), {}, schema_from_text(job.input_schema), job.column_map)
        return plan_inputs(nothing, self.options, self.work)

    def _plan_growth(
        self,
        base: OutputFolder,
        job: JobFile,
        regroup: MakeRegrouped | None = None,
    ) -> Growth | None:
        return plan_growth(
            base,
            job,
            self.options,
            all_options(self.options),
            self.work,
            self.setup.say,
            self.runner.read_footers,
            self.setup.dependents,
            regroup,
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
            self.setup.say(f"{self.output} was complete but is now missing {', '.join(missing)}: rebuilding it")
            reopen(self.output, missing)
        earlier: set[str] = set()
        if job is None:
            job = self.edition.begin(planned or self.plan())
        else:
            earlier = self.edition.take_stock(job)
        return self.edition.complete(job, earlier, still_held)

    def dry_run(self) -> int:
        """Prints the plan and an estimate from a sample; returns the exit code."""
        self.runner.prepare(self.setup.orders)
        planned = self._planned_growth() if self.setup.grows else self.plan()
        if planned is None:
            self.setup.note(f"{self.output} has all that is in the input; nothing to do")
            return DONE

        def sample(units: Sequence[Unit]) -> Sample:
            return self.runner.sample(self.setup.orders, units, planned.read_schema)

        # With its estimates it imports what most runs of most jobs don't need.
        code: int = importlib.import_module("jobs.driver.dry_run").dry_run(self.options, planned, sample)
        return code

    def _prepare_runner(self) -> None:
        if not self.is_prepared:
            self.runner.prepare(self.setup.orders)
        self.is_prepared = True

    def _planned_growth(self) -> PlannedJob | None:
        """What a further edition would make; of an output that isn't complete, what is planned anyway."""
        base = newest(self.output)
        job = None if check_output(self.output, self.setup.job_name) is None else read_job(base)
        if job is None or not is_of_edition(read_completed(base), base):
            return self.plan()
        self.output = base
        self._check_resume(job, is_finished=True)
        growth = self._plan_growth(base, job)
        if growth is None:
            return None
        self.setup.note(f"edition {growth.output.edition}: {growth_line(growth.news)}")
        return growth.planned

    def _found(self) -> JobFile | None:
        """Returns the job to resume, if any.

        Raises:
            ConfigError: The output belongs to another job, or this job was started with another schema version or with
                other values of options that affect the output.
        """
        found = check_output(self.output, self.setup.job_name) and read_job(newest(self.output))
        if found is not None:
            self._check_resume(found)
        return found

    def _check_resume(self, found: JobFile, *, is_finished: bool = False) -> None:
        may_differ: tuple[str, ...] = ()
        if is_finished:
            allowed = may_change if self.setup.grows else may_change_when_finished
            may_differ = allowed(found, self.options)
        check_resume(
            found,
            self.output,
            self.options,
            self.work.checkpoint_sha256,
            is_finished=is_finished,
            may_change=may_differ,
        )

    def _is_as_asked(self, done: Mapping[str, Any]) -> bool:
        """Whether a complete output has the requested shard size, and no failed units must be retried."""
        return done.get("shard_mb") == self.options.shard_mb and not self.options.retry_failed

    def plan(self) -> PlannedJob:
        """Reads the inputs' footers and splits the inputs into units; writes nothing."""
        if self.reads is None:
            return plan_job(self.options, self.work, self.setup.say, self.runner.read_footers)
        options = dataclasses.replace(
            self.options,
            input=(self.reads,),
            limit=None,
            content_column=None,
            path_column=None,
            repo_column=None,
            language_column=None,
        )
        return plan_job(options, self.work, self.setup.say, self.runner.read_footers)

    def _close(self, summary: dict[str, Any]) -> int:
        ending = Ending(self.output, self.options, self.was_begun, self.setup.say, self.setup.note)
        return ending.tell(summary, self.setup.monitor)
