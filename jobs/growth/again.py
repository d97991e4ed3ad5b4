"""Rows of a dataset that depend on others which now leave it or come: they are decided again.

    rows that leave or are new -> the rows that were rejected as their duplicates, or that were packed together with
                                  them (the job tells, `Dependents`)
                               -> their files are read again, and these rows count as new

Rows whose file is gone leave: nothing has their text, and should they come back, they are new.

Cost: nothing unless rows leave; then one pass over the list of the dataset's rows, and the files with such rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from jobs.growth.representatives import Place
from jobs.growth.rows import live_rows
from jobs.plan.news import Differences
from jobs.storage.folders import OutputFolder
from transforms.growth.matching import REPLACED, Matches

DECIDED_AGAIN: Final = "decided_again"
"""Why a rejected row leaves the dataset, and is among the new ones."""


@dataclass(frozen=True)
class Dependents:
    """Which rows of a dataset must be decided again when others leave it or are new.

    Args:
        find: `find(base, leaving, new)`: these rows of an edition, by the places of those that leave it, and the new
            ones with their identities (`ROWS_SCHEMA`).
        needs_new: Whether it asks for the new ones, which are read for it; else they may be missing.
    """

    find: Callable[[OutputFolder, Set[Place], pa.Table], Set[Place]]
    needs_new: bool = False


_PLACE: Final = ("edition", "name", "row_group", "row")


def places_of(table: pa.Table) -> Iterator[Place]:
    """The places of rows of a dataset (`jobs.growth.rows.LIVE_SCHEMA`)."""
    yield from map(Place, *(table[name].to_pylist() for name in _PLACE))


def with_files_of(found: Differences, base: OutputFolder, again: Set[Place]) -> Differences:
    """The same differences, but files that haven't changed and have such rows are read like those that have."""
    names = set()
    for table in live_rows(base):
        files = zip(places_of(table), table["file"].to_pylist(), strict=True)
        names |= {file for place, file in files if place in again}
    read = [file for file in found.same if file.public_name in names]
    same = [file for file in found.same if file.public_name not in names]
    return replace(found, changed=[*found.changed, *read], same=same)


def with_again(found: Matches, held: pa.Table, again: Set[Place]) -> Matches:
    """The same matches, but these rows leave the dataset, and those that are the same in the input are new."""
    partners, reasons, is_new = list(found.partners), list(found.reasons), list(found.is_new)
    for index, place in enumerate(places_of(held)):
        if place not in again:
            continue
        if (partner := partners[index]) is not None:
            partners[index], is_new[partner] = None, True
        if reasons[index] != REPLACED:
            reasons[index] = DECIDED_AGAIN
    return Matches(partners, reasons, is_new)
