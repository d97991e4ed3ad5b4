"""Grouping by Beam's `GroupByKey`, for runners that shuffle on disk and over many machines.

    row groups -> Reshuffle -> (bucket, rows) -> GroupByKey -> order, write, commit

An element is not a row but all rows of one hash bucket in a run of rows, as compressed Arrow, because a shuffle costs
about 0.1 ms per element and copies its bytes several times. A hash bucket is written under a name unique to the attempt
and committed by a record that is created if absent, so a bucket that is written twice counts once. Rows are in the same
order as those that are grouped on disk, but a row group ends where a bucket ends.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import apache_beam as beam
import pyarrow as pa

from jobs import storage
from jobs.beam.pipelines import open_pipeline
from jobs.grouping.grouped_files import close_reader
from jobs.grouping.ordering import write_files
from jobs.grouping.reading import GroupSettings, Outcome, Piece, Reading, damage, pieces, reading_of
from jobs.grouping.runs import RunWriter
from jobs.grouping.stages import GroupStages
from jobs.ledger.commits import new_attempt_id
from jobs.plan.inputs import Inputs
from transforms.row_pool import RowPool
from transforms.spool import scratch_folder

# The reader buffers rows until all hash buckets together reach this size.
FLUSH_MB: Final = 32


def group_on_runner(
    inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings, *, beam_args: Sequence[str]
) -> Outcome:
    """Groups rows on the runner that Beam's flags name; writes grouped files to `folder`."""
    reading = reading_of(inputs)
    with open_pipeline(beam_args) as pipeline:
        (
            pipeline
            | "RowGroups" >> beam.Create(list(pieces(inputs, limit)))
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(ReadPieces(reading, folder))
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(WriteBuckets(folder, settings))
        )
    return _collect(folder)


class ReadPieces(beam.DoFn):
    """Reads row groups and yields their rows for each hash bucket. A damaged row group is recorded and skipped."""

    def __init__(self, reading: Reading, folder: str):
        self._reading = reading
        self._folder = folder

    def process(self, piece: Piece) -> Iterator[tuple[int, bytes]]:
        """Reads one row group."""
        file, group, rows = piece
        waiting: dict[int, list[pa.Table]] = defaultdict(list)
        waiting_bytes = 0
        try:
            for bucket, table in self._reading.spread(file, group, rows):
                waiting[bucket].append(table)
                waiting_bytes += table.nbytes
                if waiting_bytes > FLUSH_MB * 1_000_000:
                    yield from _compressed(waiting)
                    waiting, waiting_bytes = defaultdict(list), 0
        except (pa.ArrowException, OSError) as error:
            if storage.is_unanswered(error):
                raise  # the storage failed, not the file: the runner retries
            record = json.dumps([file.public_name, damage(error)]).encode()
            storage.create_if_absent(storage.join(self._folder, f"bad-{new_attempt_id()}.json"), record)
        yield from _compressed(waiting)


def _compressed(tables: dict[int, list[pa.Table]]) -> Iterator[tuple[int, bytes]]:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    for bucket, parts in tables.items():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, parts[0].schema, options=options) as writer:
            for part in parts:
                writer.write_table(part)
        yield bucket, sink.getvalue().to_pybytes()


class WriteBuckets(beam.DoFn):
    """Writes a hash bucket's grouped files and commits them, unless an earlier attempt did."""

    def __init__(self, folder: str, settings: GroupSettings):
        self._folder = folder
        # A process of its own, so that a file whose imports can't be read doesn't end the runner's.
        self._settings = dataclasses.replace(settings, workers=min(1, settings.workers))

    def setup(self) -> None:
        self._pool = RowPool(GroupStages(None, self._settings), self._settings.workers)

    def teardown(self) -> None:
        self._pool.close()

    def process(self, group: tuple[int, Iterable[bytes]]) -> None:
        """Writes one hash bucket."""
        number, parts = group
        record_path = storage.join(self._folder, f"repositories-{number:05d}.parquet.json")
        if storage.exists(record_path):
            return
        attempt = new_attempt_id()
        rows = 0
        with scratch_folder() as scratch:
            writer = RunWriter(storage.join(scratch, "run"))
            for part in parts:
                table = pa.ipc.open_stream(pa.BufferReader(part)).read_all()
                rows += table.num_rows
                writer.add(number, table)

            def name(file: int, part: int) -> str:
                return storage.join(self._folder, f"repositories-{number:05d}-{file:06d}-{part:06d}.{attempt}.parquet")

            written = write_files(self._pool, self._settings, writer.finish(), scratch, name)
            close_reader()
        files = [path.rpartition("/")[2] for path in written]
        storage.create_if_absent(record_path, json.dumps({"files": files, "rows": rows}).encode())


def _collect(folder: str) -> Outcome:
    """Reads the records, and removes grouped files that no record names."""
    names = storage.list_names(folder)
    records = [
        json.loads(storage.read_bytes(storage.join(folder, name))) for name in names if name.endswith(".parquet.json")
    ]
    bad = dict(json.loads(storage.read_bytes(storage.join(folder, name))) for name in names if name.startswith("bad-"))
    counted = {file for record in records for file in record["files"]}
    for name in names:
        if name.endswith(".parquet") and name not in counted:
            storage.remove(storage.join(folder, name))
    return Outcome(sum(record["rows"] for record in records), tuple(sorted(bad.items())))
