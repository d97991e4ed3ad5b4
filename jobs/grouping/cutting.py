"""Where grouped rows are cut into row groups, each of which becomes a unit of the job: it depends on the rows alone.

    small repositories       follow each other in a row group of up to `GROUP_MB`
    a repository above that  has row groups of its own, each up to that size, so that several processes can pack it

Of what is left at the end, a row group takes at most the `SHARE`th part, and no less than `LEAST_MB`: units become
smaller, so that processes that pack them end at about the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

GROUP_MB: Final = 8  # per unit; the last packed row of each unit stays partly empty, one in about 300
SHARE: Final = 8
LEAST_MB: Final = 1


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
        left: Bytes of text from its first row to the end of the corpus; None if that is not known.
    """

    repositories: tuple[Repository, ...]
    left: int | None

    @property
    def num_bytes(self) -> int:
        """Bytes of its text."""
        return sum(repository.num_bytes for repository in self.repositories)

    @property
    def is_large(self) -> bool:
        """Whether it is a large repository."""
        return self.repositories[0].is_large


def most_bytes(left: int | None) -> float:
    """The most bytes of a row group that starts where `left` bytes of the corpus are left."""
    most = GROUP_MB * 1_000_000
    return most if left is None else min(most, max(left / SHARE, LEAST_MB * 1_000_000))


def blocks_of(repositories: Iterable[Repository], total: int | None) -> Iterator[Block]:
    """Yields the repositories by row group, a large one alone.

    Args:
        repositories: In order.
        total: Bytes of their text; None if that is not known.
    """
    block: list[Repository] = []
    filled = 0
    left = total
    for repository in repositories:
        if block and (repository.is_large or filled + repository.num_bytes > most_bytes(left)):
            yield Block(tuple(block), left)
            left = None if left is None else left - filled
            block, filled = [], 0
        block.append(repository)
        filled += repository.num_bytes
        if repository.is_large:
            yield Block(tuple(block), left)
            left = None if left is None else left - filled
            block, filled = [], 0
    if block:
        yield Block(tuple(block), left)


def cut(sizes: Sequence[int], left: int | None) -> list[int]:
    """Returns how many files each row group of a large repository has; the sizes are in packing order."""
    counts: list[int] = []
    count = filled = 0
    for size in sizes:
        if count and filled + size > most_bytes(left):
            counts.append(count)
            left = None if left is None else left - filled
            count = filled = 0
        count += 1
        filled += size
    return [*counts, count] if count else counts
