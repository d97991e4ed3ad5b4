"""A worker process of `codemill corpus`: `python -m jobs.collecting.child PARENT_PID PIPE PROGRESS INPUTS OUTPUTS`.

It reads files of folders itself and gets those of archives in its input slots, works on them, encodes row groups, and
leaves them in its output slots. See `jobs.collecting.messages` for what is said, `jobs.collecting.workers` for the
other side. It imports neither Beam nor storage, so that it starts in a moment.
"""

from __future__ import annotations

import os
import sys

from jobs.system.child_process import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[1]))

# These take a while to import, in which the parent may die already.
import faulthandler
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from jobs.collecting.messages import (
    AskNeighbors,
    Bug,
    ChunkDone,
    ChunkTask,
    Count,
    Counted,
    Neighbors,
    NewSource,
    Ready,
    SlotFree,
    Stored,
    SurveyDone,
    SurveyTask,
)
from jobs.collecting.slots import Progress, Slot
from jobs.collecting.stored import store
from transforms.corpus import neighbors
from transforms.corpus.entries import File, Refused
from transforms.corpus.neighbors import EncodingCounts
from transforms.corpus.rows import parts_of
from transforms.corpus.sources import Files, Source


@dataclass(frozen=True, slots=True)
class _Opened:
    """The source that is being worked on."""

    told: NewSource
    files: Files
    neighbors: neighbors.Neighbors


class _Worker:
    def __init__(self, pipe: Connection, progress: Progress, inputs: Sequence[Slot], outputs: Sequence[Slot]):
        self._pipe = pipe
        self._progress = progress
        self._inputs = inputs
        self._outputs = outputs
        self._free = deque(range(len(outputs)))
        self._waiting: deque[Any] = deque()  # what was read while an answer was waited for
        self._opened: _Opened | None = None

    def serve(self) -> None:
        """Works until nothing more comes."""
        self._progress.state = Progress.WAITING
        self._pipe.send(Ready())
        while True:
            message = self._waiting.popleft() if self._waiting else self._pipe.recv()
            if isinstance(message, NewSource):
                self._open(message)
            elif isinstance(message, ChunkTask):
                self._work(message)
            elif isinstance(message, SlotFree):
                self._free.append(message.slot)
            else:
                assert isinstance(message, SurveyTask)
                self._progress.state = Progress.SURVEYING
                self._pipe.send(SurveyDone(message.source.licenses()))
            self._progress.state = Progress.WAITING

    def _open(self, told: NewSource) -> None:
        if self._opened is not None:
            self._opened.files.__exit__(None, None, None)
        near = neighbors.Neighbors(lambda: self._ask_neighbors(told.number))
        self._opened = _Opened(told, told.source.open_files(), near)

    def _work(self, task: ChunkTask) -> None:
        opened = self._opened
        assert opened is not None and opened.told.number == task.source
        self._progress.start(task.number)
        entries = self._entries(task, opened.files)
        told = opened.told
        for part in parts_of(entries, told.origin, task.first_index, opened.neighbors.of, told.limits):
            while not self._free:
                self._hear_until(SlotFree)
            slot = self._free.pop()  # the one used last, which caches still hold
            self._pipe.send(store(part, task.number, slot, self._outputs[slot]))
        self._pipe.send(ChunkDone(task.number))

    def _entries(self, task: ChunkTask, files: Files) -> Iterator[File | Refused]:
        """The chunk's files, each counted as done when the next is asked for."""
        slot = self._inputs[task.slot]
        for item in task.items:
            if isinstance(item, str):
                yield files.read(item)
            elif isinstance(item, Stored):
                yield File(item.path, slot.read(item.offset, item.size))
            else:
                yield item
            self._progress.file_done()

    def _ask_neighbors(self, source: int) -> EncodingCounts:
        self._pipe.send(AskNeighbors(source))
        answer = self._hear_until(Count, Neighbors)
        if isinstance(answer, Neighbors):
            return answer.counts
        self._progress.state = Progress.COUNTING
        counts = neighbors.count_encodings(self._with_beats(answer.source))
        self._pipe.send(Counted(source, counts))
        self._progress.state = Progress.WORKING
        return counts

    def _with_beats(self, source: Source) -> Iterator[tuple[str, bytes]]:
        for content in source.contents():
            self._progress.beat()
            yield content

    def _hear_until(self, *kinds: type) -> Any:
        """The next message of one of these kinds; others wait. A slot that gets free is noted at once."""
        self._progress.state = Progress.WAITING
        while True:
            message = self._pipe.recv()
            if isinstance(message, SlotFree):
                self._free.append(message.slot)
            elif not isinstance(message, kinds):
                self._waiting.append(message)
                continue
            if isinstance(message, kinds):
                self._progress.state = Progress.WORKING
                return message


def main(argv: Sequence[str]) -> None:
    """Works until the parent closes the pipe."""
    _, pipe_fd, progress_fd, inputs, outputs = argv
    faulthandler.enable()
    pipe = Connection(int(pipe_fd))
    slots = [[Slot(int(fd)) for fd in fds.split(",")] for fds in (inputs, outputs)]
    try:
        _Worker(pipe, Progress(int(progress_fd)), *slots).serve()
    except (EOFError, ConnectionError):  # the parent needs no more
        pass
    except Exception:
        pipe.send(Bug(traceback.format_exc()))
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
