"""Makes one edition of an output: from its frozen plan to its published files; only under the output's lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from jobs.driver.progress import follow_job
from jobs.driver.resume import retry_failed, take_stock, void_damaged
from jobs.driver.setup import JobSetup
from jobs.errors import DamagedAttempt
from jobs.execution.processes import units_in_flight
from jobs.execution.supervisor import uncommitted
from jobs.execution.worker import RunSpec
from jobs.finalize.finalize import finalize
from jobs.growth.rows import identity_map
from jobs.ledger.commits import commit_failed, list_commits, new_attempt_id
from jobs.options import GrowOptions, all_options
from jobs.plan.footers import InputFile
from jobs.plan.freezing import PlannedJob, freeze
from jobs.plan.job_file import JobFile, changed_versions
from jobs.plan.units import NO_ROW_GROUP, read_input_files, read_plan
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from jobs.terminal.wording import counted

AFTER_BAD_FILES = register("plan.after_bad_files")


class EditionRun:
    """The making of one edition, in one run of the job.

    Args:
        setup: What the job is run with.
        output: The output folder, with the edition that is made.
    """

    def __init__(self, setup: JobSetup, output: OutputFolder):
        self.setup = setup
        self.output = output

    def begin(self, planned: PlannedJob) -> JobFile:
        """Freezes the plan; returns the job."""
        job = freeze(planned, self.setup.job_name, self.setup.options, self.setup.work.checkpoint_sha256)
        totals = job.totals
        self.setup.note(
            f"plan: {counted(totals['files'], 'file')}, {counted(totals['rows'], 'row')}, "
            f"{totals['bytes'] / 1e6:,.1f} MB in {counted(totals['units'], 'unit')}; "
            f"column layout {planned.inputs.columns.preset}"
        )
        return job

    def take_stock(self, job: JobFile) -> set[str]:
        """Checks the plan and commits of a resumed job; returns the ids of the committed units."""
        for line in changed_versions(job):
            self.setup.say(f"note: {line}; rows produced from now on may differ from those already committed")
        committed = take_stock(self.output, job, self.setup.say)
        if self.setup.options.retry_failed:
            restore = self.setup.restore
            prepare = None if restore is None else lambda: restore(self.setup.runner)
            committed -= retry_failed(self.output, self.setup.say, prepare)
        self.setup.note(f"resuming: {len(committed):,} of {counted(job.totals['units'], 'unit')} committed")
        return committed

    def complete(
        self,
        job: JobFile,
        earlier: set[str],
        still_held: Callable[[], bool],
        sources: Sequence[InputFile] | None = None,
    ) -> dict[str, Any]:
        """Runs the units that are left, and finalizes the output; returns the summary.

        Args:
            job: The job.
            earlier: Units that were committed before this run.
            still_held: Whether this driver still holds the output's lock.
            sources: The files of the input, if they were planned just now.
        """
        self.setup.monitor.planned(**job.totals, units_committed=len(earlier))
        self._fail_bad_files(job)
        session_s = self._run_units(job)
        return self._finalize(job, earlier, session_s, still_held, sources)

    def _fail_bad_files(self, job: JobFile) -> None:
        """Commits each bad file's unit as failed and reports it."""
        if not job.totals["bad_files"]:
            return
        bad = {file.uri: file for file in read_input_files(self.output.job) if file.state == "bad"}
        committed = list_commits(self.output.job)
        for unit in read_plan(self.output.job):
            if unit.row_group == NO_ROW_GROUP and unit.unit_id not in committed:
                file = bad[unit.uri]
                self.setup.say(f"bad file {unit.uri}: {file.reason}: {file.detail}")
                commit_failed(
                    self.output.job, unit, new_attempt_id(), file.reason, file.detail, config_hash=job.config_hash
                )
        failpoint(AFTER_BAD_FILES)

    def _run_units(self, job: JobFile) -> float:
        """Runs the uncommitted units; returns the duration in seconds."""
        began = time.monotonic()
        spec = RunSpec(
            job_dir=self.output.job,
            config_hash=job.config_hash,
            schema=job.read_schema,
            identified_by=identity_map(job, job.column_map) if isinstance(self.setup.options, GrowOptions) else None,
            max_units_in_flight=units_in_flight(
                self.setup.options,
                self.setup.work,
                self.setup.processes,
                units=job.totals["units"],
                num_bytes=job.totals["bytes"],
                is_shared=not self.setup.is_here or self.setup.options.run_units != "here",
            ),
            max_bytes_in_flight=self.setup.processes.max_bytes_in_flight,
            run_id=self.setup.monitor.facts.run_id,
        )
        if self.setup.restore is not None and uncommitted(spec):
            self.setup.restore(self.setup.runner)
        self.setup.runner.invite(spec, self.setup.orders, self.setup.options)
        with follow_job(
            self.output.job,
            units_total=job.totals["units"],
            rows_total=job.totals["rows"],
            mode=self.setup.options.shown_progress,
            tell=self.setup.monitor.progress,
        ):
            self.setup.runner.run_units(spec, self.setup.orders)
        return time.monotonic() - began

    def _finalize(
        self,
        job: JobFile,
        earlier: set[str],
        session_s: float,
        still_held: Any,
        sources: Sequence[InputFile] | None,
    ) -> dict[str, Any]:
        """Builds the dataset. Units whose files turn out to be damaged run once more."""

        def once() -> dict[str, Any]:
            return finalize(
                self.output,
                job,
                shard_mb=self.setup.options.shard_mb,
                options=all_options(self.setup.options),
                merge=self.setup.runner.merge,
                earlier=earlier,
                session_s=session_s,
                run_id=self.setup.monitor.facts.run_id,
                still_held=still_held,
                results=self.setup.results,
                sources=sources,
            )

        try:
            return once()
        except DamagedAttempt:
            earlier -= void_damaged(self.output, self.setup.say)
        session_s += self._run_units(job)
        return once()
