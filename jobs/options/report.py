"""Options about what a job tells: on the terminal, to schedulers and monitors, and when it is run again.

Imports neither Beam nor JAX.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import IO, Final, Literal

from jobs.options.fields import OptionSet, option

Progress = Literal["auto", "bar", "lines", "none"]
PRINTED: Final = "-"
"""The value of `--summary` with which it is all that standard output has."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(OptionSet):
    """What schedulers and monitors get from any job that takes long."""

    log_file: str | None = option(
        None,
        help="Also append what is printed to this file, with times.",
        operational=True,
        metavar="FILE",
        is_path=True,
    )
    log_format: Literal["text", "json"] = option(
        "text",
        help="json: print one JSON object a line to standard error: the plan, progress, messages, the end.",
        operational=True,
    )
    run_id: str | None = option(
        None,
        help="Name of this run in its log, summary, metrics and lineage events; default: a new UUID.",
        operational=True,
        metavar="ID",
    )
    summary: str | None = option(
        None,
        help="Also write summary.json, with the exit codes, to this local file, even if the job fails; - prints it "
        "instead of the last lines.",
        operational=True,
        metavar="FILE",
        is_path=True,
    )
    metrics: str | None = option(
        None,
        help="Keep metrics of the running job in this local file, as Prometheus's textfile collector reads them.",
        operational=True,
        metavar="FILE.prom",
        is_path=True,
    )

    @property
    def result_stream(self) -> IO[str] | None:
        """Where a job's last lines go: standard error if the summary has standard output, which None means."""
        return sys.stderr if self.summary == PRINTED else None


@dataclass(frozen=True, kw_only=True)
class ReportOptions(RunOptions):
    """What a job prints, and where that is kept."""

    progress: Progress = option(  # noqa: RUF009 - a field, as the others
        "auto", help="Progress bar, plain lines or nothing; auto: a bar in a terminal.", operational=True
    )
    quiet: bool = option(
        False,
        help="Print only errors, what could not be read and opt-out entries that matched nothing; summary.json has "
        "the counts.",
        operational=True,
    )
    verbose: bool = option(
        False,
        help="Also print what is logged for finding faults: each program that is compiled, polls that failed.",
        operational=True,
    )
    openlineage: bool = option(
        False,
        help="Send OpenLineage events; their client's own configuration says where to (docs/scheduling.md). Needs the "
        "extra openlineage.",
        operational=True,
    )

    @property
    def shown_progress(self) -> Progress:
        """The kind of progress display: none if the job is quiet."""
        return "none" if self.quiet else self.progress


@dataclass(frozen=True, kw_only=True)
class RerunOptions(OptionSet):
    """What a job does when it is run again."""

    input_frozen: bool = option(
        False,
        help="Don't compare the input with what the job was planned from when it is run again (exit code 4).",
        operational=True,
    )
