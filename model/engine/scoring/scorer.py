"""Scores requests on all replicas: a queue of parts, and one thread for each device.

    score -> parts of requests -> backlog -> a replica's rows -> the request's future, when its last part is scored

Replicas take from one backlog (`model.engine.backlog`), as for generation: a slow one takes few, and the unfinished
parts of one that fails go to the others. A row is dispatched before the previous one is read, so that the host lays
out rows while the device computes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

import numpy as np

from model.config import GemmaConfig
from model.engine.abstract_device import OutOfMemory
from model.engine.backlog import Backlog, Job
from model.engine.checks import check_not_empty, check_vocabulary
from model.engine.options import ResolvedOptions
from model.engine.requests import ScoreRequest, Scores
from model.engine.scoring.device import PartScores, Scored
from model.engine.scoring.parts import Part, parts_of
from model.errors import RecordError

PartJob = Job[Part, PartScores]


class RowScorer(Protocol):
    """What a thread drives: `model.engine.scoring.device.ScoringDevice`."""

    def choose(self, waiting: Sequence[Part]) -> list[int]: ...

    def dispatch(self, parts: Sequence[Part]) -> Scored: ...

    def read(self, scored: Scored) -> list[PartScores]: ...

    def stats(self) -> dict[str, float]: ...


class Scorer:
    """Scores requests of any thread; `start` starts its own threads.

    Args:
        devices: One per replica, at least one.
        config, options: The model's shapes and the engine's options, for the limits.
    """

    def __init__(self, devices: Sequence[RowScorer], config: GemmaConfig, options: ResolvedOptions):
        self._backlog: Backlog[Part, PartScores] = Backlog()
        self._replicas = [_Replica(device, self._backlog) for device in devices]
        self._vocab_size = config.vocab_size
        self._longest = min(options.longest_scored(), config.context_length)
        self._row = options.score_lengths()[-1]
        self._is_exact = options.determinism == "exact"

    def start(self) -> None:
        """Starts one thread per device."""
        for replica in self._replicas:
            replica.start()

    def score(self, requests: Sequence[ScoreRequest]) -> list[Future[Scores]]:
        """Queues requests; one future per request, which fails with RecordError if the request can't be scored.

        Raises:
            EngineStopped: The scorer was closed, or its last replica has failed (the `__cause__`).
        """
        waiting = [_Waiting(request) for request in requests]
        jobs: list[PartJob] = []
        for one in waiting:
            try:
                self._check(one.request)
            except RecordError as error:
                one.future.set_exception(error)
                continue
            parts = parts_of(one.request, together=self._is_exact, longest=self._row)
            jobs += one.expect(parts)
        self._backlog.submit(jobs)
        return [one.future for one in waiting]

    def stats(self) -> dict[str, float]:
        """Sums over the replicas; seconds (`score_busy_s`) are means, because replicas run concurrently."""
        sums: Counter[str] = Counter()
        for replica in self._replicas:
            sums.update(replica.stats())
        return {name: value / (len(self._replicas) if name.endswith("_s") else 1) for name, value in sums.items()}

    def close(self, *, cancel_futures: bool = False) -> None:
        """Finishes all requests, then stops the threads; with `cancel_futures`, unfinished ones fail instead."""
        self._backlog.close(cancel_futures=cancel_futures)
        for replica in self._replicas:
            replica.wait()

    def _check(self, request: ScoreRequest) -> None:
        check_not_empty(request.prompt)
        check_vocabulary("prompt", request.prompt, self._vocab_size)
        for continuation in filter(None, request.continuations):
            check_vocabulary("continuation", continuation, self._vocab_size)
        longest = max(map(len, request.continuations), default=0)
        if len(request.prompt) + longest > self._longest:
            raise RecordError(
                "prompt_too_long",
                f"prompt has {len(request.prompt)} tokens and its longest continuation {longest}, together "
                f"{len(request.prompt) + longest}; at most {self._longest} can be scored",
            )


class _Waiting:
    """A request whose parts are being scored."""

    def __init__(self, request: ScoreRequest):
        self.request = request
        self.future: Future[Scores] = Future()
        self.future.set_running_or_notify_cancel()  # parts are in rows with others: they aren't canceled
        self._lock = threading.Lock()
        self._scores: PartScores = {}
        self._missing = 0

    def expect(self, parts: Sequence[Part]) -> list[PartJob]:
        """The jobs of the request's parts; without any, the request is done."""
        self._missing = len(parts)
        if not parts:
            self._finish()
        jobs = []
        for part in parts:
            future: Future[PartScores] = Future()
            future.add_done_callback(self._collect)
            jobs.append(PartJob(part, future))
        return jobs

    def _collect(self, part: Future[PartScores]) -> None:
        with self._lock:
            self._missing -= 1
            is_last = self._missing == 0
            error = part.exception()
            if error is None:
                self._scores |= part.result()
            elif not self.future.done():
                self.future.set_exception(error)
        if is_last and not self.future.done():
            self._finish()

    def _finish(self) -> None:
        empty = np.zeros(0, np.float32)
        self.future.set_result(tuple(self._scores.get(n, empty) for n in range(len(self.request.continuations))))


class _Replica:
    """One device's thread."""

    def __init__(self, device: RowScorer, backlog: Backlog[Part, PartScores]):
        self._device = device
        self._backlog = backlog
        self._unread: deque[tuple[list[PartJob], Scored]] = deque()
        self._taken: list[PartJob] = []  # being dispatched
        self._seconds = 0.0
        self._thread: threading.Thread | None = None
        backlog.join(self)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="engine-scoring", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def stats(self) -> dict[str, float]:
        return {**self._device.stats(), "score_busy_s": self._seconds}

    def _run(self) -> None:
        error = None
        try:
            while self._backlog.await_work(is_busy=bool(self._unread)):
                began = time.perf_counter()
                self._turn()
                self._seconds += time.perf_counter() - began
        except BaseException as caught:  # any error that ends the thread must reach the waiting callers
            error = caught
        self._backlog.leave(self, self._unfinished(), error)

    def _turn(self) -> None:
        """Dispatches a row, and reads the one before it."""
        self._taken = self._backlog.take(self, self._device.choose)
        is_busy = bool(self._taken)
        if is_busy:
            self._dispatch(self._taken)
        self._taken = []
        while len(self._unread) > is_busy:
            self._settle()

    def _dispatch(self, group: list[PartJob]) -> None:
        """Starts a row; if memory doesn't suffice, smaller ones, after all that were started have ended."""
        try:
            self._unread.append((group, self._device.dispatch([job.request for job in group])))
        except OutOfMemory:
            if len(group) == 1 and not self._unread:
                raise
            while self._unread:
                self._settle()
            half = len(group) // 2
            for part in filter(None, (group[:half], group[half:])):
                self._dispatch(part)

    def _unfinished(self) -> list[PartJob]:
        """Jobs that were taken and have no result, oldest first, each once."""
        jobs = {id(job): job for group in (*(group for group, _ in self._unread), self._taken) for job in group}
        return [job for job in jobs.values() if not job.future.done()]

    def _settle(self) -> None:
        group, scored = self._unread[0]
        for job, scores in zip(group, self._device.read(scored), strict=True):
            job.future.set_result(scores)
        self._unread.popleft()
        self._backlog.finished(self, len(group))
