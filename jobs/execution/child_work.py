"""What a child does as a worker. Its tasks, and what it says of each:

    {"open": [ORDERS, SPEC]}       open the job's work              {"opened": true}
    {"run": [UNIT, SUSPICION]}     run a unit and commit it         {"done": "000042-9f3a1c", "status", "counts"}
    {"close": []}                  close the work                   {"closed": true}
    {"merge": [SPEC, TASK]}        merge a shard and commit it, or  {"merging": ["train", 3, 0]} now and then while it
                                   encode a part of it              goes on, {"merged": ["train", 3, 0], "part": PART}
    {"sample": [ORDERS, UNITS, SCHEMA]}  a dry run's sample         {"sample": SAMPLE}

Several units and merges may be under way at once. What fails is said as {"failed": {...}} (`orders.failure_of`), and
the parent then ends this process.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jobs.execution.orders import Orders, failure_of, from_text, to_text
from jobs.execution.sample import measure
from jobs.execution.worker import Worker
from jobs.finalize.shards import MergeSpec, MergeTask, encode_part, merge_shard
from transforms.freeing import give_back_memory
from transforms.work import Work

Say = Callable[[Mapping[str, Any]], None]

_PROGRESS_S = 0.2  # between two lines about a merge, at least

_announced: tuple[Orders, Future[Work]] | None = None


def prepare(orders: str) -> None:
    """Builds the work of orders that are to come, and so imports what it needs; faults are told when it is opened."""
    global _announced
    made: Future[Work] = Future()
    announced = from_text(orders)
    _announced = announced, made
    try:
        made.set_result(announced.make_work())
    except BaseException as error:
        made.set_exception(error)


def _work_of(orders: Orders) -> Work:
    """The work that was prepared for these orders, once; else a new one."""
    global _announced
    announced, _announced = _announced, None
    return announced[1].result() if announced is not None and announced[0] == orders else orders.make_work()


class Tasks:
    """Carries out a parent's tasks; `say` sends a line back. Not thread-safe."""

    def __init__(self, say: Say):
        self._say = say
        self._worker: Worker | None = None
        self._merges = ThreadPoolExecutor(thread_name_prefix="merge")
        # A unit may wait for room, and the thread that reads must not: the parent would wait for it.
        self._units = ThreadPoolExecutor(1, thread_name_prefix="admission")

    def take(self, asked: Mapping[str, Any]) -> None:
        """Takes one task; returns at once unless it is one that only one can be of."""
        ((task, given),) = asked.items()
        try:
            if task == "merge":
                self._merges.submit(self._merge, *from_text(given))
            else:
                getattr(self, f"_{task}")(*from_text(given))
        except BaseException as error:
            self._fail(error)

    def _open(self, orders: Orders, spec: Any) -> None:
        worker = Worker(spec, _work_of(orders))
        worker.open()
        self._worker = worker
        self._say({"opened": True})

    def _run(self, unit: Any, suspicion: Any) -> None:
        self._units.submit(self._admit, unit, suspicion)

    def _admit(self, unit: Any, suspicion: Any) -> None:
        assert self._worker is not None
        try:
            self._worker.submit(unit, suspicion).add_done_callback(self._tell)
        except BaseException as error:
            self._fail(error)

    def _tell(self, future: Future[Any]) -> None:
        if (error := future.exception()) is not None:
            self._fail(error)
        else:
            record = future.result()
            self._say({"done": record.unit_id, "status": record.status, "counts": dict(record.counts)})

    def _close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()
        del worker
        gc.collect()
        give_back_memory()  # the merges that follow need another's
        self._say({"closed": True})

    def _merge(self, spec: MergeSpec, task: MergeTask) -> None:
        said_at = -math.inf

        def on_progress() -> None:
            nonlocal said_at
            if time.monotonic() - said_at > _PROGRESS_S:
                said_at = time.monotonic()
                self._say({"merging": task.key})

        part = None
        try:
            if task.part is None:
                merge_shard(
                    spec,
                    task.kind,
                    task.index,
                    encoded=task.encoded,
                    groups=task.groups,
                    on_progress=on_progress,
                )
            else:
                part = encode_part(spec, task, on_progress=on_progress)
        except BaseException as error:
            self._fail(error)
        else:
            self._say({"merged": task.key, "part": to_text(part)})

    def _sample(self, orders: Orders, units: Any, schema: Any) -> None:
        self._say({"sample": to_text(measure(units, schema, _work_of(orders)))})

    def _fail(self, error: BaseException) -> None:
        self._say({"failed": failure_of(error)})
