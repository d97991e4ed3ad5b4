"""Where grouped rows are cut into row groups, each of which becomes a unit of the job: it depends on the rows alone.

small repositories       follow each other in a row group of up to `GROUP_MB`
a repository above that  has row groups of its own, each up to that size, so that several processes can pack it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

# Per unit: the last packed row of each stays partly empty, one in about 140, and at the end of a job one process works
# on the last one alone.
GROUP_MB: Final = 4

# Raise it with every change after which the same input gives other grouped files: they are made again for units that
# must run after a job was complete, and the plan names them and their row groups.
VERSION: Final = 2


class Repository(NamedTuple):
    """A repository's rows in a file of sorted entries (`jobs.grouping.runs`): the file, where they are, their text."""

    entries: str
    first: int
    files: int
    num_bytes: int

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


def blocks_of(repositories: Iterable[Repository]) -> Iterator[Block]:
    """Yields the repositories by row group, in order, a large one alone."""
    block: list[Repository] = []
    filled, most_bytes = 0, GROUP_MB * 1_000_000
    for repository in repositories:
        if block and (repository.is_large or filled + repository.num_bytes > most_bytes):
            yield Block(tuple(block))
            block, filled = [], 0
        block.append(repository)
        filled += repository.num_bytes
        if repository.is_large:
            yield Block(tuple(block))
            block, filled = [], 0
    if block:
        yield Block(tuple(block))


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
