"""The input of `codemill train` and the batches made of it.

    a corpus (a column of text)                            -> examples cut again in each epoch
    packed rows (input_ids, segment_ids, loss_mask)        -> the same rows in another order in each epoch

The columns decide which of the two an input is. `jobs.training.packed` reads packed rows; a corpus is read once into
memory, and `transforms.fim.training_rows` cuts examples out of it.
"""

from __future__ import annotations

import itertools
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from jobs import storage
from jobs.plan.input_paths import expand
from jobs.plan.inputs import read_inputs
from jobs.plan.partitions import partition_values
from jobs.storage.parquet import open_parquet
from jobs.terminal.escapes import print_line
from jobs.training.left_out import LeftOut
from model.errors import ConfigError
from model.tokenizer import Tokenizer
from model.training.step import Rows
from transforms.fim.training_rows import ExampleRecipe, PackedRow, rows_of
from transforms.rows.columns import ColumnOverrides, RowLimits, table_to_rows
from transforms.rows.rejections import RejectedRow
from transforms.rows.row import Row
from transforms.work import Unit


class Place(NamedTuple):
    """A run's position in the data: the next row to train on."""

    epoch: int
    row: int


class Source(Protocol):
    """A source of training rows."""

    def rows(self, epoch: int, start: int) -> Iterator[PackedRow]:
        """Yields the rows of one epoch from row `start` on, each of the run's length; each call yields the same."""
        ...


# --- a corpus -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CorpusSource:
    """Files in memory, cut into examples again in each epoch."""

    files: Sequence[Row]
    tokenizer: Tokenizer
    recipe: ExampleRecipe
    length: int
    seed: int

    def rows(self, epoch: int, start: int) -> Iterator[PackedRow]:
        """See `Source`; the rows before `start` are made and discarded."""
        made = rows_of(self.files, self.tokenizer, self.recipe, length=self.length, seed=self.seed, epoch=epoch)
        return itertools.islice(made, start, None)


def read_files(patterns: Sequence[str], left_out: LeftOut | None = None, flag: str = "--input") -> list[Row]:
    """Reads all usable rows of a corpus into memory; prints to stderr how many rows are unusable.

    Args:
        patterns: Files, folders and globs.
        left_out: The rows to leave out.
        flag: The option that names them.

    Raises:
        ConfigError: There is no file, or no file has a usable row.
    """
    inputs = read_inputs(expand(patterns), ColumnOverrides())
    kept: list[Row] = []
    rejected = 0
    for file in inputs.files:
        if file.state != "good":
            print_line(f"{file.uri}: {file.reason}: {file.detail}", sys.stderr)
            continue
        for row in _file_rows(file, inputs.columns, left_out or LeftOut()):
            if isinstance(row, RejectedRow):
                rejected += 1
            else:
                kept.append(row)
    if rejected:
        print_line(
            f"{rejected} of {rejected + len(kept)} rows are unusable for training (empty, binary or too large)",
            sys.stderr,
        )
    if not kept:
        raise ConfigError(f"{flag} has no usable rows")
    return kept


def _file_rows(file: Any, columns: Any, left_out: LeftOut) -> Iterator[Any]:
    """Yields the rows of one Parquet file, usable and rejected."""
    used = (columns.content, columns.path, columns.repo_name, columns.language)
    constants = partition_values(file.uri)
    with storage.open_input(file.uri) as handle, open_parquet(handle) as parquet:
        there = set(parquet.schema_arrow.names)
        names = [name for name in used if name in there]
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=names)
            for name in used:
                if name in constants and name not in there:
                    table = table.append_column(
                        name, pa.repeat(pa.scalar(constants[name], pa.large_string()), len(table))
                    )
            table = table.filter(pa.array(left_out.stays(table), pa.bool_()))
            unit = Unit(
                unit_id=f"{group}", uri=file.uri, version=file.version, row_group=group,
                row_start=0, row_count=table.num_rows, num_bytes=table.nbytes,
            )  # fmt: skip
            yield from table_to_rows(table, unit, range(table.num_rows), columns, RowLimits())


# --- batches ------------------------------------------------------------------------------------------------------


def batches(source: Source, batch_rows: int, place: Place, flag: str = "--input") -> Iterator[tuple[Rows, Place]]:
    """Yields batches from `place` on, endlessly, each with the place after it; a thread prepares them ahead.

    Raises ConfigError if the source, which the option `flag` names, has no rows.
    """
    ready: queue.Queue[Any] = queue.Queue(maxsize=8)
    closed = threading.Event()

    def fill() -> None:
        try:
            for item in _make_batches(source, batch_rows, place, flag):
                while not closed.is_set():
                    try:
                        ready.put(item, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if closed.is_set():
                    return
        except BaseException as error:  # passed to the consumer, which raises it
            ready.put(error)

    threading.Thread(target=fill, name="training-rows", daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()


def _make_batches(source: Source, batch_rows: int, place: Place, flag: str) -> Iterator[tuple[Rows, Place]]:
    epoch, start = place
    waiting: list[PackedRow] = []
    while True:
        count = start
        for index, row in enumerate(source.rows(epoch, start), start):
            count += 1
            waiting.append(row)
            if len(waiting) == batch_rows:
                yield _stack(waiting), Place(epoch, index + 1)
                waiting = []
        if count == 0:
            raise ConfigError(f"{flag} yields no examples: no FIM span in its files fits a row; raise --length")
        # Leftover rows start the next epoch's first batch; no checkpoint is written between them and the rest of it.
        epoch, start = epoch + 1, 0


def _stack(packed: Sequence[PackedRow]) -> Rows:
    def stacked(name: str, dtype: Any) -> Any:
        return np.asarray([getattr(row, name) for row in packed], dtype)

    return Rows(
        tokens=stacked("tokens", np.int32),
        segment_ids=stacked("segment_ids", np.int32),
        loss_weights=stacked("loss_weights", np.float32),
    )
