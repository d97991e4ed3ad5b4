"""Looks at the input of a dataset that grows: which rows of files that differ are new, known, or no longer there.

    rows of files that are the same   stay, unless their repositories have opted out since
    rows of the other files           are matched with the rows of new and changed files (`transforms.growth.matching`)

Cost: one pass over the list of the dataset's rows. Files that differ are read if the dataset has rows of changed or
gone ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from jobs.growth.again import places_of, with_again
from jobs.growth.present import Rows, read_present, rows_to_read
from jobs.growth.representatives import Place
from jobs.growth.rows import LIVE_SCHEMA, live_rows
from jobs.options import CommonOptions
from jobs.plan.footers import InputFile
from jobs.plan.freezing import column_overrides
from jobs.plan.input_paths import names_beside
from jobs.plan.inputs import Inputs, read_inputs
from jobs.plan.news import Differences
from jobs.plan.reader import ReadFooters
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError
from transforms.growth.identity import ROWS_SCHEMA
from transforms.growth.matching import GONE, match_rows
from transforms.opt_out.hashed import HashedOptOut
from transforms.rows.columns import ColumnMap

_MOST_KEPT: Final = 262_144  # rows held between planning and freezing, about 30 MB


@dataclass(frozen=True)
class Held:
    """Rows of a dataset that may not be in its input anymore, and what becomes of each.

    Args:
        rows: Rows of `LIVE_SCHEMA`.
        files: The file that has each of them now; None: none has, or it leaves the dataset.
        reasons: Why it leaves the dataset; "" if it stays.
    """

    rows: pa.Table
    files: Sequence[str | None]
    reasons: Sequence[str]


@dataclass(frozen=True)
class Look:
    """What a look at the files that differ has found.

    Args:
        at: The files; with those that are read again among the changed ones.
        inputs: Those that were read.
        stays, out: How many rows the others have, and how many have opted out.
        retry: The rows to plan, None for all.
        held: What becomes of the rows of files that differ.
        known: How many rows of these files the dataset has already.
        new: The identities of the new rows, as far as the files were read.
        again: How many of these the dataset has as well, and decides again.
        kept: The rows of the others, if they are few enough to be held.
    """

    at: Differences
    inputs: Inputs
    stays: int
    out: int
    retry: Rows | None
    held: Held
    known: int
    new: pa.Table
    again: int
    kept: Sequence[pa.Table] | None


@dataclass(frozen=True, kw_only=True)
class Looking:
    """How to look at files that differ from those of an edition.

    Args:
        base: The edition.
        before: The files of its input.
        known: The schema and the columns in which they were read, without files.
        identified_by: Those of the columns that identify rows.
        options: The job's options now.
        read: Reads footers; None uses a separate child process.
        opted_out: Finds rows that have opted out since the edition; None if the lists are the same.
        drops_gone: Whether rows that are gone leave the dataset.
        needs_new: Whether files are read for the identities of new rows although nothing else asks for them.
    """

    base: OutputFolder
    before: Sequence[InputFile]
    known: Inputs
    identified_by: ColumnMap
    options: CommonOptions
    read: ReadFooters | None
    opted_out: HashedOptOut | None
    drops_gone: bool
    needs_new: bool

    def look(self, at: Differences, again: Set[Place] = frozenset()) -> Look:
        """Looks at files; rows of the edition at these places count as new again, where the input still has them.

        Raises:
            ConfigError: A file's types or columns conflict with those of the dataset.
        """
        inputs = self._read(at)
        if inputs.columns != self.known.columns:
            raise ConfigError(_other_columns(self.known.columns, inputs.columns))
        stays, held, out, kept = self._split({file.public_name for file in (*at.changed, *at.gone)})
        return Look(at, inputs, stays, out, *self._matched(inputs, held, again), kept)

    def leaving(self, held: Held) -> Iterator[Place]:
        """The rows that leave the dataset."""
        yield from places_of(held.rows.filter(pa.array([bool(reason) for reason in held.reasons], pa.bool_())))
        for table in live_rows(self.base) if self.opted_out is not None else ():
            yield from places_of(without(table, self.opted_out)[1])

    def _read(self, at: Differences) -> Inputs:
        """Reads the footers of new and changed files; a changed one keeps its name."""
        uris = [*(file.uri for file in at.changed), *at.new]
        if not uris:
            return self.known
        names = [file.public_name for file in at.changed]
        names += names_beside((file.public_name for file in self.before), at.new)
        return read_inputs(uris, column_overrides(self.options), names=names, read=self.read, base=self.known.schema)

    def _split(self, differing: Set[str]) -> tuple[int, pa.Table, int, list[pa.Table] | None]:
        """How many rows are in files that haven't changed, the rows that aren't, how many have opted out, and the first
        ones, if they are few."""
        stays = out = 0
        held = [LIVE_SCHEMA.empty_table()]
        kept: list[pa.Table] | None = []
        for table in live_rows(self.base):
            table, gone = without(table, self.opted_out)
            out += gone.num_rows
            is_same = stay_with_files(table, differing)
            stays += pc.sum(is_same).as_py() or 0
            held.append(table.filter(pc.invert(is_same)))
            if kept is not None:
                kept.append(table.filter(is_same))
                if stays > _MOST_KEPT:
                    kept = None
        return stays, pa.concat_tables(held), out, kept

    def _matched(
        self, inputs: Inputs, held: pa.Table, again: Set[Place]
    ) -> tuple[Rows | None, Held, int, pa.Table, int]:
        """Matches rows of the dataset with those of files that differ.

        Returns:
            The rows to plan, None for all; what becomes of the held rows; how many rows the dataset has already; the
            new rows, if the files were read; and how many of them it has as well, and decides again.
        """
        if not held.num_rows and not self.needs_new:
            return None, Held(held, (), ()), 0, ROWS_SCHEMA.empty_table(), 0
        present = read_present(dataclasses.replace(inputs, columns=self.identified_by))
        matched = match_rows(held, present.identified)
        found = with_again(matched, held, again)
        new = present.identified.filter(pa.array(found.is_new, pa.bool_()))
        returned = sum(found.is_new) - sum(matched.is_new)
        names = present.identified["name"].to_pylist()
        files = [None if partner is None else names[partner] for partner in found.partners]
        reasons = [reason if reason != GONE or self.drops_gone else "" for reason in found.reasons]
        known = len(found.is_new) - sum(found.is_new)
        return rows_to_read(present, list(found.is_new)), Held(held, files, reasons), known, new, returned


def _other_columns(before: ColumnMap, now: ColumnMap) -> str:
    told = [
        f"the column for {role.replace('_', ' ')} was {one or 'none'}, would now be {other or 'none'}"
        for role, one in dataclasses.asdict(before).items()
        if one != (other := getattr(now, role))
    ]
    return (
        f"new files have other columns: {'; '.join(told)}; rename the new column, name the old one with an option in "
        "another --output, or leave these files out"
    )


def without(table: pa.Table, opted_out: HashedOptOut | None) -> tuple[pa.Table, pa.Table]:
    """The rows that haven't opted out, and those that have."""
    if opted_out is None:
        return table, table.slice(0, 0)
    has = pa.array([any(map(opted_out.find, found)) for found in table["repositories"].to_pylist()], pa.bool_())
    return table.filter(pc.invert(has)), table.filter(has)


def stay_with_files(table: pa.Table, differing: Set[str]) -> Any:
    """Whether the file of each row is none of these: those of an edition's files that have changed, or are gone."""
    has_file = table["file"].is_valid()
    if not differing:
        return has_file
    return pc.and_(has_file, pc.invert(pc.is_in(table["file"], pa.array(differing, pa.large_string()))))
