"""Rows that were left out because of a row that now leaves the dataset: they are decided again.

    rows that leave -> the rows that were rejected as their duplicates (the job tells, `Dependents`)
                    -> their files are read again, and these rows count as new

Of rows whose file is gone only the records leave: nothing has their text, and should they come back, they are new.

Cost: nothing unless rows leave; then one pass over the list of the dataset's rows, and the files with such rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from typing import Final

import pyarrow as pa

from jobs.growth.representatives import Place
from jobs.growth.rows import live_rows
from jobs.plan.news import Differences
from jobs.storage.folders import OutputFolder
from transforms.growth.matching import Matches

DECIDED_AGAIN: Final = "decided_again"
"""Why a rejected row leaves the dataset, and is among the new ones."""

Dependents = Callable[[OutputFolder, Set[Place]], Set[Place]]
"""`dependents(base, leaving)`: the rows that were rejected because of rows that leave now."""

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
        reasons[index] = DECIDED_AGAIN
    return Matches(partners, reasons, is_new)
