"""What `codemill train` reads, and the batches it makes of it.

    a corpus (a column of text)                            -> examples cut anew in each epoch
    packed rows (input_ids, segment_ids, loss_mask)        -> the same rows in another order in each epoch

Which of the two an input is shows in its columns. Packed rows are read by `jobs.training.packed`; a corpus is read once
into memory, and `transforms.fim.training_rows` cuts examples out of it.
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
import pyarrow.parquet as pq

from jobs import storage
from jobs.plan.input_paths import expand
from jobs.plan.inputs import read_inputs
from model.errors import ConfigError
from model.tokenizer import Tokenizer
from model.training.step import Rows
from transforms.fim.training_rows import ExampleRecipe, PackedRow, rows_of
from transforms.rows.columns import ColumnOverrides, RowLimits, table_to_rows
from transforms.rows.rejections import RejectedRow
from transforms.rows.row import Row
from transforms.work import Unit


class Place(NamedTuple):
    """Where in the data a run stands: the next row to train on."""

    epoch: int
    row: int


class Source(Protocol):
    """Where rows come from."""

    def rows(self, epoch: int, start: int) -> Iterator[PackedRow]:
        """The rows of one epoch from row `start` on, each of the run's length; the same whenever it is asked."""
        ...


# --- a corpus -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CorpusSource:
    """Files in memory, cut into examples anew in each epoch."""

    files: Sequence[Row]
    tokenizer: Tokenizer
    recipe: ExampleRecipe
    length: int
    seed: int

    def rows(self, epoch: int, start: int) -> Iterator[PackedRow]:
        """See `Source`; the rows before `start` are made and left out."""
        made = rows_of(self.files, self.tokenizer, self.recipe, length=self.length, seed=self.seed, epoch=epoch)
        return itertools.islice(made, start, None)


def read_files(patterns: Sequence[str]) -> list[Row]:
    """The good files of a corpus, all in memory; says on stderr how many rows were no good.

    Raises:
        ConfigError: No file, or none with a row that can be trained on.
    """
    inputs = read_inputs(expand(patterns), ColumnOverrides())
    kept: list[Row] = []
    rejected = 0
    for file in inputs.files:
        if file.state != "good":
            print(f"{file.uri}: {file.reason}: {file.detail}", file=sys.stderr)
            continue
        for row in _file_rows(file, inputs.columns):
            if isinstance(row, RejectedRow):
                rejected += 1
            else:
                kept.append(row)
    if rejected:
        print(
            f"{rejected} of {rejected + len(kept)} rows are unusable for training (empty, binary or too large)",
            file=sys.stderr,
        )
    if not kept:
        raise ConfigError("--input has no usable rows")
    return kept


def _file_rows(file: Any, columns: Any) -> Iterator[Any]:
    """The rows of one Parquet file, good and rejected."""
    used = (columns.content, columns.path, columns.repo_name, columns.language)
    with storage.open_input(file.uri) as handle, pq.ParquetFile(handle) as parquet:
        names = [name for name in used if name in parquet.schema_arrow.names]
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=names)
            unit = Unit(
                unit_id=f"{group}", uri=file.uri, version=file.version, row_group=group,
                row_start=0, row_count=table.num_rows, num_bytes=table.nbytes,
            )  # fmt: skip
            yield from table_to_rows(table, unit, range(table.num_rows), columns, RowLimits())


# --- batches ------------------------------------------------------------------------------------------------------


def batches(source: Source, batch_rows: int, place: Place) -> Iterator[tuple[Rows, Place]]:
    """Batches from a place in the data on, each with the place after it, for ever; made in a thread ahead of use."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=8)
    closed = threading.Event()

    def fill() -> None:
        try:
            for item in _make_batches(source, batch_rows, place):
                while not closed.is_set():
                    try:
                        ready.put(item, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if closed.is_set():
                    return
        except BaseException as error:  # to the consumer, who raises it
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


def _make_batches(source: Source, batch_rows: int, place: Place) -> Iterator[tuple[Rows, Place]]:
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
            raise ConfigError("--input yields no examples: no FIM span in its files fits a row; raise --length")
        # Rows left over begin the next epoch's first batch; a checkpoint never stands between them.
        epoch, start = epoch + 1, 0


def _stack(packed: Sequence[PackedRow]) -> Rows:
    def stacked(name: str, dtype: Any) -> Any:
        return np.asarray([getattr(row, name) for row in packed], dtype)

    return Rows(
        tokens=stacked("tokens", np.int32),
        segment_ids=stacked("segment_ids", np.int32),
        loss_weights=stacked("loss_weights", np.float32),
    )
