"""What the driver and the workers of `codemill corpus` tell each other.

    driver                                           worker (`jobs.collecting.child`)
    NewSource   what rows of a source share      ->
    ChunkTask   files of one source to work on   ->
                                                 <-  PartDone   in a slot: rows of some of the files; then more, or
                                                 <-  ChunkDone  all have been passed on
    SlotFree    the rows have been read          ->
    SurveyTask  the licenses of an archive       ->
                                                 <-  SurveyDone
                                                 <-  AskNeighbors  a file needs what the others are written in
    Count       nobody knows: count them         ->
                                                 <-  Counted
    Neighbors   so they are                      ->

Messages are pickled, small, and go over a pipe; contents of files and rows lie in `jobs.collecting.slots`,
row groups encoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transforms.corpus.entries import Refused
from transforms.corpus.neighbors import EncodingCounts
from transforms.corpus.origin import GroupLimits, Origin
from transforms.corpus.sources import Source

if TYPE_CHECKING:  # importing it takes a while
    from transforms.corpus.notice import Attribution
    from transforms.rows.footers import Entry


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker could start."""


@dataclass(frozen=True, slots=True)
class Bug:
    """The worker raised what it should not; the text is a traceback."""

    text: str


@dataclass(frozen=True, slots=True)
class NewSource:
    """A source, by its number; without the list of tracked files, which may be long."""

    number: int
    source: Source
    origin: Origin
    limits: GroupLimits


@dataclass(frozen=True, slots=True)
class Stored:
    """A file whose bytes lie in the chunk's input slot."""

    path: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class ChunkTask:
    """Files to work on: paths that the worker reads, files whose bytes lie in the input slot, refusals."""

    number: int
    source: int
    first_index: int
    items: list[str | Stored | Refused]
    slot: int


@dataclass(frozen=True, slots=True)
class PartDone:
    """What became of the next files of a chunk lies in an output slot.

    Args:
        chunk, slot: Which.
        places: Offset and size of kept and of rejected rows in the slot.
        group: Number of rows and entry in a footer, where the kept rows are an encoded row group; None: a table.
        counts, num_files, attribution: The part's.
    """

    chunk: int
    slot: int
    places: Sequence[tuple[int, int]]
    group: tuple[int, Entry] | None
    counts: Counter[str]
    num_files: int
    attribution: Attribution


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """All parts of a chunk have been passed on."""

    chunk: int


@dataclass(frozen=True, slots=True)
class SlotFree:
    """An output slot has been read."""

    slot: int


@dataclass(frozen=True, slots=True)
class SurveyTask:
    """An archive whose licenses are to be found."""

    source: Source


@dataclass(frozen=True, slots=True)
class SurveyDone:
    """The licenses by folder."""

    licenses: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class AskNeighbors:
    """A worker waits for the encodings of a source."""

    source: int


@dataclass(frozen=True, slots=True)
class Count:
    """Nobody knows them yet: count them. The source is whole."""

    source: Source


@dataclass(frozen=True, slots=True)
class Counted:
    """The encodings of a source, from the worker that counted."""

    source: int
    counts: EncodingCounts


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The encodings of the source that the worker asked for."""

    counts: EncodingCounts
