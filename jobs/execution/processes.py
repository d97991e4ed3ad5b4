"""How many processes work on rows on this machine, and how much each may have in flight.

    a work with processes of its own for rows (`Work.spreads_rows`)   one worker process, which hands rows to them
    any other                                                         one worker process per core that memory allows

A worker needs about `BASE_MB`, and `UNIT_COPIES` times the text of each unit in flight: as it was read, as rows, as
results, as an encoded file.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.options import CommonOptions
from model.errors import ConfigError
from transforms.machine import available_cores, available_memory

if TYPE_CHECKING:  # it imports Arrow
    from transforms.work import Work

BASE_MB = 250
UNIT_COPIES = 5
_UNITS_IN_FLIGHT = 4  # of a work that keeps others busy: one is read, one written, two are worked on
_SMALL_UNITS_IN_FLIGHT = 8  # of a plan of few rows, cut into small units (`jobs.plan.cutting`)
_FEW_UNITS = 2 * _SMALL_UNITS_IN_FLIGHT
_MB_A_UNIT = 128.0
_BYTES_A_PROCESS_AHEAD = 16_000_000  # of files, which hold about three times as much text
_FILES_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class PerHost:
    """How the number of workers of a Beam runner's host is found there.

    Args:
        asked: So many; None: one per core that memory allows.
        need_mb: Megabytes that one needs.
    """

    asked: int | None = None
    need_mb: int = BASE_MB

    def workers(self, sharers: int = 1) -> int:
        """Returns the number of workers of one of `sharers` processes that share this machine, at least one.

        Raises:
            ConfigError: The machine's memory doesn't hold as many as are asked for.
        """
        return max(1, workers_that_fit(self.asked, self.need_mb, "more with a lower --unit_mb") // sharers)


@dataclass(frozen=True)
class Processes:
    """The worker processes of a job, and the bounds of each.

    Args:
        workers: Worker processes.
        max_units_in_flight: Maximum units in flight in one process.
        max_bytes_in_flight: Maximum of their bytes.
        per_host: The worker processes of each host where a Beam runner has several.
    """

    workers: int
    max_units_in_flight: int
    max_bytes_in_flight: int
    per_host: PerHost = PerHost()


def processes_of(options: CommonOptions, work: Work, *, is_here: bool = True) -> Processes:
    """Determines a job's processes.

    Args:
        options: The job's options.
        work: Its work.
        is_here: Whether they run on this machine; on a Beam runner each host determines their number (`PerHost`).

    Raises:
        ConfigError: This machine's memory doesn't hold as many as the options ask for.
    """
    units = options.max_units_in_flight or (_UNITS_IN_FLIGHT if work.spreads_rows else 1)
    mb = options.max_mb_in_flight or units * _MB_A_UNIT
    need_mb = BASE_MB + math.ceil(UNIT_COPIES * min(options.unit_mb, mb) * (1 if work.spreads_rows else units))
    fitting = workers_that_fit(options.workers, need_mb, "more with a lower --unit_mb") if is_here else 1
    per_host = PerHost(1 if work.spreads_rows else options.workers, need_mb)
    return Processes(1 if work.spreads_rows else fitting, units, int(mb * 1_000_000), per_host)


def units_in_flight(
    options: CommonOptions, work: Work, processes: Processes, *, units: int, num_bytes: int, is_shared: bool
) -> int:
    """Returns the maximum of units in flight in one process of a planned job.

    A plan of few rows has small units, and the rows of four of them may be fewer than an engine has slots for. So more
    of them are in flight, if all units together have no more text than those otherwise in flight may have.

    Args:
        options: The job's options.
        work: Its work.
        processes: Its processes.
        units: The plan's units.
        num_bytes: Bytes of all of them.
        is_shared: Whether several hosts share the units; then none takes more of the few that there are.
    """
    usual = processes.max_units_in_flight
    is_given = options.max_units_in_flight is not None or options.unit_rows is not None
    if is_shared or is_given or not work.spreads_rows or units > _FEW_UNITS:
        return usual
    return usual if num_bytes > usual * options.unit_mb * 1_000_000 else max(usual, _SMALL_UNITS_IN_FLIGHT)


def processes_ahead(options: CommonOptions) -> int:
    """Returns how many processes a job without a model surely needs, as far as the sizes of its local input files tell.

    It is asked before anything else is known, so that they start while the job is planned. What it returns may be
    wrong: one too many ends when the units are known. Cost: a look at up to `_FILES_LOOKED_AT` files.
    """
    try:
        fitting = workers_that_fit(options.workers, BASE_MB)
    except ConfigError:  # it is told when the job is set up
        return 1
    enough = fitting * _BYTES_A_PROCESS_AHEAD
    num_bytes = 0
    for size in itertools.islice(_sizes(options.input), _FILES_LOOKED_AT):
        num_bytes += size
        if num_bytes >= enough:
            break
    return max(1, min(fitting, num_bytes // _BYTES_A_PROCESS_AHEAD))


def _sizes(patterns: Iterable[str]) -> Iterator[int]:
    """The sizes of the files that patterns name, and of those in folders that they name."""
    for pattern in patterns:
        if "://" in pattern:
            continue
        for path in [pattern] if os.path.exists(pattern) else glob.iglob(pattern, recursive=True):
            with contextlib.suppress(OSError):
                if not os.path.isdir(path):
                    yield os.path.getsize(path)
                    continue
                data = os.path.join(path, "data")  # of an output
                with os.scandir(data if os.path.isdir(data) else path) as entries:
                    yield from (entry.stat().st_size for entry in entries if entry.name.endswith(".parquet"))


def workers_that_fit(asked: int | None, need_mb: int, advice: str = "") -> int:
    """Returns the number of workers: as many as are asked for, else one per core that memory allows, at least one.

    Args:
        asked: The option `--workers`.
        need_mb: Megabytes that one needs.
        advice: How more would fit.

    Raises:
        ConfigError: Memory doesn't hold as many as are asked for.
    """
    there_gb = available_memory() / 1e9
    fitting = max(1, int(there_gb * 1000) // need_mb)
    if asked is not None and asked > fitting:
        need_gb, more = asked * need_mb / 1000, f", {advice}" if advice else ""
        fits = "1 fits" if fitting == 1 else f"{fitting} fit"
        raise ConfigError(
            f"--workers {asked} need about {need_gb:,.1f} GB ({need_mb:,} MB each), but {there_gb:,.1f} GB are "
            f"available; at most {fits}{more}"
        )
    return asked or min(available_cores(), fitting)
