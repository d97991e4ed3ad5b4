"""Indexes the text of a corpus (`transforms.duplicates.known_index`) in several processes.

    row groups -> a process reads some and spools their 20-grams     -> this process numbers their files, in order
    buckets    -> a process merges one, and when the sizes of all are known, copies it to where it belongs

A file that can't be read to its end counts up to there, whoever reads its row groups: what others have read of it
behind the fault is left out. So the index has the same bytes for any number of processes.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from jobs import storage
from jobs.grouping.reading import Piece, batched, pieces
from jobs.grouping.team import Team
from jobs.plan.footers import InputFile, bad
from jobs.plan.inputs import Inputs
from jobs.plan.partitions import partition_values
from jobs.storage.parquet import open_parquet
from transforms.duplicates.known_index import (
    BucketTask,
    IndexWriter,
    PlaceTask,
    Spooled,
    merge_bucket,
    place_bucket,
    spool_files,
)
from transforms.duplicates.known_text import KnownFile, known_files
from transforms.opt_out.lists import OptOut
from transforms.opt_out.rows import RowMatcher, names_of
from transforms.opt_out.work import UNKNOWN
from transforms.row_pool import CRASHED, beat
from transforms.rows.columns import ColumnOverrides
from transforms.work import WorkBroken

WORKER_MB: Final = 400
"""What a process needs: 250 MB were seen."""
_SPOOL_MB: Final = 16
LEFT_OUT: Final = "rows_left_out"


@dataclass(frozen=True, slots=True)
class SpoolTask:
    """Row groups to read, and the spool file for what is found."""

    path: str
    pieces: tuple[Piece, ...]


@dataclass(slots=True)
class SpooledPieces:
    """What became of a task: the spool, how many files of it come from each input file, the faults of input files, and
    how many files each entry of the opt-out lists has left out (all together as `LEFT_OUT`)."""

    spooled: Spooled
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    matches: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class IndexStages:
    """What runs in the processes.

    Args:
        overrides: The columns that the user named.
        opt_out: The repositories to leave out.
    """

    overrides: ColumnOverrides
    opt_out: OptOut | None = None

    def open(self) -> None:
        """Does nothing: nothing is needed that takes long to make."""

    def spool(self, task: SpoolTask) -> SpooledPieces:
        """Reads row groups, each input file up to its first fault."""
        counts: Counter[str] = Counter()
        faults: dict[str, str] = {}
        matches: Counter[str] = Counter()
        spooled = spool_files(task.path, self._files(task.pieces, counts, faults, matches))
        return SpooledPieces(spooled, counts, faults, matches)

    def _is_out(self, repository: str, matches: Counter[str]) -> bool:
        if self.opt_out is None:
            return False
        names = names_of(repository)
        numbers = RowMatcher(self.opt_out).entries(names)
        matches.update(str(self.opt_out.entries[number]) for number in numbers)
        matches[LEFT_OUT] += bool(numbers)
        matches[UNKNOWN] += not names
        return bool(numbers)

    def merge(self, task: BucketTask) -> int:
        """Merges a bucket."""
        return merge_bucket(task)

    def place(self, task: PlaceTask) -> None:
        """Copies a bucket to where it belongs."""
        place_bucket(task)

    def _files(
        self, some: Sequence[Piece], counts: Counter[str], faults: dict[str, str], matches: Counter[str]
    ) -> Iterator[KnownFile]:
        for uri, same in itertools.groupby(some, lambda piece: piece[0].uri):
            groups = [group for _, group, _ in same]
            try:
                with storage.open_input(uri) as opened, open_parquet(opened) as parquet:
                    for file in known_files(parquet, self.overrides, partition_values(uri), groups):
                        if self._is_out(file.repo_name, matches):
                            continue
                        counts[uri] += 1
                        yield file
                        beat()
            except (pa.ArrowException, OSError) as error:
                said = getattr(error, "strerror", None) or " ".join(str(error).split())[:300]
                faults[uri] = str(said)


def index_corpus(
    inputs: Inputs, overrides: ColumnOverrides, folder: str, *, workers: int, opt_out: OptOut | None = None
) -> tuple[int, list[InputFile], Counter[str]]:
    """Makes the index `folder`/index.

    Args:
        inputs: The corpus.
        overrides: The columns that the user named.
        folder: An empty folder, which spools need as well.
        workers: Processes, this one included.
        opt_out: The repositories to leave out.

    Returns:
        The number of files in the index, the input files that could not be read to their end, and how many rows each
        entry of the opt-out lists has left out, with the numbers of all rows left out and of those without one.

    Raises:
        ConfigError: Nothing can be written.
    """
    batches = batched(inputs, pieces(inputs, None), _SPOOL_MB * 1e6)
    tasks = [SpoolTask(os.path.join(folder, f"spool-{number:06}"), some) for number, some in enumerate(batches)]
    stages = IndexStages(overrides, opt_out)
    team = Team(stages, others=max(0, min(workers, len(tasks)) - 1))
    with contextlib.closing(team), IndexWriter(os.path.join(folder, "index"), folder) as writer:
        faults, matches = _add_all(writer, team, tasks)
        counts = _of_all(team, "merge", writer.bucket_tasks())
        writer.finish([counts[position] for position in sorted(counts)], lambda tasks: _of_all(team, "place", tasks))
    damaged = [bad(file, "damaged_input", faults[file.uri]) for file in inputs.files if file.uri in faults]
    return writer.num_files, damaged, matches


def _of_all(team: Team, method: str, tasks: Iterable[Any]) -> dict[int, Any]:
    """The results of a method for all tasks, by their positions."""
    found = dict(team.spread(method, tasks))
    if CRASHED in found.values():
        raise WorkBroken("a process died while it merged hashes")
    return found


def _add_all(writer: IndexWriter, team: Team, tasks: Sequence[SpoolTask]) -> tuple[dict[str, str], Counter[str]]:
    """Spools everything and adds it in order. Returns the faults of input files, and what has been left out."""
    faults: dict[str, str] = {}
    matches: Counter[str] = Counter()
    done: dict[int, SpooledPieces] = {}
    added = 0
    for position, result in team.spread("spool", tasks):
        done[position] = _crashed(tasks[position]) if result is CRASHED else result
        while added in done:
            task, found = tasks[added], done.pop(added)
            # Only the first file of a task can have begun in the one before.
            first = task.pieces[0][0].uri
            writer.add(found.spooled, skip=found.counts[first] if first in faults else 0)
            faults = {**found.faults, **faults}
            matches += found.matches
            added += 1
    return faults, matches


def _crashed(task: SpoolTask) -> SpooledPieces:
    """What is made of a task whose process died: nothing of it is known, so none of its files counts from there on."""
    said = "the process that read it died"
    empty = spool_files(task.path, ())
    return SpooledPieces(empty, Counter(), {file.uri: said for file, _, _ in task.pieces})
