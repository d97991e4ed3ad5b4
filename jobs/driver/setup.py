"""What a job is run with, from the command's start to its end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobs.driver.runners import Runner, runner_for
from jobs.execution.orders import Orders
from jobs.execution.processes import Processes, processes_of
from jobs.growth.again import Dependents
from jobs.growth.present import Rows
from jobs.monitoring.run import Run
from jobs.options import CommonOptions, GrowOptions, all_options
from jobs.plan.inputs import Inputs
from jobs.storage.folders import OutputFolder
from jobs.terminal.escapes import keep_line, print_line
from transforms.work import Work

Regroup = Callable[[Runner, OutputFolder, Inputs, Rows, frozenset[int]], str | None]


@dataclass(frozen=True, kw_only=True)
class JobSetup:
    """The job, its options and work, and what runs them.

    Args:
        monitor: The run, as schedulers and monitors see it.
        job_name: The module under `jobs` that rebuilds the work in a worker.
        options: The job's options.
        work: The job's work.
        processes: The worker processes.
        runner: Runs the units.
        is_here: Whether this machine runs them, and not Beam.
        restore: Makes files that the units read again if they are gone; called before units run.
        results: Reckons what the published rows say (`jobs.finalize.finalize`).
        dependents: Which rows must be decided again when others leave a dataset that grows, or are new.
        regroup: Prepares files for a further edition, whose units read them, from rows of the input; returns their
            folder, or None if there are no rows.
    """

    monitor: Run
    job_name: str
    options: CommonOptions
    work: Work
    processes: Processes
    runner: Runner
    is_here: bool
    restore: Callable[[Runner], None] | None
    results: Callable[[], list[str]] | None
    dependents: Dependents | None
    regroup: Regroup | None

    @classmethod
    def of(
        cls,
        monitor: Run,
        job_name: str,
        options: CommonOptions,
        beam_args: Sequence[str],
        work: Work,
        *,
        restore: Callable[[Runner], None] | None,
        results: Callable[[], list[str]] | None,
        dependents: Dependents | None,
        regroup: Regroup | None,
    ) -> JobSetup:
        """The setup with the runner and the processes that the options ask for; `beam_args` are Beam's own flags."""
        is_here = not beam_args
        processes = processes_of(options, work, is_here=is_here)
        return cls(
            monitor=monitor,
            job_name=job_name,
            options=options,
            work=work,
            processes=processes,
            runner=runner_for(
                list(beam_args),
                processes,
                options.run_units,
                options.claim_timeout_s,
                lambda line: say(job_name, line),
            ),
            is_here=is_here,
            restore=restore,
            results=results,
            dependents=dependents,
            regroup=regroup,
        )

    @property
    def grows(self) -> bool:
        """Whether what is new in the input is to be taken in."""
        return isinstance(self.options, GrowOptions) and self.options.grow

    @property
    def orders(self) -> Orders:
        """How a worker makes the work."""
        return Orders(
            job_name=self.job_name,
            options=all_options(self.options),
            checkpoint_sha256=self.work.checkpoint_sha256,
            row_timeout_s=self.options.row_timeout_s,
            opens_first=self.work.opens_first,
        )

    def note(self, line: str) -> None:
        """Says what goes as it should."""
        if self.options.quiet:
            keep_line(f"codemill {self.job_name}: {line}")
        else:
            self.say(line)

    def say(self, line: str) -> None:
        """Says what a user must know."""
        say(self.job_name, line)


def say(job_name: str, line: str) -> None:
    """Prints a job's line to standard error."""
    print_line(f"codemill {job_name}: {line}", sys.stderr)
