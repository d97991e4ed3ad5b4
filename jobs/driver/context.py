"""The grouping that runs before the units of a job whose prompts show other files of the repository."""

from __future__ import annotations

from typing import Any

from jobs import storage
from jobs.driver.runners import Runner
from jobs.execution.processes import processes_of
from jobs.grouping.looking_up import group_for_lookup, output_of, restore_for_lookup
from jobs.grouping.reading import GroupSettings, Outcome
from jobs.ledger.lock import acquire
from jobs.options import GenerationOptions
from jobs.plan.freezing import column_overrides
from jobs.plan.job_file import check_output
from transforms.generation.work import GenerationWork


def context_hooks(options: GenerationOptions, work: GenerationWork) -> dict[str, Any]:
    """What `run_job` calls to group the input, and to group it again for units that remain.

    Args:
        options: The job's options.
        work: Its work.
    """
    output = output_of(options.output)
    settings = GroupSettings(
        limits=work.limits, workers=processes_of(options, work).workers, row_timeout_s=options.row_timeout_s
    )
    asked: dict[str, Any] = {"overrides": column_overrides(options), "limit": options.limit, "settings": settings}

    def group(runner: Runner) -> None:
        check_output(output, work.task.name)
        storage.make_job_folder(output.job.path, shared=options.share_job_folder)

        def spread(*arguments: Any) -> Outcome:
            with acquire(output.job, break_lock=options.break_lock):
                runner.end_orphan(output.job)
                return runner.group(*arguments)

        group_for_lookup(options.input, output.job, spread=spread, read=runner.read_footers, **asked)

    def restore(runner: Runner) -> None:
        restore_for_lookup(options.input, output.job, spread=runner.group, **asked)

    return {"reads": group, "restore": restore}
