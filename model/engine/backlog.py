"""The requests that wait for a slot, shared by all replicas: each takes what it can run next.

    submit -> arrived -> window -> take -> a replica's slots -> future
                            ^                   |
                            +---- give back ----+      its device failed, or restarts with fewer slots

Requests are pulled: a replica takes more when it has a free slot, so a slow one takes few and holds none back. Near
the end of the work, when fewer wait than the slots hold, each takes its share at most (all unfinished requests divided
by the replicas), so that the first one to look doesn't take them all. This can't starve: while a request waits, some
replica has less than its share.

If a replica fails, its unfinished requests are the next to be taken by the others. A request's tokens depend on the
request alone (and in `fast` mode on near ties), so nothing else changes. When the last one fails, all futures do.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from model.engine.requests import EngineStopped
from model.engine.stopping import StopWatch

_log = logging.getLogger(__name__)

Asked = TypeVar("Asked")  # requests to generate, or parts of requests to score
Result = TypeVar("Result")

# How many of the oldest requests a device may choose from to fill a row; limits the reordering.
WINDOW = 256
# After this many groups without it, the oldest request is prefilled alone.
PATIENCE = 64


@dataclass(eq=False, slots=True)
class Job(Generic[Asked, Result]):
    """A request in the engine.

    Args:
        request: The request.
        future: Its result.
        ticket: Number by which its replica knows it.
        staged: Its prefilled prompt while it waits for a slot.
        times_passed: How often others were preferred to it while it was the oldest.
        first_step: The replica's decode steps when it got its slot.
        watch: What looks for its stop texts; None if it has none.
    """

    request: Asked
    future: Future[Result]
    ticket: int = -1
    staged: Any = None
    times_passed: int = 0
    first_step: int = 0
    watch: StopWatch | None = None


class Backlog(Generic[Asked, Result]):
    """A thread-safe queue between the callers and the replicas. A member is any hashable object."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._arrived: deque[Job[Asked, Result]] = deque()
        self._window: list[Job[Asked, Result]] = []  # the oldest: their futures can't be canceled any more
        self._taken: dict[Hashable, int] = {}  # by member: its unfinished requests
        self._num_members = 0
        self._num_failed = 0
        self._is_closed = False
        self._cause: BaseException | None = None

    def join(self, member: Hashable) -> None:
        """Adds a replica."""
        with self._changed:
            self._taken[member] = 0
            self._num_members += 1

    # --- called by the engine's users ---

    def submit(self, jobs: Sequence[Job[Asked, Result]]) -> None:
        """Queues requests. Raises EngineStopped after `close`, or when every replica has failed."""
        with self._changed:
            self.raise_if_stopped()
            self._arrived.extend(jobs)
            self._changed.notify_all()

    def raise_if_stopped(self) -> None:
        """Raises EngineStopped if requests are no longer accepted."""
        if self._cause is not None or self._is_closed:
            raise EngineStopped("the engine has stopped") from self._cause

    def close(self, *, cancel_futures: bool) -> None:
        """Accepts no more requests. With `cancel_futures`, unfinished ones fail with EngineStopped."""
        with self._changed:
            self._is_closed = True
            if cancel_futures and self._cause is None:
                self._cause = EngineStopped("the engine was closed before this request ended")
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called or every replica has failed."""
        return self._is_closed

    @property
    def num_failed(self) -> int:
        """Number of requests that failed because the engine stopped."""
        return self._num_failed

    def __len__(self) -> int:
        """Number of waiting requests."""
        return len(self._arrived) + len(self._window)

    # --- called by the replicas ---

    def await_work(self, *, is_busy: bool) -> bool:
        """Blocks until there is work; returns False when the replica should end.

        Args:
            is_busy: Whether the replica has work of its own.
        """
        with self._changed:
            while True:
                if self._cause is not None:
                    return False
                if is_busy or self._arrived or self._window:
                    return True
                if self._is_closed and not any(self._taken.values()):  # others' work may still come back
                    return False
                self._changed.wait()

    def take(self, member: Hashable, choose: Callable[[Sequence[Asked]], Sequence[int]]) -> list[Job[Asked, Result]]:
        """Takes requests for one prefill.

        Args:
            member: The replica.
            choose: Picks indices of the oldest waiting requests, at least one. It is overruled if the oldest was passed
                over too often. Called by one replica at a time.
        """
        with self._changed:
            self._fill_window()
            room = self._share() - self._taken[member]
            if not self._window or room <= 0:
                return []
            oldest, chosen = self._window[0], [0]
            if oldest.times_passed < PATIENCE:
                chosen = sorted(choose([job.request for job in self._window]))[:room]
                oldest.times_passed += chosen[0] != 0
            group = [self._window[i] for i in chosen]
            for i in reversed(chosen):
                del self._window[i]
            self._taken[member] += len(group)
            return group

    def finished(self, member: Hashable, count: int) -> None:
        """Records that a replica has finished some of its requests."""
        if not count:
            return
        with self._changed:
            self._taken[member] -= count
            if self._is_closed:
                self._changed.notify_all()

    def give_back(self, member: Hashable, jobs: Sequence[Job[Asked, Result]]) -> None:
        """Puts unfinished requests back; they are taken before all others."""
        with self._changed:
            self._put_back(jobs)
            self._taken[member] -= len(jobs)
            self._changed.notify_all()

    def leave(self, member: Hashable, jobs: Sequence[Job[Asked, Result]], error: BaseException | None) -> None:
        """Removes a replica that has ended.

        Args:
            member: The replica.
            jobs: Its unfinished requests, oldest first.
            error: What made it fail; None if it ended as it should.
        """
        with self._changed:
            del self._taken[member]
            left: Sequence[Job[Asked, Result]] = jobs
            if self._taken and self._cause is None:
                self._put_back(jobs)
                left = ()
            elif not self._taken:
                self._is_closed, self._cause = True, self._cause or error
                waiting = [job for job in self._arrived if job.future.set_running_or_notify_cancel()]
                left = (*jobs, *self._window, *waiting)
                self._arrived.clear()
                self._window = []
            self._num_failed += len(left)
            cause, num_others = self._cause, len(self._taken)
            self._changed.notify_all()
        if error is not None:
            self._report(error, len(jobs), num_others)
        for job in left:
            stopped = EngineStopped("the engine stopped before this request ended")
            stopped.__cause__ = cause
            job.future.set_exception(stopped)

    def _put_back(self, jobs: Sequence[Job[Asked, Result]]) -> None:
        for job in jobs:
            job.staged = None
        self._window[:0] = jobs

    def _fill_window(self) -> None:
        while self._arrived and len(self._window) < WINDOW:
            job = self._arrived.popleft()
            if job.future.set_running_or_notify_cancel():
                self._window.append(job)

    def _share(self) -> int:
        """Each replica's part of all unfinished requests, rounded up."""
        total = len(self) + sum(self._taken.values())
        return -(-total // len(self._taken))

    def _report(self, error: BaseException, num_jobs: int, num_others: int) -> None:
        """Says once that a replica has failed."""
        if not num_others:
            _log.error("the engine's scheduler crashed", exc_info=error)
            return
        _log.warning(
            "one of %d devices failed (%s: %s); its %d unfinished requests go to the other %d",
            self._num_members,
            type(error).__name__,
            (str(error).splitlines() or [""])[0],
            num_jobs,
            num_others,
        )
        _log.debug("the failed device's traceback", exc_info=error)
