"""Continuous batching over an abstract device: one replica's scheduling of requests and delivery of their results.

One thread owns the device. In each iteration it fills free slots with prefilled prompts, prefills
ahead of demand, dispatches a burst of decode steps, and reads the report of one burst:

    backlog -> (prefill) -> staged -> (insert) -> slot -> (bursts) -> future

Prefilling ahead allows prompts to be prefilled in groups without leaving a slot empty until the
group is complete. A burst ends early once `leave_after` requests have ended, so that their slots
can be refilled. With `pipeline`, the next burst is dispatched before the previous one is read. A
request that ended in burst n then still appears in the report of burst n + 1, so reports are
matched to requests by ticket, not by slot.

Texts that end a request are found on the host, between bursts: its slot is free from then on, whatever the device still
decodes in it, and is released before the next burst if no other request takes it.

When no requests wait any more, the running ones are moved into the first slots, and bursts decode
only those, as far as the device has a program for it or finds that compiling one pays.

An error caused by one request fails only that request's future. If the device runs out of memory
and can shrink, the requests in flight are restarted and none is lost. Any other error ends this
replica, and its unfinished requests go back to the backlog (`model.engine.backlog`). The module
doesn't import JAX: tests drive it with a device of known tokens and latency.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from model.engine.abstract_device import BurstReport, Device, Generated, OutOfMemory
from model.engine.backlog import Backlog, Job
from model.engine.metrics import SCHEDULER_SUMS
from model.engine.requests import Completion, FinishReason, Request
from model.engine.settings import PromptLookup
from model.engine.switching import DraftSwitch

_log = logging.getLogger(__name__)


class Scheduler:
    """Runs requests of a backlog on a device from its own thread.

    Args:
        device: The device that runs them. Only the scheduler's thread uses it, except for `check`.
        backlog: The waiting requests, shared with the other replicas.
        pipeline: Whether to dispatch the next burst before the previous one is read.
        prompt_lookup: Whether bursts draft; `auto`: while drafting measures faster.
    """

    def __init__(
        self, device: Device, backlog: Backlog, *, pipeline: bool = False, prompt_lookup: PromptLookup = "off"
    ):
        self._device = device
        self._backlog = backlog
        self._pipeline = pipeline
        self._switch = DraftSwitch(prompt_lookup)
        self._thread: threading.Thread | None = None
        # The thread's own state:
        self._prefilling: list[Job] = []
        self._staged: deque[Job] = deque()
        self._slots: list[Job | None] = []
        self._stopped: set[int] = set()  # free slots that the device still decodes
        self._running: dict[int, Job] = {}
        self._unread: deque[tuple[Any, int]] = deque()  # bursts, and how many slots each decodes
        self._next_ticket = 0
        self._steps = 0
        self._lock = threading.Lock()  # of the two below
        self._counts: Counter[str] = Counter()
        self._seconds = 0.0

        backlog.join(self)

    def start(self) -> None:
        """Starts the thread."""
        self._slots = [None] * self._device.slots
        self._thread = threading.Thread(target=self._run, name="engine-scheduler", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Waits for the thread to end, which it does after the backlog is closed."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def stats(self) -> dict[str, float]:
        """Sums since the start (`model.engine.metrics`), including the device's own; `requests_queued`; and, if drafts
        were tried, `drafting_gain`: their speed relative to plain steps.
        """
        with self._lock:
            counts = Counter(self._counts)
            seconds = self._seconds
        queued = len(self._staged) + len(self._running)
        metrics = {name: float(counts[name]) for name in SCHEDULER_SUMS}
        metrics |= {"busy_s": seconds, "requests_queued": float(queued)}
        if gain := self._switch.gain():
            metrics["drafting_gain"] = gain
        return metrics | self._device.stats()

    # --- the thread ---

    def _run(self) -> None:
        error = None
        try:
            while self._backlog.await_work(is_busy=bool(self._staged or self._running or self._unread)):
                started = time.perf_counter()
                try:
                    self._turn()
                except OutOfMemory as out_of_memory:
                    self._restart_smaller(out_of_memory)
                with self._lock:
                    self._seconds += time.perf_counter() - started
        except BaseException as caught:  # any error that ends the thread must reach the waiting callers
            error = caught
        unfinished = self._unfinished()
        with self._lock:
            self._running, self._prefilling = {}, []
            self._staged.clear()
        self._backlog.leave(self, unfinished, error)

    def _turn(self) -> None:
        """One iteration: fill slots, dispatch a burst, read one."""
        self._fill_slots()
        if self._running:
            self._release_stopped()
            width = self._gather()
            burst = self._device.dispatch(
                self._leave_after(width),
                drafts=self._switch.drafts,
                width=width,
                is_watched=any(job.watch is not None for job in self._running.values()),
            )
            self._unread.append((burst, width))
        if len(self._unread) > (1 if self._pipeline and self._running else 0):
            burst, width = self._unread.popleft()
            self._settle(self._device.read(burst), width)

    def _has_waiting(self) -> bool:
        return bool(self._staged) or len(self._backlog) > 0

    def _leave_after(self, width: int) -> int:
        """Ended requests after which a burst ends: 1 while others wait for a slot, otherwise as many as leave half of
        the width, which may then be narrowed, or all.
        """
        count = len(self._running)
        if self._has_waiting():
            return 1
        return count - width // 2 if count > width // 2 else count

    def _gather(self) -> int:
        """How many of the first slots the next burst decodes: all while others wait, otherwise as few as the device
        offers for the running ones, which are then moved into them.
        """
        count = len(self._running)
        if self._has_waiting() or count == self._device.slots:
            return self._device.slots
        steps_left = max(job.request.max_new_tokens - self._steps + job.first_step for job in self._running.values())
        width = self._device.width_for(count, max(steps_left, 1), drafts=self._switch.drafts)
        free = (slot for slot in range(width) if self._slots[slot] is None)
        for source in range(width, self._device.slots):
            job = self._slots[source]
            if job is not None:
                target = next(free)
                self._device.move(source, target)
                self._slots[source], self._slots[target] = None, job
        return width

    def _release_stopped(self) -> None:
        for slot in sorted(self._stopped):
            self._device.release(slot)
        self._stopped.clear()

    def _fill_slots(self) -> None:
        """Inserts staged prompts into free slots, prefilling until all slots are full and one group is staged."""
        free = deque(slot for slot, job in enumerate(self._slots) if job is None)
        while True:
            while free and self._staged:
                job = self._staged.popleft()
                slot = free.popleft()
                self._slots[slot] = self._running[job.ticket] = job
                self._stopped.discard(slot)
                job.watch = job.request.stop_texts.watch() if job.request.stop_texts else None
                staged, job.staged = job.staged, None
                job.first_step = self._steps
                self._device.insert(slot, staged, job.request, job.ticket)
            if self._staged or not free or not self._prefill_group():
                return

    def _prefill_group(self) -> bool:
        """Prefills a group of waiting requests that the device chooses; returns False if there is none to take."""
        group = self._backlog.take(self, self._device.choose)
        for job in group:
            job.ticket = self._next_ticket
            self._next_ticket += 1
        self._prefilling = group  # so that none is lost if the device runs out of memory
        try:
            if group:
                self._stage(group)
        except OutOfMemory:
            raise
        except Exception:  # one of them caused it: run alone, each fails only itself
            _log.exception("prefilling %d prompts together failed; retrying them one by one", len(group))
            for job in group:
                self._stage_alone(job)
        self._prefilling = []
        return bool(group)

    def _stage(self, group: Sequence[Job]) -> None:
        handles = self._device.prefill([job.request for job in group])
        for job, handle in zip(group, handles, strict=True):
            job.staged = handle
        self._staged.extend(group)

    def _stage_alone(self, job: Job) -> None:
        try:
            self._stage([job])
        except OutOfMemory:
            raise
        except Exception as error:
            with self._lock:
                self._counts["requests_failed"] += 1
            self._backlog.finished(self, 1)
            job.future.set_exception(error)

    def _settle(self, report: BurstReport, width: int) -> None:
        """Resolves the futures of requests that have ended and frees their slots."""
        if width == self._device.slots:  # a narrow burst's speed doesn't compare with that of others
            self._switch.observe(report)
        self._steps += report.steps
        done = self._done(report)
        with self._lock:
            self._counts.update(
                steps=report.steps,
                steps_drafted=report.steps if report.drafted else 0,
                bursts=1,
                tokens_decoded=report.tokens,
                busy_slot_steps=report.busy,
                slot_steps=report.steps * width,
                requests_done=len(done),
                tokens_in=sum(c.prompt_tokens for _, c in done),
                tokens_out=sum(len(c.tokens) + (c.stop_id is not None) for _, c in done),
            )
        self._backlog.finished(self, len(done))
        for job, completion in done:
            job.future.set_result(completion)  # a running future can't be cancelled

    def _done(self, report: BurstReport) -> list[tuple[Job, Completion]]:
        """The requests that have ended, by themselves or by a stop text; their slots are free."""
        done: list[tuple[Job, Completion]] = []
        for generated, has_ended in [*((one, True) for one in report.ended), *((one, False) for one in report.running)]:
            job = self._running.get(generated.ticket)
            if job is None:
                continue  # reported before: its slot had not been refilled when this burst started
            end = None
            if job.watch is not None:
                end = job.watch.end(generated.tokens[: len(generated.tokens) - (generated.stop_id is not None)])
            if not has_ended and end is None:
                continue
            slot = self._slots.index(job)
            self._slots[slot] = None
            if not has_ended:
                self._stopped.add(slot)
            del self._running[generated.ticket]
            done.append((job, _completion(job.request, generated, end)))
        return done

    def _restart_smaller(self, error: OutOfMemory) -> None:
        """Gives every request in flight back, in order, and starts with fewer slots."""
        before, again = self._device.slots, self._unfinished()
        self._unread.clear()
        for job in again:
            job.staged = None  # its memory is needed
        if not self._device.shrink():
            raise error
        self._staged.clear()
        self._running, self._prefilling = {}, []
        self._slots = [None] * self._device.slots
        self._stopped.clear()
        self._backlog.give_back(self, again)
        with self._lock:
            self._counts["shrinks"] += 1
        _log.warning(
            "the device ran out of memory with %d slots; continuing with %d, restarting %d requests (%s)",
            before,
            self._device.slots,
            len(again),
            error,
        )

    def _unfinished(self) -> list[Job]:
        """Jobs that were taken and have no result, oldest first, each once."""
        jobs = {job.ticket: job for job in (*self._running.values(), *self._staged, *self._prefilling)}
        return [jobs[ticket] for ticket in sorted(jobs) if not jobs[ticket].future.done()]


def _completion(request: Request, generated: Generated, end: int | None) -> Completion:
    """The completion of what was generated, or of its first `end` tokens, with which a stop text was complete."""
    count = len(generated.tokens) if end is None else end
    tokens = tuple(int(id_) for id_ in generated.tokens[:count])
    stop_id = generated.stop_id if end is None else None
    by_itself: FinishReason = "length" if stop_id is None else "stop"
    # One after the other, in the device's own precision, whatever the number of steps in which they came.
    logprob_sum = float(np.cumsum(np.asarray(generated.logprobs[:count], np.float32))[-1])
    return Completion(
        tokens=tokens if stop_id is None else tokens[:-1],
        finish_reason=by_itself if end is None else "stop_text",
        stop_id=stop_id,
        mean_logprob=logprob_sum / count,
        prompt_tokens=len(request.prompt),
    )
