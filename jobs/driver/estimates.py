"""Lower bounds for generation over a corpus on each device, for `codemill estimate` and for dry runs.

    rows of the plan -> prompts -> tokens in and out -> floor of time on a device (model.roofline) -> range, cost

The floor follows from published peak rates: no program can be faster. The range assumes that a job reaches certain
fractions of that speed, and the output labels them as assumptions. If a count is not measured, its line says what was
assumed. Needs no device and does not import JAX.
"""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jobs.errors import DoesNotFit
from jobs.ledger.commits import read_commits
from jobs.options.estimate import (
    ASSUMED_NEW_TOKENS,
    DEFAULT_MAX_NEW,
    DEFAULT_MAX_PROMPT,
    DEFAULT_MODEL,
    EstimateOptions,
    device_named,
    prices_of,
)
from jobs.plan.cutting import UnitBounds, make_plan
from jobs.plan.input_paths import expand
from jobs.plan.inputs import read_inputs
from jobs.plan.job_file import read_job
from jobs.plan.units import BYTES_PER_TOKEN, planned_rows, read_plan
from jobs.storage.folders import OutputFolder
from jobs.terminal.escapes import print_line
from model.checkpoint import read_config
from model.config import PRESETS, GemmaConfig
from model.errors import ConfigError
from model.estimates import report as aot_report
from model.roofline import DEVICES, GIB, Device, Floor, Shape, Storage, Workload, floor_of
from transforms.rows.columns import ColumnOverrides
from transforms.tasks.settings import context_room
from transforms.work import Unit


@dataclass(frozen=True)
class Source:
    """A corpus and a job over it, as far as they are known.

    Args:
        rows: Source rows.
        units: For each unit, its number of rows and the mean number of tokens in a row's text.
        job_options: The job's options; empty if only files are known.
        counts: Sums over finished units; empty if there are none.
    """

    rows: int
    units: tuple[tuple[int, float], ...]
    job_options: Mapping[str, Any]
    counts: Mapping[str, float]

    def mean_prompt(self, longest: int) -> float:
        """Mean tokens of a prompt that contains its row's text, at most `longest`; from the means of the units."""
        return sum(rows * min(tokens, longest) for rows, tokens in self.units) / self.rows


def estimate(options: EstimateOptions, source: Source) -> list[str]:
    """Returns the estimate, line by line, at most 80 columns wide."""
    config, name = _model(options.model or source.job_options.get("model") or DEFAULT_MODEL)
    work, notes = workload(options, source)
    lines = [f"model    {name}", *notes, ""]
    devices = [device_named(one) for one in options.device] or list(DEVICES.values())
    floors: list[tuple[Shape, Floor]] = []
    misfits = []
    for device in devices:
        shape = _shape(options, config, device, source.job_options)
        try:
            floors.append((shape, floor_of(work, shape, device, chips=options.chips, slots=options.slots)))
        except ConfigError as error:
            misfits.append((device, str(error)))
    if not floors:
        raise DoesNotFit(misfits[0][1], "lower --slots or --max_prompt_tokens, or raise --chips")
    lines += table([floor for _, floor in floors], options.efficiency, prices_of(options.price_per_hour))
    for device, fault in misfits:
        lines += _wrapped(f"{device.title}: {fault}")
    lines += ["", *_legend(options, floors)]
    if options.compile:
        lines += ["", *(line for shape, floor in floors for line in _compiled(shape, floor, work))]
    return lines


# --- workload ----------------------------------------------------------------------------------------


def read_job_source(output: str) -> Source:
    """Reads a job's plan, its options, and the counts of its finished units.

    Raises:
        ConfigError: There is no job, or it is not a generation job.
    """
    folder = OutputFolder(output)
    job = read_job(folder)
    if job is None:
        raise ConfigError(f"{output} is not a job's output: it has no _job/job.json; pass files with --input")
    if "max_prompt_tokens" not in job.options:
        raise ConfigError(
            f"{output} is the output of {job.job}, which is not a generation job; pass files with --input"
        )
    counts: Counter[str] = Counter()
    for commit in read_commits(folder.job):
        if commit.status == "done":
            counts.update({name: commit.counts.get(name, 0) for name in ("targets", "tokens_in", "tokens_out")})
            counts["rows_in"] += commit.rows_in
    return source_of(read_plan(folder.job), job.options, counts)


def read_input_source(options: EstimateOptions) -> Source:
    """Reads the footers of the input files. Raises ConfigError if none can be read or there are no rows."""
    inputs = read_inputs(expand(options.input), ColumnOverrides(content=options.content_column))
    plan = make_plan(inputs, columns=[inputs.columns.content], bounds=UnitBounds())
    for file in plan.bad_files:
        print_line(f"bad file {file.uri}: {file.reason}: {file.detail}; the estimate is without it", sys.stderr)
    return source_of(plan.units, {}, {})


def source_of(units: Iterable[Unit], job_options: Mapping[str, Any], counts: Mapping[str, float]) -> Source:
    """Builds a source from a plan's units and the counts of finished rows. Raises ConfigError if there are no rows."""
    # A unit's bytes are those of its full range, even if a retried unit takes only some of its rows.
    cut = tuple(
        (planned_rows(unit), unit.num_bytes / unit.row_count / BYTES_PER_TOKEN) for unit in units if unit.row_count
    )
    rows = sum(count for count, _ in cut)
    if not rows:
        raise ConfigError("the plan has no rows: there is nothing to estimate")
    return Source(rows, cut, job_options, counts)


def workload(options: EstimateOptions, source: Source) -> tuple[Workload, list[str]]:
    """Returns the workload, and lines that say where its numbers come from."""
    job, counts = source.job_options, source.counts
    longest = options.max_prompt_tokens or job.get("max_prompt_tokens") or DEFAULT_MAX_PROMPT
    most_new = options.max_new_tokens or job.get("max_new_tokens") or DEFAULT_MAX_NEW
    samples = job.get("samples", 1)
    asked = counts.get("targets", 0) * samples

    def settle(given: float | None, total: str, over: float, otherwise: float, why: str) -> tuple[float, str]:
        """Returns a mean and its origin: the user, the finished units, or an assumption."""
        if given is not None:
            return given, "as given"
        measured = asked if total == "asked" else counts.get(total, 0)
        if measured and over:
            return measured / over, f"measured on {counts['rows_in']:,} rows"
        return otherwise, why

    each_row = float(samples * job.get("spans_per_file", 1))
    by_bytes = max(1.0, source.mean_prompt(longest))
    by_bytes = min(longest, by_bytes + context_room(job.get("context", "none"), job.get("context_tokens"), longest))
    assumed_new = float(min(ASSUMED_NEW_TOKENS, most_new))
    per_row, why_rows = settle(options.prompts_per_row, "asked", counts.get("rows_in", 0), each_row, "assumed")
    prompt, why_prompt = settle(options.prompt_tokens, "tokens_in", asked, by_bytes, "from row bytes")
    new, why_new = settle(options.new_tokens, "tokens_out", asked, assumed_new, "assumed")
    try:
        work = Workload(
            requests=max(1, round(source.rows * per_row)),
            prompt_tokens=prompt,
            new_tokens=new,
            max_prompt_tokens=longest,
            max_new_tokens=most_new,
        )
    except ConfigError as error:
        raise DoesNotFit(str(error), "raise --max_prompt_tokens or --max_new_tokens") from None
    return work, [
        f"rows     {source.rows:,}",
        f"prompts  {work.requests:,}: {per_row:,.2f} per row, {why_rows}",
        f"in       {work.requests * prompt:,.0f} tokens: {prompt:,.0f} per prompt, {why_prompt}",
        f"out      {work.requests * new:,.0f} tokens: {new:,.0f} per prompt, {why_new}",
        f"slots    hold {longest:,} + {most_new:,} tokens each",
    ]


def _model(name: str) -> tuple[GemmaConfig, str]:
    if name in PRESETS:
        config = PRESETS[name]
    else:
        config = read_config(name)
    count = config.num_parameters
    size = f"{count / 1e9:,.2f} billion" if count >= 1e8 else f"{count / 1e6:,.2f} million"
    return config, f"{name}, {size} parameters"


def _shape(options: EstimateOptions, config: GemmaConfig, device: Device, job: Mapping[str, Any]) -> Shape:
    def stored(given: Storage | Literal["auto"], of_job: str) -> Storage:
        if given != "auto":
            return given
        return "int8" if job.get(of_job) == "int8" else device.compute

    return Shape(config=config, weights=stored(options.weights, "weights"), cache=stored(options.cache, "prompt_cache"))


# --- output ------------------------------------------------------------------------------------------


def table(floors: Sequence[Floor], efficiency: Sequence[float], prices: Mapping[str, float]) -> list[str]:
    """Formats one line per device; a cost column only if a price is known."""
    low, high = efficiency
    has_price = any(floor.device.name in prices for floor in floors)
    unit, unit_s = _unit(max((floor.wall_s for floor in floors), default=0.0) / low)
    heads = ["device", "chips", "slots", "steps", f"floor, {unit}", f"at {high:.0%}..{low:.0%}, {unit}"]
    heads += ["cost"] if has_price else []
    rows = [heads]
    for floor in floors:
        time = floor.wall_s / unit_s
        row = [floor.device.title, f"{floor.chips}", f"{floor.slots:,}", _count(floor.steps), _number(time)]
        row.append(f"{_number(time / high)}..{_number(time / low)}")
        if has_price and floor.device.name in prices:
            cost = floor.chip_hours * prices[floor.device.name]
            row.append(f"{_number(cost / high)}..{_number(cost / low)}")
        elif has_price:
            row.append("-")
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _unit(longest_s: float) -> tuple[str, float]:
    """The largest unit of time of which the longest of several has at least one: its name, and its seconds.

    >>> _unit(7200.0), _unit(600.0), _unit(0.01)
    (('h', 3600.0), ('min', 60.0), ('s', 1.0))
    """
    return next((found for found in (("h", 3600.0), ("min", 60.0)) if longest_s >= found[1]), ("s", 1.0))


def _number(value: float) -> str:
    """Formats a number with three significant digits and no exponent: 0.00123, 1.23, 12.3, 1,234, 1.23M."""
    if value >= 1e6:
        return f"{value / 1e6:,.{2 if value < 1e7 else 1 if value < 1e8 else 0}f}M"
    if value >= 100:
        return f"{value:,.0f}"
    for digits in (1, 2, 3, 4, 5):
        if value >= 10 ** (2 - digits):
            return f"{value:.{digits}f}"
    return "0.0000" if value == 0 else f"{value:.6f}"


def _count(value: int) -> str:
    return f"{value:,}" if value < 1_000_000 else _number(value)


def _legend(options: EstimateOptions, floors: Sequence[tuple[Shape, Floor]]) -> list[str]:
    low, high = options.efficiency
    stored: dict[str, Shape] = {shape.weights + shape.cache: shape for shape, _ in floors}
    lines = []
    for shape in stored.values():
        weights = f"{shape.weights} weights {shape.weight_bytes / GIB:,.2f} GiB"
        window = f" (layers with a window hold {shape.config.window:,} tokens of it)" if shape.config.window else ""
        cache = f"{shape.cache} cache {shape.cache_bytes_per_token / 1024:,.1f} KiB per token{window}"
        lines.append(f"{weights}, {cache}")
    lines += _wrapped(
        "The floor is the roofline limit at published peak rates; no program can be faster. "
        f"{high:.0%} and {low:.0%} of that speed are assumptions, not measurements. "
        "Times are for one model replica; more replicas divide them at the same cost. "
        "Slots are as many as fit, or --slots; a job uses fewer unless its own --slots is set."
    )
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 80, subsequent_indent="  ")


# --- the compiler's verdict --------------------------------------------------------------------------

_TOPOLOGIES = {
    "v5e": {1: "v5e:1x1x1", 4: "v5e:2x2", 8: "v5e:2x4"},
    "v6e": {1: "v6e:1x1", 4: "v6e:2x2", 8: "v6e:2x4"},
    "v5p": {1: "v5p:1x1x1", 4: "v5p:2x2x1"},
}


def _compiled(shape: Shape, floor: Floor, work: Workload) -> list[str]:
    """Returns lines that say whether libtpu's compiler confirms that the slots fit; none for devices except TPUs."""

    device = floor.device
    if device.name not in _TOPOLOGIES:
        return []
    preset = next((name for name, config in PRESETS.items() if config == shape.config), None)
    topology = _TOPOLOGIES[device.name].get(floor.chips)
    if preset is None or topology is None or shape.cache != "bfloat16" or shape.weights == "float32":
        return _wrapped(
            f"{device.title}: not compiled: only presets with bfloat16 or int8 weights on 1, 4 or 8 chips are supported"
        )
    buckets = (*(length for length in (512, 1024) if length < work.max_prompt_tokens), work.max_prompt_tokens)
    target = aot_report.Target(
        preset=preset,
        topology=topology,
        slots=floor.slots,
        prompt_buckets=buckets,
        max_new_tokens=work.max_new_tokens,
        weights=shape.weights,
    )
    try:
        report = aot_report.report_in_subprocess(target)
    except ConfigError as error:
        return _wrapped(f"{device.title}: {error}")
    burst = report.programs["burst"]
    fits = "fits" if report.peak_bytes <= device.memory_bytes else "does NOT fit"
    return _wrapped(
        f"{device.title}: libtpu {report.versions['libtpu']} compiles {floor.slots} slots: "
        f"{report.peak_bytes / GIB:.2f} of {device.memory_bytes / GIB:.2f} GiB per chip, which {fits}; "
        f"{burst.step_cycles:,} estimated cycles per greedy step"
    )
