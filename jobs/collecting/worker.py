"""One worker process from the driver's side: started, given tasks, heard, and ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe
from typing import IO, Any

from jobs.collecting.chunks import Chunk, OpenSource, StoredPart
from jobs.collecting.messages import ChunkDone, ChunkTask, NewSource, PartDone, SlotFree, Stored, SurveyTask
from jobs.collecting.slots import Progress, Slot
from jobs.system.child_process import ending_of, own_environment
from jobs.terminal.escapes import visible
from transforms.corpus.entries import File, Refused
from transforms.corpus.sources import Source

_MODULE = "jobs.collecting.child"
_TASKS = 2  # given to a worker, so that it never waits for the next
_OUTPUTS = 32  # output slots of all workers together, at least two each
_LAST_BYTES = 2000  # of what a worker printed, for the message about one that can't start


@dataclass(frozen=True, slots=True)
class _Given:
    """A chunk that the worker has, and the input slot with the bytes of its files."""

    chunk: Chunk
    slot: int
    items: list[str | Stored | Refused]


class Worker:
    """One process with its slots.

    Args:
        num_workers: How many share what memory there is for slots.
    """

    def __init__(self, num_workers: int):
        self.is_ready = False
        self.survey: Source | None = None  # that it works on
        self.counts = False  # it was told to count a source's encodings, and has not answered
        self._given: dict[int, _Given] = {}
        self._unread: deque[tuple[Chunk, PartDone]] = deque()  # parts that lie in its output slots
        self._last_number = 0
        self._source: int | None = None
        self._seen = (0, time.monotonic())  # beats, and since when there are so many
        self._inputs = [Slot() for _ in range(_TASKS)]
        self._outputs = [Slot() for _ in range(max(2, _OUTPUTS // num_workers))]
        self._progress = Progress()
        self.pipe, self._process, self._printed = self._start()

    def _start(self) -> tuple[Connection, subprocess.Popen[bytes], IO[bytes]]:
        ours, its = Pipe()
        printed = tempfile.TemporaryFile()  # noqa: SIM115 - it is read after the process has ended
        inputs, outputs = ([slot.descriptor for slot in slots] for slots in (self._inputs, self._outputs))
        words = [str(os.getpid()), str(its.fileno()), str(self._progress.descriptor)]
        words += [",".join(map(str, descriptors)) for descriptors in (inputs, outputs)]
        with its:
            process = subprocess.Popen(
                # -P: the child imports the same code as we do, whatever is in the current folder.
                [sys.executable, "-P", "-m", _MODULE, *words],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                pass_fds=[its.fileno(), self._progress.descriptor, *inputs, *outputs],
                env=own_environment(),
                process_group=0,  # so that Ctrl-C reaches the driver alone, which ends its workers
            )
        return ours, process, printed

    # --- tasks -------------------------------------------------------------------------------------------

    def can_take(self, chunk: Chunk | None = None) -> bool:
        """Whether it may get a task: this chunk, or one behind all others.

        A chunk must not stand behind a later one: that one's parts are taken only after its own.
        """
        # Counts may be more than a pipe holds: while they come, nothing may be sent that is.
        if not self.is_ready or self.counts or len(self._given) + (self.survey is not None) >= _TASKS:
            return False
        before = [*(given.chunk for given in self._given.values()), *(late for late, _ in self._unread)]
        return chunk is None or all(other.key < chunk.key for other in before)

    @property
    def load(self) -> int:
        """How much it has to do."""
        return len(self._given) + (self.survey is not None)

    def give(self, chunk: Chunk) -> None:
        """Sends a chunk. The bytes of its files lie in a slot from then on, and no longer in the chunk."""
        if self._source != chunk.opened.number:
            self._tell_source(chunk.opened)
        slot = next(index for index in range(_TASKS) if index not in {given.slot for given in self._given.values()})
        files = [item for item in chunk.items if isinstance(item, File)]
        places = iter(self._inputs[slot].write([file.data for file in files]) if files else ())
        items = [Stored(item.path, *next(places)) if isinstance(item, File) else item for item in chunk.items]
        chunk.items = []
        self._last_number += 1
        self._given[self._last_number] = _Given(chunk, slot, items)
        self.send(ChunkTask(self._last_number, chunk.opened.number, chunk.first_index, items, slot))

    def give_survey(self, source: Source) -> None:
        """Has it find the licenses of an archive."""
        self.survey = source
        self.send(SurveyTask(source))

    def _tell_source(self, opened: OpenSource) -> None:
        self.send(NewSource(opened.number, replace(opened.source, tracked=None), opened.origin, opened.limits))
        self._source = opened.number

    def send(self, message: Any) -> None:
        """Sends a message. A process that has died is noticed when it is listened to."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(message)

    # --- results -----------------------------------------------------------------------------------------

    def part_done(self, told: PartDone) -> None:
        """Notes a part, which stays in its slot until `read_part`."""
        chunk = self._given[told.chunk].chunk
        chunk.num_done += told.num_files
        self._unread.append((chunk, told))

    def chunk_done(self, told: ChunkDone) -> None:
        """Notes that a chunk is done."""
        self._given.pop(told.chunk).chunk.is_done = True

    def read_parts(self, chunk: Chunk | None = None) -> None:
        """Adds the parts that lie in slots to their chunk: to this one, or to all of them."""
        while self._unread and (chunk is None or self._unread[0][0] is chunk):
            found, told = self._unread.popleft()
            slot = self._outputs[told.slot]
            found.parts.append(StoredPart(told, *(slot.read(*place) for place in told.places)))
            self.send(SlotFree(told.slot))

    # --- its end -----------------------------------------------------------------------------------------

    def hung_for(self) -> float:
        """The seconds in which it has done nothing, though it had something to do."""
        beats, since = self._seen
        now = time.monotonic()
        if beats != self._progress.beats or self._progress.state in (Progress.WAITING, Progress.SURVEYING):
            self._seen = (self._progress.beats, now)
            return 0.0
        return now - since

    @property
    def is_counting(self) -> bool:
        """Whether it is, or was when it died, at counting a source's encodings."""
        return self._progress.state == Progress.COUNTING

    def end(self) -> tuple[str, list[Chunk], tuple[Chunk, int] | None]:
        """Kills the process if it hasn't ended, and closes all but what it printed.

        Returns:
            How it ended; the chunks that it had, as they were given; of them, the one at whose file, by its number in
            the chunk, it was.
        """
        self._process.kill()
        how = ending_of(self._process.wait())
        self.read_parts()
        at = None
        for number, given in self._given.items():
            given.chunk.items = [self._restored(item, given.slot) for item in given.items]
            if number == self._progress.chunk and self._progress.state == Progress.WORKING:
                at = given.chunk, max(given.chunk.num_done, self._progress.files_done)
        chunks = [given.chunk for given in self._given.values()]
        self._given.clear()
        for slot in (*self._inputs, *self._outputs):
            slot.close()
        self._progress.close()
        self.pipe.close()
        return how, chunks, at

    def _restored(self, item: str | Stored | Refused, slot: int) -> str | File | Refused:
        if isinstance(item, Stored):
            return File(item.path, self._inputs[slot].read(item.offset, item.size))
        return item

    @property
    def last_words(self) -> str:
        """The end of what the process printed, in one line."""
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - _LAST_BYTES))
        return " | ".join(visible(self._printed.read().decode("utf-8", "replace")).split("\n")[-4:]).strip(" |")
