"""This process and others, which take the items of one list one after the other.

    items -> this process: stages.method(item)
          -> threads, one per process of a `RowPool`: an item there and back

Results come in whatever order they are done. The first item is worked on before the other processes are up, so starting
them costs this one nothing.

Items may come in groups whose items cost less in one process, such as units of one row group, which each process
decodes from its start. A process takes a whole group, and shares another's only when no group is left.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from transforms.row_pool import RowPool, Stages

_ENDED: Final = object()
_AHEAD: Final = 2
"""Items sent to each process: it works on one while the result of the last one waits for this process's interpreter,
which signing keeps for milliseconds at a time."""


class Team:
    """Runs methods of `stages` here and in other processes.

    Args:
        stages: Picklable; opened here by the caller, and once in each other process.
        others: Number of other processes.
        here: Whether this process works as well. Without it, an item that crashes its process costs no more than that.
    """

    def __init__(self, stages: Stages, *, others: int, here: bool = True):
        assert others or here
        self._stages = stages
        self._others = others
        self._here = here
        self.pool = RowPool(stages, others)

    def spread(
        self, method: str, items: Iterable[Any], *, group: Callable[[Any], object] | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Yields position and result of `stages.method(item)` for each item as soon as it is done.

        The result of an item that crashed its process is `CRASHED`.

        Args:
            method: The method's name.
            items: Its arguments.
            group: Items that follow each other and for which this is equal are a group.

        Raises:
            Exception: What the method raised for an item, here or in another process.
        """
        run, mine = _Run(self.pool, method, _grouped(items, group)), _Taker()
        threads = [threading.Thread(target=run.feed, name="team", daemon=True) for _ in range(self._others)]
        for thread in threads:
            thread.start()
        try:
            while self._here and (task := run.next(mine)) is not None:
                position, item = task
                yield position, getattr(self._stages, method)(item)
                yield from run.done()
            yield from run.rest(len(threads))
        finally:
            run.stop()
            for thread in threads:
                thread.join()

    def close(self) -> None:
        """Ends the other processes."""
        self.pool.close()


_Group = deque[tuple[int, Any]]


def _grouped(items: Iterable[Any], group: Callable[[Any], object] | None) -> Iterator[_Group]:
    """Yields the groups, their items with their positions."""
    numbered = enumerate(items)
    if group is None:
        return (deque([item]) for item in numbered)
    return (deque(some) for _, some in itertools.groupby(numbered, lambda item: group(item[1])))


@dataclass
class _Taker:
    """What a process takes its items from."""

    group: _Group = field(default_factory=deque)


class _Run:
    """One list of items; `feed` runs in one thread per other process."""

    def __init__(self, pool: RowPool, method: str, groups: Iterator[_Group]):
        self._pool = pool
        self._method = method
        self._groups = groups
        self._taken: list[_Group] = []  # groups of which something is left
        self._lock = threading.Lock()
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._is_stopped = False
        self._ended = 0

    def next(self, taker: _Taker) -> tuple[int, Any] | None:
        """The taker's next item; None if there is none left."""
        with self._lock:
            if self._is_stopped:
                return None
            if not taker.group:
                self._taken = [group for group in self._taken if group]
                new = next(self._groups, None)
                taker.group = new if new is not None else max(self._taken, key=len, default=deque())
                self._taken += [new] if new is not None else []
            return taker.group.popleft() if taker.group else None

    def stop(self) -> None:
        self._is_stopped = True

    def feed(self) -> None:
        taker = _Taker()
        sent: deque[tuple[int, Callable[[], list[Any]]]] = deque()
        try:
            while True:
                while len(sent) < _AHEAD and (task := self.next(taker)) is not None:
                    sent.append((task[0], self._pool.apply(self._method, [task[1]])))
                if not sent:
                    break
                position, result = sent.popleft()
                self._results.put((position, result()[0]))
        except BaseException as error:
            self._results.put(error)
        finally:
            self._results.put(_ENDED)

    def done(self) -> Iterator[tuple[int, Any]]:
        """Yields the results that are there."""
        while not self._results.empty():
            yield from self._take()

    def rest(self, threads: int) -> Iterator[tuple[int, Any]]:
        """Yields results until all threads have ended."""
        while self._ended < threads:
            yield from self._take()

    def _take(self) -> Iterator[tuple[int, Any]]:
        result = self._results.get()
        if result is _ENDED:
            self._ended += 1
        elif isinstance(result, BaseException):
            raise result
        else:
            yield result
