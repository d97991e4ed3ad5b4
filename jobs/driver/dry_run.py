"""`--dry_run`: counts the plan and estimates the job from a short measured sample. Writes nothing.

For a generation job it also shows the floor of its time on each device (`jobs.estimate`), from the sample's tokens.

The sample runs the actual work over a few rows from the start, middle and end of the plan. One row runs first as a
warm-up, so that the rate excludes compilation. A few rows leave some of an engine's slots empty, so the estimated time
is more likely too long than too short.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from jobs.driver.estimates import estimate, source_of
from jobs.escapes import print_line
from jobs.execution.reading import read_unit
from jobs.options import CommonOptions, GenerationOptions, all_options
from jobs.options.estimate import EstimateOptions
from jobs.plan.freezing import PlannedJob
from jobs.plan.units import BYTES_PER_TOKEN, planned_rows
from jobs.terminal.display import clock
from jobs.wording import counted
from model.errors import ConfigError, RecordError
from transforms.work import Unit, Work

SAMPLE_UNITS = 3
ROWS_PER_UNIT = 8


def dry_run(options: CommonOptions, planned: PlannedJob, work: Work) -> int:
    """Prints the plan's counts and the estimate; returns the exit code, which is 3 if there are bad files."""
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
    for file in plan.bad_files:
        print_line(f"bad file {file.uri}: {file.reason}: {file.detail}")
    units = [unit for unit in plan.units if planned_rows(unit)]
    sample = measure(_spread(units), planned.read_schema, work) if units else Sample(Counter(), 0.0, ())
    for line in (*sample_lines(sample, plan.rows), *floor_lines(options, units, sample)):
        print_line(line)
    print_line("nothing was written")
    return 3 if plan.bad_files else 0


def _spread(units: Sequence[Unit]) -> list[Unit]:
    """Returns units spread over the plan, limited to a few rows each."""
    count = min(SAMPLE_UNITS, len(units))
    picked = [units[index * len(units) // count] for index in range(count)]
    return [_cut(unit, ROWS_PER_UNIT) for unit in picked]


def _cut(unit: Unit, rows: int) -> Unit:
    if unit.retry_rows is not None:
        kept = unit.retry_rows[:rows]
        return replace(unit, row_count=kept[-1] - kept[0] + 1, retry_rows=kept)
    return replace(unit, row_count=min(rows, unit.row_count))


@dataclass(frozen=True)
class Sample:
    """Measurements of a few rows.

    Args:
        counts: Sums, as in commits.
        wall_s: Duration in seconds.
        faults: One line for each fault in reading them.
    """

    counts: Counter[str]
    wall_s: float
    faults: tuple[str, ...]


def measure(units: Sequence[Unit], schema: pa.Schema, work: Work) -> Sample:
    """Runs the work over the units and measures it."""
    counts: Counter[str] = Counter()
    faults: dict[str, None] = {}

    def run(unit: Unit) -> Counter[str]:
        try:
            read = read_unit(unit, schema)
        except RecordError as error:  # the job itself continues without this unit
            faults[f"sample   {error}"] = None
            return Counter()
        return work.run(unit, *read).counts

    work.open()
    try:
        any(run(_cut(unit, 1)) for unit in units)
        began = time.monotonic()
        for unit in units:
            counts.update(run(unit))
        wall_s = time.monotonic() - began
    finally:
        work.close()
    return Sample(counts, wall_s, tuple(faults))


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
