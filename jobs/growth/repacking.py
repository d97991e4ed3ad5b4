"""A packed dataset that grows: which units are packed anew, and of which rows.

    rows that leave or are new -> their repositories -> the units that have files of these
                               -> the other repositories of these units, and so on until there are no more
                               -> all rows of these units leave, and those that the input still has are packed anew

A packed row has the end of a file and the start of the next one, which may be another repository's, so nothing less
than a unit can be replaced. All other units stay byte for byte. What is packed anew is grouped by itself, in the
edition's own folder, into units of its own.

Cost: a few passes over the list of the dataset's rows, with 16 bytes a row in memory. The files with such rows are read
once for their hashes and once to group them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from jobs import storage
from jobs.grouping.reading import GroupSettings, Rows
from jobs.grouping.repositories import Spread, group_rows, read_manifest, write_manifest
from jobs.grouping.restoring import write_chosen
from jobs.growth.again import places_of
from jobs.growth.editions import newest
from jobs.growth.representatives import Place
from jobs.growth.rows import live_rows
from jobs.plan.inputs import Inputs
from jobs.plan.units import read_source_files
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from transforms.growth.identity import repository_number

AFTER_CHOSEN = register("growth.after_chosen")
AFTER_GROUPED = register("growth.after_grouped")

Numbers = npt.NDArray[np.int64]
_BITS: Final = 32
"""Editions and units are counted in one number, the edition above these bits."""


def packed_with(base: OutputFolder, leaving: Set[Place], new: pa.Table) -> set[Place]:
    """The rows of an edition that are packed anew: those of all units with files of a repository that changes.

    Args:
        base: The edition.
        leaving: The places of rows that leave it.
        new: The identities of rows that it takes in (`transforms.growth.identity.ROWS_SCHEMA`).
    """
    units, repositories, touched = _of_rows(base, leaving)
    changed = np.unique(np.concatenate([touched, _repositories(new)]))
    dead = np.zeros(0, np.int64)
    while True:
        found = np.unique(units[np.isin(repositories, changed)])
        if len(found) == len(dead):
            break
        dead = found
        changed = np.unique(np.concatenate([changed, repositories[np.isin(units, dead)]]))
    again: set[Place] = set()
    for table in live_rows(base) if len(dead) else ():
        again.update(places_of(table.filter(pa.array(np.isin(_units(table), dead)))))
    return again


def _of_rows(base: OutputFolder, leaving: Set[Place]) -> tuple[Numbers, Numbers, Numbers]:
    """Of all rows their units and repositories, as numbers; the repositories of those that leave."""
    nothing = np.zeros(0, np.int64)
    units, repositories, touched = [nothing], [nothing], [nothing]
    for table in live_rows(base):
        units.append(_units(table))
        repositories.append(_repositories(table))
        if leaving:
            leaves = np.fromiter((place in leaving for place in places_of(table)), bool, table.num_rows)
            touched.append(repositories[-1][leaves])
    return np.concatenate(units), np.concatenate(repositories), np.concatenate(touched)


def _units(table: pa.Table) -> Numbers:
    edition, unit = (table[name].to_numpy().astype(np.int64) for name in ("edition", "unit"))
    return (edition << _BITS) + unit


def _repositories(table: pa.Table) -> Numbers:
    """The repository of each row as a number."""
    names, keys = table["repositories"].to_pylist(), table["key"].to_pylist()
    return np.fromiter(map(repository_number, names, keys), np.int64, table.num_rows)


def group_again(
    output: OutputFolder,
    inputs: Inputs,
    rows: Rows,
    touched: frozenset[int],
    spread: Spread,
    settings: GroupSettings,
) -> str | None:
    """Groups rows of the input for a further edition, in its own folder; returns theirs, None if there are none.

    Args:
        output: The edition that is made.
        inputs: The files that have the rows.
        rows: The rows.
        touched: The repositories that have changed, by their numbers. They share units with each other alone: what
            changes one night often changes in the next.
        spread: As in `jobs.grouping.repositories`.
        settings: How rows are ordered.
    """
    job_dir = output.job
    storage.remove_tree(job_dir.path)  # of a run that was ended before it had a plan
    write_chosen(job_dir, rows)
    failpoint(AFTER_CHOSEN)
    before = read_manifest(output.of_edition(output.edition - 1).job)
    settings = dataclasses.replace(settings, only=rows, apart=touched)
    found = group_rows(inputs, job_dir, spread=spread, settings=settings)
    read = {file.public_name for file in inputs.files}
    faults = [(name, fault) for name, fault in before["bad_files"] if name not in read]
    grouped = dataclasses.replace(found, bad_files=(*faults, *found.bad_files))
    write_manifest(job_dir, grouped, inputs, before["asked"], touched)
    failpoint(AFTER_GROUPED)
    return grouped.folder if grouped.rows else None


def faulty_files(output: OutputFolder) -> list[tuple[str, str]]:
    """Name and fault of each file of the newest edition's input that could not be read to its end."""
    job_dir = newest(output).job
    faults = [(name, fault) for name, fault in read_manifest(job_dir)["bad_files"]]
    present = {file.public_name for file in read_source_files(job_dir)} if faults else set()
    return [(name, fault) for name, fault in faults if name in present]
