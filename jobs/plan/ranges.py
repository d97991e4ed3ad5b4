"""The frozen plan as ranges of consecutive units, which workers on several machines claim one at a time.

    units    0 1 2 3 | 4 5 6 7 8 | 9 ...        |: a new row group begins
    ranges   [ 0 ... 3 ] [ 4 ... 8 ] [ 9 ...

A range ends with a row group where it can, because whoever runs a part of a group decodes it from its start. The
ranges depend on the plan alone, so all workers agree on them. They get longer with the plan: a small job has one for
each row group, a large one some thousands, since each costs a request to claim and an entry in every listing.

Cost: the plan as one Arrow table, about 150 bytes a unit, and one byte a unit besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow.parquet as pq

from jobs import storage
from jobs.plan.units import unit_of
from jobs.storage.folders import JobFolder
from transforms.work import Unit

MAX_RANGE_UNITS = 64
_RANGES = 1024  # as many as there shall be before they get longer
_GROUP_FACTOR = 4  # a row group may make its range this many times longer


@dataclass(frozen=True, slots=True)
class Span:
    """A range of units: their positions in the plan, `end` excluded.

    >>> Span(128, 192).name
    '000128-000192'
    """

    begin: int
    end: int

    @property
    def name(self) -> str:
        return f"{self.begin:06d}-{self.end:06d}"

    def __len__(self) -> int:
        return self.end - self.begin


def cut_spans(starts: bytes | bytearray, units: int | None = None) -> list[Span]:
    """Cuts a plan into ranges.

    Args:
        starts: For each unit, 1 if a row group begins with it.
        units: Units in a range; None: by the length of the plan.

    >>> cut_spans(b"\\x01\\x00\\x00\\x00\\x01\\x01\\x00", 1)
    [Span(begin=0, end=4), Span(begin=4, end=5), Span(begin=5, end=7)]
    """
    length = units or max(1, min(MAX_RANGE_UNITS, len(starts) // _RANGES))
    spans, begin = [], 0
    while begin < len(starts):
        end = fit_to_groups(starts, begin, length, len(starts), longest=length * _GROUP_FACTOR)
        spans.append(Span(begin, end))
        begin = end
    return spans


def fit_to_groups(starts: bytes | bytearray, begin: int, length: int, limit: int, *, longest: int) -> int:
    """Returns the end of a part of the plan of about `length` units, at most `longest`, that begins at `begin`.

    It is where a row group ends, unless the group is too long, and at most `limit`.
    """
    wanted = min(begin + length, limit)
    end = starts.find(1, wanted, min(begin + longest, limit) + 1)
    if end >= 0:
        return end
    return limit if limit <= begin + longest else wanted


class PlannedUnits:
    """The units of a frozen plan by their positions."""

    def __init__(self, job_dir: JobFolder):
        self._job_dir = job_dir
        with storage.open_input(job_dir.plan) as file:
            self._table = pq.read_table(file)
        groups = zip(self._table["uri"].to_pylist(), self._table["row_group"].to_pylist(), strict=True)
        self.starts = bytearray()
        before = None
        for group in groups:
            self.starts.append(group != before)
            before = group

    def __len__(self) -> int:
        return len(self.starts)

    def ids(self, span: Span) -> list[str]:
        """The ids of the units of a range."""
        found: list[str] = self._table["unit_id"].slice(span.begin, len(span)).to_pylist()
        return found

    def units(self, positions: Iterable[int]) -> list[Unit]:
        """The units at these positions."""
        return [unit_of(stored, self._job_dir) for stored in self._table.take(list(positions)).to_pylist()]


def position_of(unit_id: str) -> int:
    """The position of a unit in the plan: `000042-9f3a1c` is the 42nd after the first."""
    return int(unit_id.partition("-")[0])
