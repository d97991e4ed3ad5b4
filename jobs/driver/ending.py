"""How a job has ended: what the driver says of it, its exit codes, and where its summary goes.

Each `_tell` method says what there is to say of one exit code, and returns whether it applies. The first of those that
apply is the job's; `summary.json` lists all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.finalize.summary import (
    closing_lines,
    kept_share,
    memory_line,
    stage_errors_line,
    unread_rows,
    yield_line,
)
from jobs.fusing.frozen import can_grow
from jobs.monitoring.run import Run
from jobs.monitoring.summaries import keep_codes
from jobs.options import CommonOptions, GrowOptions, OptOutOptions
from jobs.options.report import PRINTED
from jobs.plan.news import news_of
from jobs.plan.opt_out import opt_out_lines, read_opt_out, unmatched_entries
from jobs.storage.folders import OutputFolder
from jobs.system.exit_codes import DONE, FAILED_UNITS, INPUT_CHANGED, LOW_YIELD, USER_ERROR, in_order
from jobs.terminal.escapes import keep_line, print_line
from jobs.terminal.wording import counted
from transforms.opt_out.lists import REASON
from transforms.opt_out.work import UNKNOWN


@dataclass(frozen=True)
class Ending:
    """Says how a job has ended.

    Args:
        output: Its output.
        options: Its options.
        was_begun: Whether this run found a plan of an earlier one.
        say: Says a line to the user.
        note: Says what goes as it should, unless the job is quiet.
    """

    output: OutputFolder
    options: CommonOptions
    was_begun: bool
    say: Callable[[str], None]
    note: Callable[[str], None]

    def tell(self, summary: dict[str, Any], run: Run) -> int:
        """Says everything, also to the run's observers, and returns the exit code.

        Raises:
            ConfigError: `--summary` can't be written.
        """
        if self.options.summary != PRINTED:
            for line in closing_lines(summary, self.output.path, getattr(self.options, "compile_cache", None)):
                (keep_line if self.options.quiet else print_line)(line)
        codes = in_order(
            [
                code
                for code, applies in (
                    (USER_ERROR, self._tell_opt_out(summary)),
                    (FAILED_UNITS, self._tell_failures(summary)),
                    (LOW_YIELD, self._tell_yield(summary)),
                    (INPUT_CHANGED, self._tell_news()),
                )
                if applies
            ]
        )
        if summary.get("exit_codes", []) != codes:  # an earlier version's summary has none
            summary = {**summary, "run_id": run.facts.run_id, "exit_codes": codes}
            keep_codes(self.output, summary, self.say)
        run.complete({**summary, "run_id": run.facts.run_id, "state": "complete", "exit_codes": codes})
        return codes[0] if codes else DONE

    def _tell_failures(self, summary: dict[str, Any]) -> bool:
        """Says what could not be read or met a bug, and what to do; returns whether there is any."""
        unread = unread_rows(summary)
        if any(unit["rows"] != "unknown" for unit in summary["failed_units"]):
            self.say("run the same command with --retry_failed to retry the failed units")
        elif unread:
            self.say(
                f"{counted(unread, 'row')} could not be read; run the same command with --retry_failed to retry their "
                "units"
            )
        if stage_errors := stage_errors_line(summary, self.output.path):
            self.say(stage_errors)
        if short := memory_line(summary):
            self.say(short)
        return bool(summary["units"]["failed"] or unread or stage_errors)

    def _tell_yield(self, summary: dict[str, Any]) -> bool:
        """Warns of an output without rows; returns whether fewer rows were kept than `--min_yield` asks for."""
        least, line = self.options.min_yield, yield_line(summary)
        share = kept_share(summary)
        if least is not None and share < least:
            self.say(f"error: --min_yield {least:g}: {line}")
            return True
        if not share:
            self.say(f"warning: {line}")
        return False

    def _tell_news(self) -> bool:
        """Says how the input of a job that was run again differs from what it was planned from; returns whether."""
        has_grown = isinstance(self.options, GrowOptions) and self.options.grow
        if not self.was_begun or self.options.input_frozen or has_grown:
            return False
        if news := news_of(self.output.job, self.options):
            how = "--grow takes it in" if can_grow(self.options) else "choose another --output to take it in"
            self.say(f"{news}; none of it is in this output: {how}, or pass --input_frozen if that is meant")
        return bool(news)

    def _tell_opt_out(self, summary: dict[str, Any]) -> bool:
        """Says what the opt-out lists did; returns whether entries matched nothing although all must match."""
        o = self.options
        if not isinstance(o, OptOutOptions) or (opt_out := read_opt_out(o.opt_out)) is None:
            return False
        unmatched = unmatched_entries(self.output.job, opt_out)
        rows = sum(entry["count"] for entry in summary["rejected"] if entry["reason"] == REASON)
        rows += sum(edition.get("rows_opted_out", 0) for edition in summary.get("editions", ()))
        for line in opt_out_lines(opt_out, unmatched, rows, summary["counts"].get(UNKNOWN, 0)):
            (self.say if unmatched else self.note)(line)
        if unmatched and o.strict_opt_out:
            self.say("error: --strict_opt_out: check these entries before the dataset is used")
            return True
        return False
