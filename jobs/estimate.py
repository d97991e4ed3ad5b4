"""`codemill estimate`: what generating over a corpus needs at least, on each device, before anybody pays for one.

    codemill estimate OUT                          a job's plan, with what its finished units measured
    codemill estimate --input 'corpus/*.parquet' --model codegemma-7b --price_per_hour v5e=1.20

    rows of the plan -> prompts -> tokens in and out -> floor of time on a device (model.roofline) -> range, cost

The floor is from published peaks: nothing is faster. The range is that floor at shares of it that are assumed, and
called so. Where a count isn't measured, the line says what was assumed for it. Cost: the footers, or the plan and its
commits; no device, no JAX. With --compile the largest slots are held to libtpu's compiler.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import OptionSet, option
from model.config import PRESETS, GemmaConfig
from model.errors import ConfigError
from model.roofline import DEVICES, GIB, Device, Floor, Shape, Storage, Workload, floor_of

if TYPE_CHECKING:
    from transforms.work import Unit

DEFAULT_MODEL = "codegemma-2b"
DEFAULT_MAX_PROMPT, DEFAULT_MAX_NEW = 2048, 256
# Middles and documentation are mostly a few lines; a job's finished units tell better.
ASSUMED_NEW_TOKENS = 80


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Say what generating over a corpus needs at least: slots, tokens, hours and cost by device. Runs nothing."""

    path: str | None = option(
        None, help="A generating job's output, begun or finished: its plan is counted.", positional=True, metavar="OUT"
    )
    input: tuple[str, ...] = option((), help="Or Parquet files, folders and globs.", metavar="GLOB")
    content_column: str | None = option(None, help="With --input: column of the file's text; found by itself.")
    model: str | None = option(
        None, help=f"A preset ({', '.join(PRESETS)}), a checkpoint, or embedded; the job's own if left out."
    )
    device: tuple[str, ...] = option((), help=f"Which devices: {', '.join(DEVICES)}; all if left out.", metavar="NAME")
    chips: int | None = option(None, help="Chips that hold one model; the fewest that do if left out.", minimum=1)
    slots: int | None = option(None, help="Requests decoded at once; the most that fit if left out.", minimum=1)
    weights: Literal["auto", "bfloat16", "int8", "float32"] = option(
        "auto", help="How weights are stored; auto: as the job's own option, else bfloat16, on a CPU float32."
    )
    cache: Literal["auto", "bfloat16", "int8", "float32"] = option("auto", help="How keys and values are; likewise.")
    prompts_per_row: float | None = option(
        None, help="Prompts made of a row; measured by finished units, else 1.", minimum=1e-9, metavar="PROMPTS"
    )
    prompt_tokens: float | None = option(
        None, help="Mean tokens of a prompt; measured, else by the rows' bytes.", minimum=1
    )
    new_tokens: float | None = option(
        None, help=f"Mean tokens generated for a prompt; measured, else {ASSUMED_NEW_TOKENS}.", minimum=1
    )
    max_prompt_tokens: int | None = option(
        None, help=f"Longest prompt; the job's, else {DEFAULT_MAX_PROMPT}.", minimum=1, metavar="TOKENS"
    )
    max_new_tokens: int | None = option(
        None, help=f"Longest completion; the job's, else {DEFAULT_MAX_NEW}.", minimum=1, metavar="TOKENS"
    )
    price_per_hour: tuple[str, ...] = option(
        (), help="Price of a chip's hour: one number for all devices, or as in v5e=1.20 h100=3.", metavar="PRICE"
    )
    efficiency: tuple[float, ...] = option(
        (0.25, 0.6), help="Two shares of the floor's speed that are assumed to be reached.", metavar="SHARE"
    )
    compile: bool = option(False, help="Compile for each TPU with libtpu, if installed, to hold the slots to it.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.path is None) == (not self.input):
            raise ConfigError("give either a job's output or --input")
        for name in self.device:
            _device(name)
        if len(self.efficiency) != 2 or not 0 < self.efficiency[0] <= self.efficiency[1] <= 1:
            shown = " ".join(map(str, self.efficiency))
            raise ConfigError(f"--efficiency is {shown}; it takes two shares above 0 and up to 1, the lower first")
        _prices(self.price_per_hour)


@dataclass(frozen=True)
class Source:
    """What is known of a corpus and a job over it.

    Args:
        rows: Source rows.
        units: Of each unit its rows, and the tokens of a row's text on average.
        job_options: The job's options; empty where only files are known.
        counts: Sums over finished units; empty where there are none.
    """

    rows: int
    units: tuple[tuple[int, float], ...]
    job_options: Mapping[str, Any]
    counts: Mapping[str, float]

    def mean_prompt(self, longest: int) -> float:
        """Tokens of a prompt that holds its row's text, cut to the longest; by units' means."""
        return sum(rows * min(tokens, longest) for rows, tokens in self.units) / self.rows


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Prints the estimate. Raises ConfigError where there is nothing to count or nothing fits."""
    if beam_args:
        raise ConfigError(f"estimate runs without Beam, so nothing can follow --; got {' '.join(beam_args)}")
    source = read_job_source(options.path) if options.path is not None else read_input_source(options)
    for line in estimate(options, source):
        print(line)
    return 0


def estimate(options: Options, source: Source) -> list[str]:
    """The estimate, line by line, at most 80 columns wide."""
    config, name = _model(options.model or source.job_options.get("model") or DEFAULT_MODEL)
    work, notes = workload(options, source)
    lines = [f"model    {name}", *notes, ""]
    devices = [_device(one) for one in options.device] or list(DEVICES.values())
    floors: list[tuple[Shape, Floor]] = []
    misfits = []
    for device in devices:
        shape = _shape(options, config, device, source.job_options)
        try:
            floors.append((shape, floor_of(work, shape, device, chips=options.chips, slots=options.slots)))
        except ConfigError as error:
            misfits.append((device, str(error)))
    if not floors:
        raise ConfigError(f"{misfits[0][1]}; lower --slots or --max_prompt_tokens, or raise --chips")
    lines += table([floor for _, floor in floors], options.efficiency, _prices(options.price_per_hour))
    for device, fault in misfits:
        lines += _wrapped(f"{device.title}: {fault}")
    lines += ["", *_legend(options, floors)]
    if options.compile:
        lines += ["", *(line for shape, floor in floors for line in _compiled(shape, floor, work))]
    return lines


# --- how much work -----------------------------------------------------------------------------------


def read_job_source(output: str) -> Source:
    """A job's plan, options, and the counts of its finished units.

    Raises:
        ConfigError: There is no job, or it runs no model.
    """
    from jobs import storage
    from jobs.ledger.commits import read_commits
    from jobs.plan.job_file import read_job
    from jobs.plan.units import read_plan

    job = read_job(output)
    if job is None:
        raise ConfigError(f"{output} is no job's output: it has no _job/job.json; give --input for files")
    if "max_prompt_tokens" not in job.options:
        raise ConfigError(f"{output} is of the job {job.job}, which generates nothing; give --input for files")
    job_dir = storage.join(output, "_job")
    counts: Counter[str] = Counter()
    for commit in read_commits(job_dir):
        if commit.status == "done":
            counts.update({name: commit.counts.get(name, 0) for name in ("targets", "tokens_in", "tokens_out")})
            counts["rows_in"] += commit.rows_in
    return source_of(read_plan(job_dir), job.options, counts)


def read_input_source(options: Options) -> Source:
    """What the footers of the input files say. Raises ConfigError where they say nothing."""
    from jobs.plan.inputs import expand, read_inputs
    from jobs.plan.units import UnitBounds, make_plan
    from transforms.rows.columns import ColumnOverrides

    inputs = read_inputs(expand(options.input), ColumnOverrides(content=options.content_column))
    plan = make_plan(inputs, columns=[inputs.columns.content], bounds=UnitBounds())
    return source_of(plan.units, {}, {})


def source_of(units: Iterable[Unit], job_options: Mapping[str, Any], counts: Mapping[str, float]) -> Source:
    """What a plan's units and the counts of rows that are done say. Raises ConfigError where there are no rows."""
    from jobs.plan.units import BYTES_PER_TOKEN, planned_rows

    # A unit's bytes are those of its whole range, of which a retried unit takes some rows only.
    cut = tuple(
        (planned_rows(unit), unit.num_bytes / unit.row_count / BYTES_PER_TOKEN) for unit in units if unit.row_count
    )
    rows = sum(count for count, _ in cut)
    if not rows:
        raise ConfigError("the plan has no rows: there is nothing to estimate")
    return Source(rows, cut, job_options, counts)


def workload(options: Options, source: Source) -> tuple[Workload, list[str]]:
    """The work, and lines that say where its figures come from."""
    job, counts = source.job_options, source.counts
    longest = options.max_prompt_tokens or job.get("max_prompt_tokens") or DEFAULT_MAX_PROMPT
    most_new = options.max_new_tokens or job.get("max_new_tokens") or DEFAULT_MAX_NEW
    samples = job.get("samples", 1)
    asked = counts.get("targets", 0) * samples

    def settle(given: float | None, total: str, over: float, otherwise: float, why: str) -> tuple[float, str]:
        """A mean and where it comes from: the user, the finished units, or an assumption."""
        if given is not None:
            return given, "as given"
        measured = asked if total == "asked" else counts.get(total, 0)
        if measured and over:
            return measured / over, f"measured on {counts['rows_in']:,} rows"
        return otherwise, why

    each_row = float(samples * job.get("spans_per_file", 1))
    by_bytes = max(1.0, source.mean_prompt(longest))
    assumed_new = float(min(ASSUMED_NEW_TOKENS, most_new))
    per_row, why_rows = settle(options.prompts_per_row, "asked", counts.get("rows_in", 0), each_row, "assumed")
    prompt, why_prompt = settle(options.prompt_tokens, "tokens_in", asked, by_bytes, "by the rows' bytes")
    new, why_new = settle(options.new_tokens, "tokens_out", asked, assumed_new, "assumed")
    if prompt > longest or new > most_new:
        raise ConfigError(
            f"means of {prompt:,.0f} prompt and {new:,.0f} new tokens exceed the longest, "
            f"{longest:,} and {most_new:,}; raise --max_prompt_tokens or --max_new_tokens"
        )
    work = Workload(
        requests=max(1, round(source.rows * per_row)),
        prompt_tokens=prompt,
        new_tokens=new,
        max_prompt_tokens=longest,
        max_new_tokens=most_new,
    )
    return work, [
        f"rows     {source.rows:,}",
        f"prompts  {work.requests:,}: {per_row:,.2f} a row, {why_rows}",
        f"in       {work.requests * prompt:,.0f} tokens: {prompt:,.0f} a prompt, {why_prompt}",
        f"out      {work.requests * new:,.0f} tokens: {new:,.0f} a prompt, {why_new}",
        f"slots    hold {longest:,} + {most_new:,} tokens each",
    ]


def _model(name: str) -> tuple[GemmaConfig, str]:
    if name in PRESETS:
        config = PRESETS[name]
    else:
        from model.checkpoint import read_config

        config = read_config(name)
    return config, f"{name}, {config.num_parameters / 1e9:,.2f} billion parameters"


def _shape(options: Options, config: GemmaConfig, device: Device, job: Mapping[str, Any]) -> Shape:
    def stored(given: Storage | Literal["auto"], of_job: str) -> Storage:
        if given != "auto":
            return given
        return "int8" if job.get(of_job) == "int8" else device.compute

    return Shape(config=config, weights=stored(options.weights, "weights"), cache=stored(options.cache, "prompt_cache"))


def _device(name: str) -> Device:
    if name not in DEVICES:
        raise ConfigError(f"--device {name} is not known; there are {', '.join(DEVICES)}")
    return DEVICES[name]


def _prices(words: Sequence[str]) -> dict[str, float]:
    """Prices of a chip's hour by device. Raises ConfigError."""
    prices: dict[str, float] = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            price = float(number)
        except ValueError:
            price = -1.0
        if not 0 <= price < float("inf"):
            raise ConfigError(f"--price_per_hour {word}: expected a number, or a device and a number as in v5e=1.20")
        for device in (_device(name).name,) if name else DEVICES:
            prices[device] = price
    return prices


# --- what is printed ---------------------------------------------------------------------------------


def table(floors: Sequence[Floor], efficiency: Sequence[float], prices: Mapping[str, float]) -> list[str]:
    """One line a device; cost columns only where a price is known."""
    low, high = efficiency
    has_price = any(floor.device.name in prices for floor in floors)
    heads = ["device", "chips", "slots", "steps", "floor, h", f"at {high:.0%}..{low:.0%}, h"]
    heads += ["cost"] if has_price else []
    rows = [heads]
    for floor in floors:
        hours = floor.wall_s / 3600
        row = [floor.device.title, f"{floor.chips}", f"{floor.slots:,}", _count(floor.steps), _number(hours)]
        row.append(f"{_number(hours / high)}..{_number(hours / low)}")
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


def _number(value: float) -> str:
    """Three digits that count, without exponents: 0.00123, 1.23, 12.3, 1,234, 1.23M."""
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


def _legend(options: Options, floors: Sequence[tuple[Shape, Floor]]) -> list[str]:
    low, high = options.efficiency
    stored: dict[str, Shape] = {shape.weights + shape.cache: shape for shape, _ in floors}
    lines = []
    for shape in stored.values():
        weights = f"{shape.weights} weights {shape.weight_bytes / GIB:,.2f} GiB"
        lines.append(f"{weights}, {shape.cache} cache {shape.cache_bytes_per_token / 1024:,.1f} KiB a token")
    lines += _wrapped(
        "The floor is what published peaks allow: no program is faster, and this isn't one. "
        f"{high:.0%} and {low:.0%} of its speed are assumptions, not measurements. "
        "Hours are of one group of chips that holds one model; more groups share them at the same cost. "
        "Slots are the most that fit, or --slots; a job takes fewer unless its own --slots says so."
    )
    return lines


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 80, subsequent_indent="  ")


# --- what the compiler says --------------------------------------------------------------------------

_TOPOLOGIES = {
    "v5e": {1: "v5e:1x1x1", 4: "v5e:2x2", 8: "v5e:2x4"},
    "v6e": {1: "v6e:1x1", 4: "v6e:2x2", 8: "v6e:2x4"},
    "v5p": {1: "v5p:1x1x1", 4: "v5p:2x2x1"},
}


def _compiled(shape: Shape, floor: Floor, work: Workload) -> list[str]:
    """Whether libtpu's compiler agrees that the slots fit; nothing for devices that aren't TPUs."""
    from model.estimates.aot import Target, report_in_subprocess

    device = floor.device
    if device.name not in _TOPOLOGIES:
        return []
    preset = next((name for name, config in PRESETS.items() if config == shape.config), None)
    topology = _TOPOLOGIES[device.name].get(floor.chips)
    if preset is None or topology is None or shape.cache != "bfloat16" or shape.weights == "float32":
        return _wrapped(
            f"{device.title}: not compiled: only presets in bfloat16 or int8 weights on 1, 4 or 8 chips are"
        )
    buckets = (*(length for length in (512, 1024) if length < work.max_prompt_tokens), work.max_prompt_tokens)
    target = Target(
        preset=preset,
        topology=topology,
        slots=floor.slots,
        prompt_buckets=buckets,
        max_new_tokens=work.max_new_tokens,
        weights=shape.weights,
    )
    try:
        report = report_in_subprocess(target)
    except ConfigError as error:
        return _wrapped(f"{device.title}: {error}")
    burst = report.programs["burst"]
    fits = "fits" if report.peak_bytes <= device.memory_bytes else "does NOT fit"
    return _wrapped(
        f"{device.title}: libtpu {report.versions['libtpu']} compiles {floor.slots} slots: "
        f"{report.peak_bytes / GIB:.2f} of {device.memory_bytes / GIB:.2f} GiB a chip, which {fits}; "
        f"{burst.step_cycles:,} estimated cycles a greedy step"
    )


if __name__ == "__main__":
    import sys

    from jobs.cli import main

    sys.exit(main(["estimate", *sys.argv[1:]]))
