"""Where grouped rows are cut into row groups, each of which becomes a unit of the job: it depends on the rows alone.

small repositories        share a row group until it is full
a repository that fills   has one of its own, while that of small ones stays open
one above `GROUP_MB`      has several of its own, each up to that size, so that several processes can pack it

How much is full is a question of cost (`full_bytes`): a unit's last packed row stays partly empty, but whoever grows
the dataset packs whole units anew. Repositories that are `is_apart` share no row group with others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

GROUP_MB: Final = 4
"""No row group of several files has more text: a process holds one, and the last one of a job is one process's work."""
LEAST_MB: Final = 0.5
"""Nor is one of short rows closed with less: each unit costs a commit, two synchronized writes."""
FULL_ROWS: Final = 32
"""Packed rows that make a unit of small repositories full. Half a row is lost for each unit: with units of 1.6 times
that, as they are on average, 1% of all."""

# Raise it with every change after which the same input gives other grouped files: they are made again for units that
# must run after a job was complete, and the plan names them and their row groups.
VERSION: Final = 3


class Repository(NamedTuple):
    """A repository's rows in a file of sorted entries (`jobs.grouping.runs`): the file, where they are, their text, and
    whether it shares row groups only with others of its kind."""

    entries: str
    first: int
    files: int
    num_bytes: int
    is_apart: bool = False

    @property
    def is_large(self) -> bool:
        """Whether it has row groups of its own."""
        return self.num_bytes > GROUP_MB * 1_000_000


class Block(NamedTuple):
    """Small repositories that share a row group, or a large one alone.

    Args:
        repositories: In order.
    """

    repositories: tuple[Repository, ...]

    @property
    def is_large(self) -> bool:
        """Whether it is a large repository."""
        return self.repositories[0].is_large

    @property
    def num_bytes(self) -> int:
        """Bytes of text."""
        return sum(repository.num_bytes for repository in self.repositories)


def full_bytes(row_bytes: float) -> int:
    """The bytes of text that fill a row group of small repositories, if a packed row has so many.

    >>> full_bytes(2048 * 3.4), full_bytes(8192 * 3.4), full_bytes(65536 * 3.4)
    (500000, 891289, 4000000)
    """
    return int(min(GROUP_MB * 1_000_000, max(LEAST_MB * 1_000_000, FULL_ROWS * row_bytes)))


def blocks_of(repositories: Iterable[Repository], full: int | None = None) -> Iterator[Block]:
    """Yields the repositories by row group, small ones in order.

    Args:
        repositories: All of them.
        full: The bytes that fill a row group (`full_bytes`); None: as many as it may have.
    """
    most = GROUP_MB * 1_000_000
    full = int(most) if full is None else full
    blocks: dict[bool, list[Repository]] = {False: [], True: []}
    filled = dict.fromkeys(blocks, 0)
    for repository in repositories:
        if repository.num_bytes >= full:
            yield Block((repository,))
            continue
        kind = repository.is_apart
        if filled[kind] + repository.num_bytes > most:
            yield Block(tuple(blocks[kind]))
            blocks[kind], filled[kind] = [], 0
        blocks[kind].append(repository)
        filled[kind] += repository.num_bytes
        if filled[kind] >= full:
            yield Block(tuple(blocks[kind]))
            blocks[kind], filled[kind] = [], 0
    yield from (Block(tuple(block)) for block in blocks.values() if block)


def cut(sizes: Sequence[int]) -> list[int]:
    """Returns how many files each row group of a large repository has; the sizes are in packing order."""
    counts: list[int] = []
    count = filled = 0
    for size in sizes:
        if count and filled + size > GROUP_MB * 1_000_000:
            counts.append(count)
            count = filled = 0
        count += 1
        filled += size
    return [*counts, count] if count else counts
