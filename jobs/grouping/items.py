"""What the driver of grouping asks of other processes (`jobs.grouping.stages`), and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from jobs.grouping.cutting import Block, Repository
from jobs.grouping.reading import Piece
from jobs.grouping.runs import Run


@dataclass(frozen=True)
class SpoolItem:
    """Row groups to spool (file, group, number of rows); the paths of their runs begin with `path`."""

    pieces: tuple[Piece, ...]
    path: str


class Spooled(NamedTuple):
    """The runs of row groups, their rows, and the faults of damaged files.

    The rows before a damage count.
    """

    runs: tuple[Run, ...]
    rows: int
    faults: tuple[tuple[str, str], ...]


class FactsItem(NamedTuple):
    """A file whose facts are wanted, and where its text is."""

    path: str
    language: str
    texts: str
    offset: int
    stored: int
    size: int | None


class SortItem(NamedTuple):
    """A hash bucket whose entries are to be sorted into a file."""

    runs: tuple[Run, ...]
    bucket: int
    output: str


@dataclass(frozen=True)
class ChunkItem:
    """Some files of a large repository, whose facts are to be written to a file.

    Args:
        repository: Of which it has a part of the rows.
        texts: For each run the path of its texts.
        output: Where the facts go.
        suspects: Where the record of what kills its process is kept.
    """

    repository: Repository
    texts: tuple[str, ...]
    output: str
    suspects: str


@dataclass(frozen=True)
class OrderItem:
    """A large repository that is to be put in packing order.

    Args:
        repository: The repository.
        texts: For each run the path of its texts.
        facts: The files with the facts of its files, in order.
        output: Where its entries in packing order go.
    """

    repository: Repository
    texts: tuple[str, ...]
    facts: tuple[str, ...]
    output: str


class Slice(NamedTuple):
    """Some rows of a file of entries in packing order, for one row group."""

    entries: str
    first: int
    files: int


@dataclass(frozen=True)
class WriteItem:
    """A grouped file to write.

    Args:
        output: Its path.
        texts: For each run the path of its texts.
        groups: Its row groups: small repositories to be put in order, or rows that are in order.
        suspects: Where the record of what kills its process is kept.
    """

    output: str
    texts: tuple[str, ...]
    groups: tuple[Block | Slice, ...]
    suspects: str
