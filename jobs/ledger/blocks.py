"""Blocks of rows, of which the row groups of shards are made: 64 rows each, the last one of a unit fewer.

    pieces of a unit, however they are cut -> blocks -> their sizes, kept in the unit's commit
                                                     -> where row groups of a shard end

So where a row group ends follows from the commits alone, and several processes can encode the groups of one shard.
Cost: `size_of` a block; copies where a block's rows are in several pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from transforms.rows.sizes import size_of

BLOCK_ROWS = 64
"""A row may have ten megabytes, and a batch is in memory before its size is known."""


class Blocks:
    """Cuts tables that come one after the other into blocks.

    Two attempts at a unit may have its rows in other pieces, and give the same blocks.
    """

    def __init__(self) -> None:
        self._left: pa.Table | None = None

    def add(self, table: pa.Table) -> Iterator[pa.Table]:
        """Yields the blocks that the table completes."""
        start = 0
        if self._left is not None:
            start = BLOCK_ROWS - self._left.num_rows
            left = pa.concat_tables([self._left, table.slice(0, start)]).combine_chunks()
            self._left = left if left.num_rows < BLOCK_ROWS else None
            if self._left is not None:
                return
            yield left
        while start + BLOCK_ROWS <= table.num_rows:
            yield _joined(table.slice(start, BLOCK_ROWS))
            start += BLOCK_ROWS
        self._left = table.slice(start) if start < table.num_rows else None

    def rest(self) -> Iterator[pa.Table]:
        """Yields the last block, if rows are left."""
        if self._left is not None:
            yield _joined(self._left)
        self._left = None


def blocks_of(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cuts a unit's tables into blocks."""
    blocks = Blocks()
    for table in tables:
        yield from blocks.add(table)
    yield from blocks.rest()


class BlockSizes:
    """Takes down the sizes of a unit's blocks while its tables are written."""

    def __init__(self) -> None:
        self._blocks = Blocks()
        self._sizes: list[int] = []

    def add(self, table: pa.Table) -> None:
        """Takes the next rows."""
        self._sizes += map(size_of, self._blocks.add(table))

    def finish(self) -> tuple[int, ...]:
        """The sizes of all blocks, in bytes."""
        self._sizes += map(size_of, self._blocks.rest())
        return tuple(self._sizes)


def num_blocks(rows: int) -> int:
    """How many blocks so many rows of a unit are.

    >>> num_blocks(64), num_blocks(65)
    (1, 2)
    """
    return -(-rows // BLOCK_ROWS)


def _joined(block: pa.Table) -> pa.Table:
    """The block in one piece, since sizes and pages depend on where pieces end."""
    return block if all(column.num_chunks == 1 for column in block.columns) else block.combine_chunks()
