"""Row work in spawned processes beside the engine, so that the interpreter lock never starves the device.

Parsing, prompt building and checking are pure Python over one row; the engine's scheduler thread needs the
interpreter for a few microseconds between device calls. A pool of spawned processes keeps the two apart
(`transforms/` imports no JAX, so a process is small), and a row whose parser crashes takes down a pool process, not
the engine.

A broken pool breaks for every chunk in flight, guilty or not. So each chunk that saw the break runs again row by
row in a process of its own; the row that breaks that one is the guilty one and comes back as `CRASHED`. A process that
dies before it has opened the stages says nothing about a row: `WorkBroken`.

Cost: one pickle of the rows each way; with `workers=0` the calls run inline.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final, Protocol

from transforms.work import WorkBroken


class Crashed:
    """What stands in the place of a result whose computation killed its process."""

    def __repr__(self) -> str:
        return "CRASHED"

    def __reduce__(self) -> str:
        return "CRASHED"


CRASHED: Final = Crashed()


class Stages(Protocol):
    """What runs in the pool: picklable, made ready once per process."""

    def open(self) -> None: ...


_stages: Any = None


def _open_in_child(stages: Stages) -> None:
    global _stages
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    stages.open()
    _stages = stages


def _end_with_parent() -> None:
    """Pool processes outlive a parent that is killed: they wait for calls on a pipe that they hold open themselves."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _is_open() -> bool:
    return _stages is not None


def _apply(method: str, items: Sequence[Any]) -> list[Any]:
    function = getattr(_stages, method)
    return [function(item) for item in items]


def default_workers() -> int:
    """Pool processes for this machine: a quarter of the cores, from 1 to 8; the rest stay with the engine."""
    return max(1, min(8, (os.cpu_count() or 1) // 4))


class RowPool:
    """Applies a stage's methods to chunks of rows, in processes that hold the opened stages.

    Args:
        stages: Picklable; `open` runs once in each process.
        workers: Processes; 0 runs everything in the calling thread.
    """

    def __init__(self, stages: Stages, workers: int):
        self._stages = stages
        self._workers = workers
        self._lock = threading.Lock()
        self._solo_lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._solo: ProcessPoolExecutor | None = None

    def open(self) -> None:
        """Makes the stages ready where calls run inline, and reports a bad set-up (ConfigError) at once."""
        if self._workers == 0:
            self._stages.open()

    def apply(self, method: str, items: Sequence[Any]) -> Callable[[], list[Any]]:
        """Starts `stages.method(item)` for each item; the returned call waits for the results, in order.

        A result is `CRASHED` where the item killed its process.

        Raises:
            WorkBroken: The processes can't even be made ready (raised by the returned call).
        """
        if self._workers == 0:
            return lambda: [getattr(self._stages, method)(item) for item in items]
        pool, future = self._submit(method, items)
        return lambda: self._collect(pool, future, method, items)

    def close(self) -> None:
        """Ends the processes; calls in flight are finished first."""
        with self._lock:
            for pool in (self._pool, self._solo):
                if pool is not None:
                    pool.shutdown(wait=True, cancel_futures=True)
            self._pool = self._solo = None

    def _submit(self, method: str, items: Sequence[Any]) -> tuple[ProcessPoolExecutor, Future[list[Any]]]:
        for _ in range(3):  # another chunk may break the pool between our reading and our submitting
            pool = self._current_pool()
            try:
                return pool, pool.submit(_apply, method, items)
            except BrokenProcessPool:
                self._discard(pool)
        raise WorkBroken("the row worker processes died three times in a row before they processed any row")

    def _collect(
        self, pool: ProcessPoolExecutor, future: Future[list[Any]], method: str, items: Sequence[Any]
    ) -> list[Any]:
        try:
            return future.result()
        except BrokenProcessPool:
            self._discard(pool)
            return [self._alone(method, item) for item in items]

    def _alone(self, method: str, item: Any) -> Any:
        with self._solo_lock:
            if self._solo is None:
                self._solo = self._ready_pool()
            try:
                return self._solo.submit(_apply, method, [item]).result()[0]
            except BrokenProcessPool:
                self._solo.shutdown(wait=False)
                self._solo = None
                return CRASHED

    def _ready_pool(self) -> ProcessPoolExecutor:
        """A process that has opened the stages, so that its death is the fault of what it is given."""
        pool = self._make_pool(1)
        try:
            pool.submit(_is_open).result()
        except BrokenProcessPool as error:
            pool.shutdown(wait=False)
            raise WorkBroken("the row worker processes exit before they are ready; see their output above") from error
        return pool

    def _current_pool(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = self._make_pool(self._workers)
            return self._pool

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.shutdown(wait=False)

    def _make_pool(self, workers: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, mp_context=context, initializer=_open_in_child, initargs=(self._stages,))
