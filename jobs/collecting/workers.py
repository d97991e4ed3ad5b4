"""The worker processes of `codemill corpus` together: who gets which chunk, and what a death costs.

    chunks in order -> whoever has least to do -> parts, taken in the order of the chunks

Each worker says in shared memory at which file it is, so a death or a hang is that file's. One death may be an
accident: a file is tried again alone in its chunk, and rejected when `LONE_TRIES` workers have died of it, or at once
if one hung. All other files of the chunk are worked on as if nothing had happened.

What a file with an uncertain encoding needs to know of all others of its source is counted by the first worker that
asks; the others wait for its answer or go on.
Memory: two chunks for each worker, and 32 encoded row groups of all together (two of each, if that is more), however
large the sources are.
"""

from __future__ import annotations

import contextlib
import multiprocessing.connection
from collections import deque
from collections.abc import Iterator
from types import TracebackType

from jobs.collecting.chunks import CRASHED_WORKER, TIMEOUT, Chunk, LostFile, StoredPart
from jobs.collecting.messages import (
    AskNeighbors,
    Bug,
    ChunkDone,
    Count,
    Counted,
    Neighbors,
    PartDone,
    Ready,
    SurveyDone,
)
from jobs.collecting.worker import Worker
from model.errors import ConfigError
from transforms.corpus.neighbors import EncodingCounts
from transforms.corpus.origin import Origin
from transforms.corpus.sources import Source

LONE_TRIES = 3  # a file that ends so many workers is at fault
MAX_FAILED_STARTS = 3
TIMEOUT_S = 120.0
_LOOK_S = 1.0  # between two looks at who hangs


class Workers:
    """The processes. Use with `with`; start them in the thread that lives longest (`jobs.system.child_process`).

    Args:
        count: How many.
        timeout_s: Seconds without a sign of life after which a worker that has something to do is ended.
    """

    def __init__(self, count: int, timeout_s: float = TIMEOUT_S):
        self._count = count
        self._timeout_s = timeout_s
        self._workers: list[Worker] = []
        self._failed_starts = 0  # in a row
        self._order: deque[Chunk] = deque()  # not taken yet
        self._waiting: deque[Chunk] = deque()  # given to nobody yet
        self._surveys: list[Source] = []  # likewise
        self._licenses: dict[str, dict[str, tuple[str, ...]]] = {}
        self._survey_deaths: dict[str, int] = {}
        self._encodings: dict[int, EncodingCounts] = {}
        self._askers: dict[int, list[Worker]] = {}  # the first counts
        self._counting_deaths: dict[int, int] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._workers:
            with contextlib.suppress(EOFError, OSError):  # of what it had in its slots, nothing is needed
                worker.end()
        self._workers = []

    @property
    def is_started(self) -> bool:
        """Whether there are processes, ready or not."""
        return bool(self._workers)

    @property
    def is_ready(self) -> bool:
        """Whether one of them is ready; looks, and does not wait."""
        self._hear(0.0)
        return any(worker.is_ready for worker in self._workers)

    def start(self) -> None:
        """Starts the processes."""
        self._workers = [Worker(self._count) for _ in range(self._count)]

    def know_neighbors(self, source: int, counts: EncodingCounts) -> None:
        """The encodings of a source, counted elsewhere."""
        self._encodings[source] = counts

    # --- chunks -----------------------------------------------------------------------------------------

    def has_room(self) -> bool:
        """Whether another chunk can go to a worker now."""
        return not self._waiting and any(worker.can_take() for worker in self._workers)

    def give(self, chunk: Chunk) -> None:
        """Takes the next chunk."""
        self._order.append(chunk)
        self._waiting.append(chunk)
        self._dispatch()

    def take(self) -> Iterator[tuple[Origin, StoredPart | LostFile]]:
        """The parts that are done, in order, as far as they go without a gap, and their sources' origins."""
        while self._order:
            first = self._order[0]
            for worker in self._workers:
                worker.read_parts(first)
            while first.parts:
                yield first.opened.origin, first.parts.popleft()
            if not first.is_done:
                return
            self._order.popleft()

    @property
    def is_idle(self) -> bool:
        """Whether everything has been taken."""
        return not self._order

    def wait(self) -> None:
        """Waits until something happens, and sees to it."""
        self._hear(min(_LOOK_S, self._timeout_s))
        for worker in [worker for worker in self._workers if worker.hung_for() > self._timeout_s]:
            self._bury(worker, is_hung=True)
        self._dispatch()

    # --- licenses ----------------------------------------------------------------------------------------

    def prepare_survey(self, source: Source) -> None:
        """Has the licenses of an archive found beside what else goes on."""
        if self.is_started and source.path not in self._licenses and source not in self._surveys:
            self._surveys.append(source)
            self._dispatch()

    def is_surveyed(self, source: Source) -> bool | None:
        """Whether its licenses are known; None where nobody was asked to find them."""
        if source.path in self._licenses:
            return True
        asked = source in self._surveys or any(worker.survey == source for worker in self._workers)
        return False if asked else None

    def take_licenses(self, source: Source) -> dict[str, tuple[str, ...]]:
        """What `prepare_survey` found."""
        return self._licenses.pop(source.path)

    # --- what workers say --------------------------------------------------------------------------------

    def _hear(self, timeout_s: float) -> None:
        by_pipe = {worker.pipe: worker for worker in self._workers}
        for pipe in multiprocessing.connection.wait(list(by_pipe), timeout_s):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                while worker.pipe.poll():
                    self._take_message(worker, worker.pipe.recv())
            except (EOFError, ConnectionError):
                self._bury(worker)

    def _take_message(self, worker: Worker, told: object) -> None:
        if isinstance(told, PartDone):
            worker.part_done(told)
        elif isinstance(told, ChunkDone):
            worker.chunk_done(told)
            self._dispatch()
        elif isinstance(told, Ready):
            worker.is_ready = True
            self._failed_starts = 0
            self._dispatch()
        elif isinstance(told, SurveyDone):
            assert worker.survey is not None
            self._licenses[worker.survey.path] = told.licenses
            worker.survey = None
        elif isinstance(told, AskNeighbors):
            self._askers.setdefault(told.source, []).append(worker)
            self._answer_askers(told.source)
        elif isinstance(told, Counted):
            worker.counts = False
            self._encodings[told.source] = told.counts
            self._askers[told.source].remove(worker)
            self._answer_askers(told.source)
        else:
            assert isinstance(told, Bug)
            raise RuntimeError(f"a worker process failed:\n{told.text}")

    def _answer_askers(self, source: int) -> None:
        askers = self._askers[source]
        if source in self._encodings:
            for worker in askers:
                worker.send(Neighbors(self._encodings[source]))
            askers.clear()
        elif len(askers) == 1:
            self._have_counted(source)

    def _source(self, number: int) -> Source:
        return next(chunk.opened.source for chunk in self._order if chunk.opened.number == number)

    def _dispatch(self) -> None:
        for chunk in list(self._waiting):
            able = [worker for worker in self._workers if worker.can_take(chunk)]
            if able:
                min(able, key=lambda worker: worker.load).give(chunk)
                self._waiting.remove(chunk)
        for source in list(self._surveys):
            able = [worker for worker in self._workers if worker.survey is None and worker.can_take()]
            if able:
                min(able, key=lambda worker: worker.load).give_survey(source)
                self._surveys.remove(source)

    # --- deaths ------------------------------------------------------------------------------------------

    def _bury(self, worker: Worker, *, is_hung: bool = False) -> None:
        was_counting = worker.is_counting
        survey = worker.survey
        how, chunks, at = worker.end()
        self._workers.remove(worker)
        self._note_start(worker, how)
        for chunk in reversed(chunks):
            if at is not None and at[0] is chunk and at[1] < len(chunk.items):
                pieces = self._cut_out(chunk, at[1], how, is_hung=is_hung)
            else:
                pieces = [chunk.rest(chunk.num_done, deaths=chunk.deaths)]
            self._replace(chunk, [piece for piece in pieces if piece.items or piece.parts])
        self._forget_asker(worker, was_counting)
        if survey is not None:
            self._survey_died(survey)
        self._workers.append(Worker(self._count))

    def _note_start(self, worker: Worker, how: str) -> None:
        if worker.is_ready:
            return
        self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise ConfigError(
                f"the worker processes ended {self._failed_starts} times in a row before they could start ({how}); the "
                f"last that one printed: {worker.last_words or 'nothing'}; --workers 1 does without them"
            )

    def _cut_out(self, chunk: Chunk, index: int, how: str, *, is_hung: bool) -> list[Chunk]:
        """The chunk without what is done, in three: before the file that the worker was at, the file, behind it."""
        suspect = chunk.rest(index, index + 1, deaths=1 + (chunk.deaths if len(chunk.items) == 1 else 0))
        if is_hung or suspect.deaths >= LONE_TRIES:
            why = (
                (TIMEOUT, f"working on it took more than {self._timeout_s:g} s") if is_hung
                else (CRASHED_WORKER, f"{LONE_TRIES} processes that worked on it died ({how})")
            )  # fmt: skip
            suspect.parts.append(suspect.lost_file(*why))
            suspect.is_done = True
        return [chunk.rest(chunk.num_done, index), suspect, chunk.rest(index + 1)]

    def _replace(self, chunk: Chunk, pieces: list[Chunk]) -> None:
        """Puts pieces in a chunk's place. It stays, as done, with the parts that have not been taken yet."""
        chunk.is_done = True
        at = self._order.index(chunk)
        for offset, piece in enumerate(pieces, 1):
            self._order.insert(at + offset, piece)
        # In the order of the output, also where several workers have died: a worker that has done a later chunk can't
        # take an earlier one, so if each were given later ones first, nobody could take the earliest.
        waiting = [*self._waiting, *(piece for piece in pieces if not piece.is_done)]
        self._waiting = deque(sorted(waiting, key=lambda piece: piece.key))

    def _forget_asker(self, worker: Worker, was_counting: bool) -> None:
        for source, askers in self._askers.items():
            if worker not in askers:
                continue
            is_first = askers[0] is worker
            askers.remove(worker)
            if was_counting:
                self._counting_deaths[source] = self._counting_deaths.get(source, 0) + 1
                if self._counting_deaths[source] >= LONE_TRIES:
                    self._encodings[source] = {}  # files that need it stay uncertain
            if is_first and askers:
                self._answer_first(source)

    def _answer_first(self, source: int) -> None:
        if source in self._encodings:
            self._answer_askers(source)
        else:
            self._have_counted(source)

    def _have_counted(self, source: int) -> None:
        self._askers[source][0].counts = True
        self._askers[source][0].send(Count(self._source(source)))

    def _survey_died(self, source: Source) -> None:
        self._survey_deaths[source.path] = self._survey_deaths.get(source.path, 0) + 1
        if self._survey_deaths[source.path] >= LONE_TRIES:
            self._licenses[source.path] = {}
        else:
            self._surveys.append(source)
