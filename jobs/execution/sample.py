"""The sample of a dry run: the actual work over a few rows from the start, middle and end of the plan.

One row of each unit runs first as a warm-up, so that the rate excludes compilation. A few rows leave some of an
engine's slots empty, so a time estimated from them is more likely too long than too short. It runs in a child process,
since a row may crash it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from jobs.execution.orders import Orders, from_text, raise_failure, to_text
from jobs.execution.reading import read_unit
from jobs.system.child_process import ChildProcess
from model.errors import ConfigError, RecordError
from transforms.work import Unit, Work, WorkBroken

SAMPLE_UNITS = 3
ROWS_PER_UNIT = 8
TIMEOUT_S = 3600.0  # a large model takes a while to load and to compile


def choose(units: Sequence[Unit]) -> list[Unit]:
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


def sample_in(
    child: ChildProcess, orders: Orders, units: Sequence[Unit], schema: pa.Schema, timeout_s: float = TIMEOUT_S
) -> Sample:
    """Has a child process measure the sample. Raises ConfigError, also if the process died of it."""
    child.speak()
    child.send({"sample": to_text((orders, units, schema))})
    try:
        said = child.hear(timeout_s)
    except TimeoutError:
        raise ConfigError(f"the sample's {len(units)} units took more than {timeout_s:,.0f} s") from None
    if said is None:
        return Sample(Counter(), 0.0, (f"sample   it ended the process that ran it ({child.end()})",))
    if "failed" in said:
        raise_failure(said["failed"])
    sample: Sample = from_text(said["sample"])
    return sample


def measure(units: Sequence[Unit], schema: pa.Schema, work: Work) -> Sample:
    """Runs the work over the units and measures it."""
    counts: Counter[str] = Counter()
    faults: dict[str, None] = {}

    def run(unit: Unit) -> Counter[str]:
        try:
            return work.run(unit, *read_unit(unit, schema)).counts
        except (ConfigError, WorkBroken):
            raise
        except RecordError as error:  # the job itself continues without this unit
            faults[f"sample   {error}"] = None
        except Exception as error:  # it finds the row; never the error's message, which may quote it
            faults[f"sample   {unit.title}: a row raised {type(error).__name__}; the job would reject it"] = None
        return Counter()

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
