"""Grouping by Beam's `GroupByKey`, for runners that shuffle on disk and over many machines.

    row groups -> Reshuffle -> (bucket, rows) -> GroupByKey -> order, write, commit

An element is not a row but all rows of one hash bucket in a run of rows, as compressed Arrow, because a shuffle costs
about 0.1 ms per element and copies its bytes several times. A hash bucket is written under a name unique to the attempt
and committed by a record that is created if absent, so a bucket that is written twice counts once. The rows of
each repository are in the same order as those that are grouped on disk, but a row group ends where a bucket ends.

Each row that the footers promise must arrive in a bucket or be counted as lost with a damaged row group; where the sums
differ, nothing is recorded. What is lost goes through the pipeline as a bucket does, so a repeated bundle counts once.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa

from jobs import storage
from jobs.beam.log import quiet_beam
from jobs.beam.pipelines import open_pipeline
from jobs.beam.running import run_to_end
from jobs.execution.orders import from_text, to_text
from jobs.grouping.grouped_files import close_reader
from jobs.grouping.ordering import write_files
from jobs.grouping.reading import GroupSettings, Outcome, Piece, Reading, damage, pieces, reading_of
from jobs.grouping.runs import RunWriter
from jobs.grouping.stages import GroupStages
from jobs.hosts.checks import check_worker, driver_facts
from jobs.ledger.commits import new_attempt_id
from jobs.ledger.heartbeat import signs_of_life
from jobs.plan.inputs import Inputs
from jobs.plan.needs import needs_of_input
from jobs.storage.folders import GROUPED, JobFolder
from model.errors import ConfigError
from transforms.row_pool import RowPool
from transforms.spool import scratch_folder

# The reader buffers rows until all hash buckets together reach this size.
FLUSH_MB: Final = 32
# Between reading and writing a runner may sort for long, and no worker of ours gives a sign of life.
SILENT_S: Final = 3600.0
_DAMAGED: Final = -1  # instead of a hash bucket: damaged row groups
_DAMAGES: Final = "damaged.json"


def group_on_runner(
    inputs: Inputs, folder: str, limit: int | None, settings: GroupSettings, *, beam_args: Sequence[str]
) -> Outcome:
    """Groups rows on the runner that Beam's flags name; writes grouped files to `folder`.

    Raises:
        ConfigError: A worker doesn't see what the driver sees, or rows are missing.
        Exception: The runner's.
    """
    found = list(pieces(inputs, limit, settings.only))
    job_dir = job_dir_of(folder)
    facts = driver_facts(job_dir, needs_of_input(inputs.files))
    pipeline = open_pipeline(beam_args)
    (
        pipeline
        | "RowGroups" >> beam.Create(found)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(ReadPieces(reading_of(inputs, settings.only), facts))
        | "Group" >> beam.GroupByKey()
        | "Write" >> beam.ParDo(WriteBuckets(folder, settings, facts))
    )
    run_to_end(pipeline, job_dir, beam_args, silent_s=SILENT_S)
    return _collect(folder, sum(rows for _, _, rows in found))


def job_dir_of(folder: str) -> JobFolder:
    """The job's folder, by the folder of its grouped files."""
    return JobFolder(folder.rpartition(f"/{GROUPED}/")[0])


class ReadPieces(beam.DoFn):
    """Reads row groups and yields their rows for each hash bucket, and what of a row group is damaged."""

    def __init__(self, reading: Reading, facts: Mapping[str, Any]):
        self._facts = dict(facts)
        self._told = to_text(reading)  # another version could not read it

    def setup(self) -> None:
        """Checks the worker."""
        quiet_beam()
        check_worker(self._facts)
        self._reading: Reading = from_text(self._told)

    def process(self, piece: Piece) -> Iterator[tuple[int, bytes]]:
        """Reads one row group."""
        with signs_of_life(JobFolder(self._facts["job_dir"])):
            yield from self._read(piece)

    def _read(self, piece: Piece) -> Iterator[tuple[int, bytes]]:
        file, group, rows = piece
        left = rows
        waiting: dict[int, list[pa.Table]] = defaultdict(list)
        waiting_bytes = 0
        try:
            for bucket, table in self._reading.spread(file, group, rows):
                left -= table.num_rows
                waiting[bucket].append(table)
                waiting_bytes += table.nbytes
                if waiting_bytes > FLUSH_MB * 1_000_000:
                    yield from _compressed(waiting)
                    waiting, waiting_bytes = defaultdict(list), 0
        except (pa.ArrowException, OSError) as error:
            if storage.is_unanswered(error) or isinstance(error, FileNotFoundError | PermissionError):
                raise  # the storage failed, not the file: the runner retries
            yield _DAMAGED, json.dumps([file.public_name, damage(error), left]).encode()
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

    def __init__(self, folder: str, settings: GroupSettings, facts: Mapping[str, Any]):
        self._folder = folder
        self._facts = dict(facts)
        # A process of its own, so that a file whose imports can't be read doesn't end the runner's.
        self._told = to_text(dataclasses.replace(settings, workers=min(1, settings.workers), only=None))

    def setup(self) -> None:
        """Checks the worker, and starts the process."""
        quiet_beam()
        check_worker(self._facts)
        self._settings: GroupSettings = from_text(self._told)
        self._pool = RowPool(GroupStages(None, self._settings), self._settings.workers)

    def teardown(self) -> None:
        self._pool.close()

    def process(self, group: tuple[int, Iterable[bytes]]) -> None:
        """Writes one hash bucket, or what is damaged."""
        number, parts = group
        if number == _DAMAGED:
            storage.create_if_absent(
                storage.join(self._folder, _DAMAGES), json.dumps([json.loads(part) for part in parts]).encode()
            )
            return
        with signs_of_life(JobFolder(self._facts["job_dir"])):
            self._write(number, parts)

    def _write(self, number: int, parts: Iterable[bytes]) -> None:
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


def _collect(folder: str, wanted: int) -> Outcome:
    """Reads the records, and removes grouped files that no record names.

    Raises:
        ConfigError: Of the `wanted` rows of the input some are neither grouped nor damaged.
    """
    names = storage.list_names(folder)
    records = [
        json.loads(storage.read_bytes(storage.join(folder, name))) for name in names if name.endswith(".parquet.json")
    ]
    damaged = json.loads(storage.read_bytes(storage.join(folder, _DAMAGES))) if _DAMAGES in names else []
    rows, lost = sum(record["rows"] for record in records), sum(left for _, _, left in damaged)
    if rows + lost != wanted:
        raise ConfigError(
            f"the runner grouped {rows:,} rows, and {lost:,} are in damaged row groups, but the input has {wanted:,}: "
            f"some of its workers wrote elsewhere than in {folder}, or lost what they wrote; nothing was planned; run "
            "the same command again"
        )
    counted = {file for record in records for file in record["files"]}
    for name in names:
        if name.endswith(".parquet") and name not in counted:
            storage.remove(storage.join(folder, name))
    return Outcome(rows, tuple(sorted({name: fault for name, fault, _ in damaged}.items())))
