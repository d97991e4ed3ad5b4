"""`--dry_run`: counts the plan and estimates the job from a short measured sample. Writes nothing.

For a generation job it also shows the floor of its time on each device (`jobs.estimate`), from the sample's tokens.

`jobs.execution.sample` describes the sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from jobs.driver.estimates import estimate, source_of
from jobs.execution.sample import Sample, choose
from jobs.options import CommonOptions, GenerationOptions, all_options
from jobs.options.estimate import EstimateOptions
from jobs.plan.freezing import PlannedJob
from jobs.plan.units import BYTES_PER_TOKEN, planned_rows
from jobs.terminal.display import clock
from jobs.terminal.escapes import print_line
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.tasks.settings import InfillSettings
from transforms.work import Unit


def dry_run(options: CommonOptions, planned: PlannedJob, sample_of: Callable[[Sequence[Unit]], Sample]) -> int:
    """Prints the plan's counts and the estimate; returns the exit code, which is 3 if there are bad files.

    Args:
        options: The job's options.
        planned: The plan.
        sample_of: Measures the sample over some units.
    """
    plan = planned.plan
    states = Counter(file.state for file in plan.files)
    tokens = plan.num_bytes / BYTES_PER_TOKEN
    print_line(f"files    {len(plan.files):,} ({', '.join(f'{count:,} {state}' for state, count in states.items())})")
    print_line(f"columns  {planned.inputs.columns.preset}: content is {planned.inputs.columns.content}")
    print_line(f"units    {len(plan.units):,}")
    print_line(f"rows     {plan.rows:,}")
    print_line(f"bytes    {plan.num_bytes:,} uncompressed, about {tokens:,.0f} tokens of source")
    if isinstance(options, GenerationOptions):
        most, new = options.max_prompt_tokens, options.max_new_tokens
        print_line(f"lengths  prompts of up to {most:,} tokens, answers of up to {new:,}")
    context = _context_room(options)
    if context:
        print_line(f"context  up to {context:,} tokens of a prompt are other files: counted in full, not in the sample")
    for file in plan.bad_files:
        print_line(f"bad file {file.uri}: {file.reason}: {file.detail}")
    units = [unit for unit in plan.units if planned_rows(unit)]
    sample = sample_of(choose(units)) if units else Sample(Counter(), 0.0, ())
    sample = _with_context(sample, context)
    for line in (*sample_lines(sample, plan.rows), *floor_lines(options, units, sample)):
        print_line(line)
    print_line("nothing was written")
    return 3 if plan.bad_files else 0


def _context_room(options: CommonOptions) -> int:
    """Tokens that other files of the repository may take of a prompt."""
    return options.context_room if isinstance(options, InfillSettings) else 0


def _with_context(sample: Sample, context: int) -> Sample:
    """The sample as if each prompt had so many tokens of other files: nothing is grouped for a dry run."""
    counts = Counter(sample.counts)
    counts["tokens_in"] += context * counts["targets"] if counts["tokens_in"] else 0
    return replace(sample, counts=counts)


def sample_lines(sample: Sample, total_rows: int) -> list[str]:
    """Returns the sample's results and their extrapolation to all rows, line by line."""
    counts, rows = sample.counts, sample.counts["rows_in"]
    if not rows:
        return [*sample.faults, "sample   no row could be read" if sample.faults else "sample   no rows to measure"]
    scale = total_rows / rows
    lines = [
        *sample.faults,
        f"sample   {counted(rows, 'row')} in {sample.wall_s:.1f} s: {counts['rows_kept']:,} kept, "
        f"{counts['rows_rejected']:,} rejected",
    ]
    if counts["targets"]:
        lines.append(f"prompts  about {counts['targets'] * scale:,.0f}")
    if counts["tokens_in"]:
        into, out = counts["tokens_in"] * scale, counts["tokens_out"] * scale
        lines.append(f"tokens   about {into:,.0f} in prompts, {out:,.0f} generated")
    lines.append(f"time     about {clock(sample.wall_s * scale)} with one worker on this machine, less with full slots")
    return lines


def floor_lines(options: CommonOptions, units: Sequence[Unit], sample: Sample) -> list[str]:
    """For a generation job, returns the floors for all rows by device, in the format of `codemill estimate`."""
    if not isinstance(options, GenerationOptions) or not units:
        return []
    source = source_of(units, all_options(options), sample.counts)
    try:
        return ["", *estimate(EstimateOptions(path=options.output), source), ""]
    except ConfigError as error:
        return [f"floors   {error}"]
