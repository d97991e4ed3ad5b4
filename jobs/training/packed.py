"""Packed rows from `codemill pack`, as `codemill train` reads them.

The metadata of a file of packed rows records the tokenizer and the length it was packed with. A run with another
tokenizer or length is refused before any row is read.

Rows are read on demand: a few row groups at a time, sampled from anywhere in the input, with all their rows shuffled
together. A resumed run skips row groups without reading them. Memory: about `SHUFFLE_TOKENS` tokens at nine bytes each,
and the memory that Parquet needs to read one row group.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.plan.footers import place_fault
from jobs.plan.input_paths import expand
from jobs.training.left_out import LeftOut
from model.errors import ConfigError
from model.tokenizer import Tokenizer
from transforms.fim.training_rows import PackedRow
from transforms.opt_out.rows import is_packed
from transforms.packing.rows import CONTEXT_LENGTH_KEY, TOKENIZER_KEY
from transforms.rows.row import derive_seed

SHUFFLE_TOKENS: Final = 16_000_000
PACKED_COLUMNS: Final = frozenset({"input_ids", "segment_ids", "loss_mask"})


class RowGroup(NamedTuple):
    """A row group of packed rows: its file, its number in the file, its number of rows to train on, and which these are
    unless they are all."""

    uri: str
    number: int
    rows: int
    chosen: tuple[int, ...] | None = None


@dataclass(frozen=True)
class PackedSource:
    """Packed rows from `codemill pack`, shuffled again in each epoch.

    Args:
        groups: All row groups, in the order of the input.
        length: Tokens per row; shorter rows are padded.
        pad: Id of the padding token.
        middle_weight: Loss weight of a middle's tokens and of the token that ends it; all others have weight 1.
        seed: Seed of the order.
    """

    groups: Sequence[RowGroup]
    length: int
    pad: int
    middle_weight: float
    seed: int

    def rows(self, epoch: int, start: int) -> Iterator[PackedRow]:
        """See `Source`; row groups before `start` aren't read."""
        order = list(self.groups)
        random.Random(derive_seed(self.seed, "order", "packed_rows", epoch)).shuffle(order)
        for number, window in enumerate(self._windows(order)):
            count = sum(group.rows for group in window)
            if start >= count:
                start -= count
                continue
            drawn = list(range(count))
            random.Random(derive_seed(self.seed, "window", "packed_rows", epoch, number)).shuffle(drawn)
            held = _Held.read(window, with_parts=self.middle_weight != 1.0)
            for index in drawn[start:]:
                yield self._row(held, index)
            start = 0

    def _windows(self, order: Sequence[RowGroup]) -> Iterator[list[RowGroup]]:
        """Yields runs of row groups of about `SHUFFLE_TOKENS` tokens, at least one group each."""
        window: list[RowGroup] = []
        rows = 0
        for group in order:
            if window and (rows + group.rows) * self.length > SHUFFLE_TOKENS:
                yield window
                window, rows = [], 0
            window.append(group)
            rows += group.rows
        if window:
            yield window

    def _row(self, held: _Held, index: int) -> PackedRow:
        tokens, segment_ids, loss_mask = (
            held.values(name, index) for name in ("input_ids", "segment_ids", "loss_mask")
        )
        room = self.length - len(tokens)
        weights = loss_mask.astype(np.float32)
        for first, last in held.middles(index):
            weights[first:last] *= self.middle_weight
        return PackedRow(
            np.pad(tokens, (0, room), constant_values=self.pad),
            np.pad(segment_ids, (0, room)),
            np.pad(weights, (0, room)),
        )


@dataclass(frozen=True)
class _Held:
    """The rows of a few row groups in memory, each column as one flat array with the rows' offsets."""

    columns: dict[str, tuple[np.ndarray, np.ndarray]]

    @classmethod
    def read(cls, window: Sequence[RowGroup], *, with_parts: bool) -> _Held:
        """Reads row groups, only the columns that training needs."""
        names = sorted(PACKED_COLUMNS)
        fields = ("token_end", "middle_tokens") if with_parts else ()
        paths = [*names, *(f"parts.list.element.{name}" for name in fields)]
        tables = []
        for group in window:
            with storage.open_input(group.uri) as handle, pq.ParquetFile(handle) as parquet:
                table = parquet.read_row_group(group.number, columns=paths)
            tables.append(table if group.chosen is None else table.take(pa.array(group.chosen, pa.int64())))
        table = pa.concat_tables(tables)
        columns = {name: _flat(table.column(name)) for name in names}
        if with_parts:
            parts = table.column("parts").combine_chunks()
            offsets = parts.offsets.to_numpy()
            columns |= {name: (pc.struct_field(parts.values, name).to_numpy(), offsets) for name in fields}
        return cls(columns)

    def values(self, name: str, index: int) -> np.ndarray:
        """A column's values of one row."""
        values, offsets = self.columns[name]
        return values[offsets[index] : offsets[index + 1]]

    def middles(self, index: int) -> Iterator[tuple[int, int]]:
        """Yields the range of each middle of a row, with the token that ends it; nothing if parts weren't read."""
        if "middle_tokens" not in self.columns:
            return
        for end, count in zip(self.values("token_end", index), self.values("middle_tokens", index), strict=True):
            if count:
                yield int(end - count), int(end) + 1


def _flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """A list column as one array and the offsets of its rows."""
    lists = column.combine_chunks()
    return lists.values.to_numpy(zero_copy_only=False), lists.offsets.to_numpy()


def open_packed(
    patterns: Sequence[str],
    tokenizer: Tokenizer,
    length: int,
    left_out: LeftOut | None = None,
    flag: str = "--input",
) -> list[RowGroup] | None:
    """Returns the row groups of packed rows, or None if the input is a corpus.

    Args:
        patterns: Files, folders and globs.
        tokenizer: The run's vocabulary.
        length: Tokens per row.
        left_out: The rows to leave out.
        flag: The option that names them.

    Raises:
        ConfigError: Rows were packed with another tokenizer or to another length, or are mixed with other files.
    """
    groups: list[RowGroup] = []
    packed, others = [], []
    for uri in expand(patterns):
        if place_fault(uri):  # reading it as a corpus reports the fault
            others.append(uri)
            continue
        try:
            with storage.open_input(uri) as handle, pq.ParquetFile(handle) as parquet:
                schema = parquet.schema_arrow
                counts = [parquet.metadata.row_group(index).num_rows for index in range(parquet.num_row_groups)]
        except (pa.ArrowException, OSError):  # reading it as a corpus reports the fault
            others.append(uri)
            continue
        if not set(schema.names) >= PACKED_COLUMNS:
            others.append(uri)
            continue
        _check_packed(uri, schema.metadata or {}, tokenizer, length)
        packed.append(uri)
        groups += [
            group
            for index, count in enumerate(counts)
            if count and (group := _group(RowGroup(uri, index, count), left_out)).rows
        ]
    if packed and others:
        raise ConfigError(f"{flag} mixes packed rows ({packed[0]}) with other files ({others[0]}); pass only one kind")
    if packed and not groups:
        raise ConfigError(f"{flag} has no rows: {len(packed)} files of packed rows, all of them empty")
    return groups if packed else None


def _group(group: RowGroup, left_out: LeftOut | None) -> RowGroup:
    """The row group without the rows to leave out, for which their parts are read."""
    if left_out is None or left_out.matcher is None:
        return group
    with storage.open_input(group.uri) as handle, pq.ParquetFile(handle) as parquet:
        if not is_packed(parquet.schema_arrow):
            raise ConfigError(
                f"--opt_out: {group.uri} has no parts that say which repositories its rows are from, so nobody would "
                "be left out; pack the corpus again"
            )
        table = parquet.read_row_group(group.number, columns=["parts"])
    chosen = tuple(index for index, stays in enumerate(left_out.stays_packed(table)) if stays)
    return group if len(chosen) == group.rows else group._replace(rows=len(chosen), chosen=chosen)


def _check_packed(uri: str, metadata: dict[bytes, bytes], tokenizer: Tokenizer, length: int) -> None:
    """Checks a file of packed rows against the run's tokenizer and length."""
    if TOKENIZER_KEY not in metadata or CONTEXT_LENGTH_KEY not in metadata:
        raise ConfigError(
            f"{uri} has the columns of packed rows but doesn't record which tokenizer its ids come from; "
            "pack the corpus with this version of codemill"
        )
    packed_with = metadata[TOKENIZER_KEY].decode()
    if packed_with != tokenizer.sha256:
        raise ConfigError(
            f"{uri} was packed with tokenizer {packed_with[:12]}, --tokenizer is {tokenizer.sha256[:12]} "
            f"({tokenizer.vocab_size:,} pieces); use the one it was packed with, or pack the corpus again"
        )
    packed_to = int(metadata[CONTEXT_LENGTH_KEY])
    if packed_to != length:
        raise ConfigError(
            f"{uri} has rows of {packed_to} tokens, --length is {length}; "
            f"use --length {packed_to}, or pack the corpus with --context_length {length}"
        )
