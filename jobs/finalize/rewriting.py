"""Changes many files of a complete output as one: killed at any point, all of the change is done later, or none.

    _job/rewrites/<id>/...         the new files, under names of their own: shards, pages, commits, COMPLETED
    _job/rewrites/<id>.json        the intent, created when all of them are there: which file each one becomes, and what
                                   is removed. From here on the change is decided.

    apply:   remove COMPLETED -> give the files their names -> remove what has to go -> COMPLETED -> remove the intent

Each step may be repeated, so whoever finds an intent applies it from its start (`finish_pending`): the same command, or
any other that takes the output's lock. A file is replaced by renaming, so a reader of a shard has the old or the new
one whole; one that reads all of them meanwhile may have some of each, and COMPLETED is missing for as long.

Cost: a link and a rename for each file.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.ledger.commits import failpoint_in
from jobs.ledger.completed import INTENT_ENDING
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import COMPLETED, OutputFolder
from jobs.storage.parquet import WRITING

INSIDE_SHARD = register("rewrite.inside_shard")
BEFORE_INTENT = register("rewrite.before_intent")
AFTER_INTENT = register("rewrite.after_intent")
AFTER_UNMARKED = register("rewrite.after_unmarked")
AFTER_FIRST_FILE = register("rewrite.after_first_file")
AFTER_FILES = register("rewrite.after_files")
AFTER_REMOVED = register("rewrite.after_removed")
AFTER_COMPLETED = register("rewrite.after_completed")
AFTER_ENDED = register("rewrite.after_ended")

# Of a removal (`codemill forget`), or of a further edition of a corpus.
FINISHED = "{}: finished a change that was interrupted"
PENDING = "{} has a change that was interrupted; finish it first, without --dry_run"

_BATCH_ROWS = 64


@dataclass(frozen=True)
class Intent:
    """What a change does. All paths are relative to the output.

    Args:
        files: For each file its new one.
        removed: Files to be removed, and folders, which end with a slash.
        completed: The new COMPLETED; None leaves the output incomplete.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    removed: Sequence[str] = ()
    completed: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A shard that was written again without some of its rows.

    Args:
        rows: The rows left; the shard is removed if there are none.
        bytes, sha256: Of the new file.
    """

    rows: int
    bytes: int
    sha256: str


class Rewriting:
    """A change under preparation. Nothing of it shows until `decide`. Use with `with`.

    Args:
        output: The output, whose lock the caller holds.
    """

    def __init__(self, output: OutputFolder):
        self._output = output
        self._id = uuid.uuid4().hex[:16]
        self._files: dict[str, str] = {}
        self._removed: list[str] = []

    def __enter__(self) -> Rewriting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes what was prepared, unless it was decided: then it is still needed."""
        if not storage.exists(_path(self._output, self._id + INTENT_ENDING)):
            storage.remove_tree(_path(self._output, self._id))

    def write(self, path: str, data: bytes) -> None:
        """Prepares a file with this content."""
        storage.write_bytes(self._output.join(self._new(path)), data)
        self._files[path] = self._new(path)

    def write_shard(
        self,
        path: str,
        gone: npt.NDArray[np.bool_],
        to: str | None = None,
        edit: Callable[[pa.Table, int], pa.Table] = lambda table, first: table,
    ) -> Rewritten:
        """Prepares a shard without some of its rows; without any row, the shard is removed.

        Row groups stay as they are but for the rows that go, and a group without rows goes.

        Args:
            path: The shard.
            gone: For each of its rows, whether it goes.
            to: The path of what is left of it; None: the same.
            edit: Changes values of a row group, whose first row has this number in the shard, and leaves its rows.

        Raises:
            StorageFull: There is no space left. Nothing has changed.
        """
        rows = int((~gone).sum())
        if not rows:
            self.remove(path)
            return Rewritten(rows=0, bytes=0, sha256="")
        new = self._new(to or path)
        source, target = self._output.join(path), self._output.join(new)
        with storage.open_output(target) as file:
            _copy_left(source, file, gone, target, edit)
        _check(target, rows)
        self._files[to or path] = new
        return Rewritten(rows=rows, bytes=file.bytes, sha256=file.sha256)

    def new_file(self, path: str) -> str:
        """Prepares a file; returns where the caller writes it."""
        self._files[path] = self._new(path)
        return self._output.join(self._files[path])

    def place_of(self, path: str) -> str:
        """Where the content is that a file will have."""
        return self._output.join(self._files.get(path, path))

    def remove(self, path: str) -> None:
        """Prepares the removal of a file, or of a folder, whose path ends with a slash, with all in it."""
        self._removed.append(path)

    def decide(self, completed: bytes) -> None:
        """Decides the change and applies it.

        Args:
            completed: The new content of COMPLETED.
        """
        self.write(COMPLETED, completed)
        last = self._files.pop(COMPLETED)
        failpoint(BEFORE_INTENT)
        intent = Intent(self._files, self._removed, last)
        storage.create_if_absent(_path(self._output, self._id + INTENT_ENDING), json.dumps(asdict(intent)).encode())
        failpoint(AFTER_INTENT)
        _apply(self._output, self._id, intent)

    def _new(self, path: str) -> str:
        return _path(self._output, self._id, path)[len(self._output.join("")) :]


def finish_pending(output: OutputFolder) -> bool:
    """Applies what was decided and not done, and removes what was prepared and not decided. Requires the lock.

    Returns:
        Whether there was a decided change.
    """
    names = storage.list_names(_path(output))
    decided = [name.removesuffix(INTENT_ENDING) for name in names if name.endswith(INTENT_ENDING)]
    for one in decided:
        intent = Intent(**json.loads(storage.read_bytes(_path(output, one + INTENT_ENDING))))
        _apply(output, one, intent)
    storage.remove_tree(_path(output))
    return bool(decided)


def _apply(output: OutputFolder, one: str, intent: Intent) -> None:
    storage.remove(output.completed)
    failpoint(AFTER_UNMARKED)
    for path, new in intent.files.items():
        storage.publish(output.join(new), output.join(path))
        failpoint(AFTER_FIRST_FILE)
    failpoint(AFTER_FILES)
    for path in intent.removed:
        _remove(output.join(path))
    failpoint(AFTER_REMOVED)
    if intent.completed is not None:
        storage.publish(output.join(intent.completed), output.completed)
    failpoint(AFTER_COMPLETED)
    storage.remove(_path(output, one + INTENT_ENDING))
    failpoint(AFTER_ENDED)
    storage.remove_tree(_path(output, one))


def _remove(path: str) -> None:
    (storage.remove_tree if path.endswith("/") else storage.remove)(path)


def _path(output: OutputFolder, *name: str) -> str:
    return storage.join(output.job.rewrites, *name)


def _copy_left(
    source: str, target: Any, gone: npt.NDArray[np.bool_], path: str, edit: Callable[[pa.Table, int], pa.Table]
) -> None:
    """Writes the rows that stay, row group by row group."""
    before = 0
    with (
        storage.open_input(source) as file,
        pq.ParquetFile(file) as parquet,
        pq.ParquetWriter(target, parquet.schema_arrow, **WRITING) as writer,
    ):
        for group in range(parquet.num_row_groups):
            table = edit(parquet.read_row_group(group, use_threads=False), before)
            stays = ~gone[before : before + table.num_rows]
            before += table.num_rows
            if stays.any():
                writer.write_table(table.filter(pa.array(stays)), row_group_size=int(stays.sum()))
            failpoint_in(path, INSIDE_SHARD)


def _check(path: str, rows: int) -> None:
    """Reads a new shard back, before the old one goes."""
    with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
        found = sum(batch.num_rows for batch in parquet.iter_batches(_BATCH_ROWS, use_threads=False))
    assert found == rows, f"{path}: {found} rows were written, {rows} stay"
