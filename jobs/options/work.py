"""The options of `codemill work`."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.options.fields import OptionSet, option
from jobs.options.shared import HostOptions


@dataclass(frozen=True, kw_only=True)
class WorkOptions(HostOptions, OptionSet):
    """Help with a job that a driver has planned with --run_units shared or elsewhere, until no unit is left."""

    output: str = option(
        help="The job's output folder, as the driver names it; local or gs://.",
        positional=True,
        operational=True,
        metavar="OUTPUT",
        is_path=True,
    )
    wait_s: float = option(
        300.0,
        help="How long to wait for a driver that has not planned the job yet.",
        operational=True,
        minimum=0,
        metavar="SECONDS",
    )
    stay: bool = option(
        False,
        help="Stay until the driver has finished the output, in case units must run again; otherwise leave when every "
        "unit is committed.",
        operational=True,
    )
    name: str | None = option(
        None,
        help="Name of this host in the driver's messages; default: the host's name, with the task's number in a Slurm "
        "array or an indexed Kubernetes job.",
        operational=True,
    )
