"""Row pool: row work in spawned processes next to the engine, so that the interpreter lock never starves the device.

Parsing, prompt building and checking are pure Python over one row. The engine's scheduler thread needs the interpreter
for a few microseconds between device calls. Running rows in spawned processes separates the two. `transforms/` does
not import JAX, so a pool process is small. A row that crashes its parser takes down a pool process, not the engine.

When a pool breaks, every chunk in flight fails, whichever row caused the crash. Each of these chunks therefore runs
again, row by row, in a separate process. A row that crashes this process is the cause, and its result is `CRASHED`. A
process that dies before it has opened the stages is not attributed to any row and raises `WorkBroken`.

Each row that is done is a *beat* (`RowPool.rows_done`), so that sixteen slow rows in one chunk are not taken for one
that hangs. Every process counts in a slot of its own of a shared array: there is no lock that a killed process could
hold.

The stages reach the processes through shared memory, not through the pipe from which a new process reads what it is to
do: the parent also keeps that pipe's other end open while it writes more than a pipe holds (64 KB; content rules alone
are 200), so that the death of a process which has read nothing yet would leave it waiting forever.

Cost: one pickle of the rows in each direction; with `workers=0` the calls run inline.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final, Protocol

from transforms.machine import available_cores
from transforms.out_of_memory import count_oom_kills
from transforms.rows.row import SourceRef
from transforms.work import WorkBroken

_log = logging.getLogger(__name__)

_BEAT_SLOTS: Final = 1024
_PIPE_BYTES: Final = 1 << 20  # what a process without privileges may ask for


class Crashed:
    """Placeholder for the result of an item that crashed its process."""

    def __repr__(self) -> str:
        return "CRASHED"

    def __reduce__(self) -> str:
        return "CRASHED"


CRASHED: Final = Crashed()


class Stages(Protocol):
    """The stages that run in the pool: picklable, opened once per process."""

    def open(self) -> None: ...


_stages: Any = None
_beats: Any = None  # in a pool process: the shared counts
_own_beats = 0


def _open_in_child(pickled: Any, beats: Any) -> None:
    global _stages, _beats
    _beats = beats
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    stages = ForkingPickler.loads(bytes(pickled))
    stages.open()
    _stages = stages


def _end_with_parent() -> None:
    """Exits when the parent process ends.

    Without this, a pool process outlives a killed parent: it waits for calls on a pipe that it keeps open itself.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _is_open() -> bool:
    return _stages is not None


def beat() -> None:
    """Counts one row as done. `RowPool` does so for each item; an item of many rows does it for each of them."""
    global _own_beats
    _own_beats += 1
    if _beats is not None:
        # Two processes in one slot may lose a count, which changes nothing: only that the sum changes is of interest.
        _beats[os.getpid() % _BEAT_SLOTS] += 1


def beats() -> int:
    """How many beats this process has counted itself."""
    return _own_beats


def _apply(method: str, items: Sequence[Any]) -> list[Any]:
    return _apply_to(_stages, method, items)


def _apply_to(stages: Any, method: str, items: Sequence[Any]) -> list[Any]:
    function, results = getattr(stages, method), []
    for item in items:
        results.append(function(item))
        beat()
    return results


def _submit_shielded(pool: ProcessPoolExecutor, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """As `pool.submit`, which may start a process: one that Ctrl-C never interrupts, also while it starts.

    A terminal sends Ctrl-C to all processes of a command. It is meant for the driver, whose end ends the others; in a
    process that starts it would be a traceback. Children inherit what is blocked in the thread that starts them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(function, *arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _widen_pipes(pool: ProcessPoolExecutor) -> None:
    """Has the pool's pipes hold a few chunks of rows. In one of 64 KB, a process would wait until the parent, whose
    threads compete for the interpreter, has read its result, and then until the parent has written the next chunk."""
    if not hasattr(fcntl, "F_SETPIPE_SZ"):
        return
    for pipe in (pool._call_queue._writer, pool._result_queue._writer):  # type: ignore[attr-defined]
        with contextlib.suppress(OSError):  # the system allows no more
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def default_workers() -> int:
    """Pool processes for this machine: a quarter of the cores, from 1 to 8; the rest are left to the engine."""
    return max(1, min(8, available_cores() // 4))


class RowPool:
    """Applies the stages' methods to chunks of rows, in processes that have opened the stages.

    Args:
        stages: Picklable; `open` runs once in each process.
        workers: Number of processes; 0 runs everything in the calling thread.
    """

    def __init__(self, stages: Stages, workers: int):
        self._stages = stages
        self._workers = workers
        self._lock = threading.Lock()
        self._solo_lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._solo: ProcessPoolExecutor | None = None
        self._context = multiprocessing.get_context("spawn")
        self._beats: Any = self._context.RawArray("Q", _BEAT_SLOTS) if workers else ()
        self._oom_kills = count_oom_kills()

    @property
    def rows_done(self) -> int:
        """How many rows have been done, also of chunks in flight; good for nothing but to see progress."""
        return sum(self._beats) + _own_beats

    def open(self) -> None:
        """Starts the processes, which open the stages while the caller goes on. If calls run inline, opens the stages,
        so that a bad set-up (ConfigError) is reported immediately.
        """
        if self._workers == 0:
            self._stages.open()
            return
        pool = self._current_pool()
        for _ in range(self._workers):  # each call that no process is idle for starts one
            _submit_shielded(pool, _is_open)

    def apply(self, method: str, items: Sequence[Any]) -> Callable[[], list[Any]]:
        """Starts `stages.method(item)` for each item; the returned function waits for the results, in order.

        The result of an item that crashed its process is `CRASHED`.

        Raises:
            WorkBroken: The processes exit before they are ready (raised by the returned function).
        """
        if self._workers == 0:
            return lambda: _apply_to(self._stages, method, items)
        pool, future = self._submit(method, items)
        return lambda: self._collect(pool, future, method, items)

    def close(self) -> None:
        """Ends the processes after the calls in flight have finished."""
        with self._lock:
            for pool in (self._pool, self._solo):
                if pool is not None:
                    pool.shutdown(wait=True, cancel_futures=True)
            self._pool = self._solo = None

    def kill(self) -> None:
        """Ends all processes at once, because a row hangs: what is in flight runs again, as after a crash."""
        with self._lock:
            pools = [pool for pool in (self._pool, self._solo) if pool is not None]
        for pool in pools:
            for process in list((pool._processes or {}).values()):
                process.kill()

    def _submit(self, method: str, items: Sequence[Any]) -> tuple[ProcessPoolExecutor, Future[list[Any]]]:
        for _ in range(3):  # another chunk may break the pool between `_current_pool` and `submit`
            pool = self._current_pool()
            try:
                return pool, _submit_shielded(pool, _apply, method, items)
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
            self._tell_of_death("one of several rows")
            return [self._alone(method, item) for item in items]

    def _alone(self, method: str, item: Any) -> Any:
        with self._solo_lock:
            if self._solo is None:
                self._solo = self._ready_pool()
            try:
                return _submit_shielded(self._solo, _apply, method, [item]).result()[0]
            except BrokenProcessPool:
                self._solo.shutdown(wait=False)
                self._solo = None
                self._tell_of_death(_place_of(item))
                return CRASHED

    def _tell_of_death(self, place: str) -> None:
        """Logs why a process probably died, and at which row."""
        with self._lock:
            before, self._oom_kills = self._oom_kills, count_oom_kills()
            why = self._oom_kills.explain_since(before)
        lower = "; fewer --workers need less memory" if why else ""
        _log.warning("a row worker died%s at %s%s", f" ({why})" if why else "", place, lower)

    def _ready_pool(self) -> ProcessPoolExecutor:
        """A one-process pool that has opened the stages, so that its death is caused by the item that it receives."""
        pool = self._make_pool(1)
        try:
            _submit_shielded(pool, _is_open).result()
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
        pickled = bytes(ForkingPickler.dumps(self._stages))
        shared = self._context.RawArray("B", len(pickled))
        memoryview(shared).cast("B")[:] = pickled
        pool = ProcessPoolExecutor(
            workers, mp_context=self._context, initializer=_open_in_child, initargs=(shared, self._beats)
        )
        _widen_pipes(pool)
        return pool


def _place_of(item: Any) -> str:
    """Where an item comes from, if it says so; never what it contains."""
    source = getattr(getattr(item, "row", item), "source", None)
    return str(source) if isinstance(source, SourceRef) else "a row"
