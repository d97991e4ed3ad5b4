"""Continuous batching over an abstract device: scheduling of requests and delivery of their results.

One thread owns the device. In each iteration it fills free slots with prefilled prompts, prefills
ahead of demand, dispatches a burst of decode steps, and reads the report of one burst:

    submit -> waiting -> (prefill) -> staged -> (insert) -> slot -> (bursts) -> future

Prefilling ahead allows prompts to be prefilled in groups without leaving a slot empty until the
group is complete. A burst ends early once `leave_after` requests have ended, so that their slots
can be refilled. With `pipeline`, the next burst is dispatched before the previous one is read. A
request that ended in burst n then still appears in the report of burst n + 1, so reports are
matched to requests by ticket, not by slot.

An error caused by one request fails only that request's future. If the device runs out of memory
and can shrink, the requests in flight are restarted and none is lost. Any other error stops the
engine and fails all unfinished futures, with the error as their cause. The module doesn't import
JAX: tests drive it with a device of known tokens and latency.

The module is long because all of it is the state of one thread, and everything that may change
that state should be read together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from model.engine.abstract_device import BurstReport, Device, Ended, OutOfMemory
from model.engine.metrics import SCHEDULER_SUMS, ratios
from model.engine.requests import Completion, EngineStopped, Request
from model.engine.settings import PromptLookup
from model.engine.switching import DraftSwitch

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    """A request in the engine. `staged` is its prefilled prompt while it waits for a slot; `times_passed` counts how
    often others were preferred to it while it was the oldest.
    """

    ticket: int
    request: Request
    future: Future[Completion]
    staged: Any = None
    times_passed: int = 0


# How many requests of the queue the device may choose from to fill a row; limits the reordering.
WINDOW = 256
# After this many groups without it, the oldest request is prefilled alone.
PATIENCE = 64


class Scheduler:
    """Runs requests on a device from its own thread.

    Args:
        device: The device that runs them. Only the scheduler's thread uses it, except for `check`.
        pipeline: Whether to dispatch the next burst before the previous one is read.
        prompt_lookup: Whether bursts draft; `auto`: while drafting measures faster.
    """

    def __init__(self, device: Device, *, pipeline: bool = False, prompt_lookup: PromptLookup = "off"):
        self._device = device
        self._pipeline = pipeline
        self._switch = DraftSwitch(prompt_lookup)
        self._wakeup = threading.Condition()
        self._arrived: deque[_Job] = deque()  # guarded by _wakeup; the fields from _waiting on belong to the thread
        self._is_closed = False
        self._cause: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._waiting: list[_Job] = []
        self._prefilling: list[_Job] = []
        self._staged: deque[_Job] = deque()
        self._slots: list[_Job | None] = []
        self._running: dict[int, _Job] = {}
        self._next_ticket = 0
        self._counts: Counter[str] = Counter()
        self._seconds = 0.0

    def start(self) -> None:
        """Starts the thread; a second call does nothing. Raises EngineStopped after `close` or a crash."""
        with self._wakeup:
            self._raise_if_stopped()
            if self._thread is None:
                self._slots = [None] * self._device.slots
                self._thread = threading.Thread(target=self._run, name="engine-scheduler", daemon=True)
                self._thread.start()

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        """Queues requests, from any thread; one future per request. The future of an invalid request fails at once."""
        self.start()
        jobs = []
        futures: list[Future[Completion]] = []
        num_refused = 0
        for request in requests:
            future: Future[Completion] = Future()
            futures.append(future)
            try:
                self._device.check(request)
            except Exception as error:  # an error caused by one request fails only its future
                future.set_exception(error)
                num_refused += 1
            else:
                jobs.append(_Job(ticket=-1, request=request, future=future))
        with self._wakeup:
            self._raise_if_stopped()
            self._counts["requests_failed"] += num_refused
            self._arrived.extend(jobs)
            self._wakeup.notify_all()
        return futures

    def stats(self) -> dict[str, float]:
        """Sums since the start and their ratios (`model.engine.metrics`), including the device's own sums;
        `requests_queued`; and, if drafts were tried, `drafting_gain`: their speed relative to plain steps.
        """
        with self._wakeup:
            counts = Counter(self._counts)
            seconds = self._seconds
            queued = len(self._arrived) + len(self._waiting) + len(self._staged) + len(self._running)
        metrics = {name: float(counts[name]) for name in SCHEDULER_SUMS}
        metrics |= {"busy_s": seconds, "requests_queued": float(queued)}
        if gain := self._switch.gain():
            metrics["drafting_gain"] = gain
        metrics |= self._device.stats()
        return {**metrics, **ratios(metrics)}

    def close(self, *, cancel_futures: bool = False) -> None:
        """Finishes all submitted requests, then stops the thread, like `Executor.shutdown`.

        Args:
            cancel_futures: Fail unfinished requests with EngineStopped instead of finishing them.
        """
        with self._wakeup:
            self._is_closed = True
            if cancel_futures and self._cause is None:
                self._cause = EngineStopped("the engine was closed before this request ended")
            self._wakeup.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _raise_if_stopped(self) -> None:
        if self._cause is not None or self._is_closed:
            raise EngineStopped("the engine has stopped") from self._cause

    # --- the thread ---

    def _run(self) -> None:
        try:
            unread: deque[Any] = deque()
            while self._await_work(has_unread=bool(unread)):
                started = time.perf_counter()
                try:
                    self._turn(unread)
                except OutOfMemory as error:
                    unread.clear()
                    self._restart_smaller(error)
                with self._wakeup:
                    self._seconds += time.perf_counter() - started
        except BaseException as error:  # any error that ends the thread must reach the waiting callers
            _log.exception("the engine's scheduler crashed")
            with self._wakeup:
                self._cause = error
        finally:
            self._fail_all()

    def _await_work(self, *, has_unread: bool) -> bool:
        """Takes over new requests; blocks while there is nothing to do. Returns False when the thread should end."""
        with self._wakeup:
            while True:
                while self._arrived:
                    job = self._arrived.popleft()
                    if job.future.set_running_or_notify_cancel():
                        self._waiting.append(job)
                if self._cause is not None:
                    return False
                if self._waiting or self._staged or self._running or has_unread:
                    return True
                if self._is_closed:
                    return False
                self._wakeup.wait()

    def _turn(self, unread: deque[Any]) -> None:
        """One iteration: fill slots, dispatch a burst, read one."""
        self._fill_slots()
        if self._running:
            unread.append(self._device.dispatch(self._leave_after(), drafts=self._switch.drafts))
        if len(unread) > (1 if self._pipeline and self._running else 0):
            self._settle(self._device.read(unread.popleft()))

    def _leave_after(self) -> int:
        """Ended requests after which a burst ends: 1 while others wait for a slot, otherwise all running ones."""
        return 1 if self._staged or self._waiting else len(self._running)

    def _fill_slots(self) -> None:
        """Inserts staged prompts into free slots, prefilling until all slots are full and one group is staged."""
        free = deque(slot for slot, job in enumerate(self._slots) if job is None)
        while True:
            while free and self._staged:
                job = self._staged.popleft()
                slot = free.popleft()
                self._slots[slot] = self._running[job.ticket] = job
                staged, job.staged = job.staged, None
                self._device.insert(slot, staged, job.request, job.ticket)
            if self._staged or not self._waiting or not free:
                return
            self._prefill_group()

    def _prefill_group(self) -> None:
        """Prefills the group that the device chooses among the oldest waiting requests, or the oldest request alone if
        it was passed over too often.
        """
        oldest = self._waiting[0]
        chosen = [0]
        if oldest.times_passed < PATIENCE:
            chosen = sorted(self._device.choose([job.request for job in self._waiting[:WINDOW]]))
            oldest.times_passed += chosen[0] != 0
        group = [self._waiting[i] for i in chosen]
        for i in reversed(chosen):
            del self._waiting[i]
        for job in group:
            job.ticket = self._next_ticket
            self._next_ticket += 1
        self._prefilling = group  # so that none is lost if the device runs out of memory
        try:
            self._stage(group)
        except OutOfMemory:
            raise
        except Exception:  # one of them caused it: run alone, each fails only itself
            _log.exception("prefilling %d prompts together failed; retrying them one by one", len(group))
            for job in group:
                self._stage_alone(job)
        self._prefilling = []

    def _stage(self, group: Sequence[_Job]) -> None:
        handles = self._device.prefill([job.request for job in group])
        for job, handle in zip(group, handles, strict=True):
            job.staged = handle
        self._staged.extend(group)

    def _stage_alone(self, job: _Job) -> None:
        try:
            self._stage([job])
        except OutOfMemory:
            raise
        except Exception as error:
            with self._wakeup:
                self._counts["requests_failed"] += 1
            job.future.set_exception(error)

    def _settle(self, report: BurstReport) -> None:
        """Resolves the futures of requests that have ended and frees their slots."""
        self._switch.observe(report)
        done: list[tuple[_Job, Completion]] = []
        for ended in report.ended:
            job = self._running.pop(ended.ticket, None)
            if job is None:
                continue  # reported before: its slot had not been refilled when this burst started
            self._slots[self._slots.index(job)] = None
            done.append((job, _completion(job.request, ended)))
        with self._wakeup:
            self._counts.update(
                steps=report.steps,
                steps_drafted=report.steps if report.drafted else 0,
                bursts=1,
                tokens_decoded=report.tokens,
                busy_slot_steps=report.busy,
                slot_steps=report.steps * self._device.slots,
                requests_done=len(done),
                tokens_in=sum(c.prompt_tokens for _, c in done),
                tokens_out=sum(len(c.tokens) + (c.stop_id is not None) for _, c in done),
            )
        for job, completion in done:
            job.future.set_result(completion)  # a running future can't be cancelled

    def _restart_smaller(self, error: OutOfMemory) -> None:
        """Puts every request in flight back into the queue, in order, and starts with fewer slots."""
        again = [job for job in self._in_flight() if not job.future.done()]
        for job in again:
            job.staged = None
        self._waiting[:0] = again
        self._staged.clear()
        self._running, self._prefilling = {}, []
        before = self._device.slots
        if not self._device.shrink():
            raise error
        self._slots = [None] * self._device.slots
        with self._wakeup:
            self._counts["shrinks"] += 1
        _log.warning(
            "the device ran out of memory with %d slots; continuing with %d, restarting %d requests (%s)",
            before,
            self._device.slots,
            len(again),
            error,
        )

    def _in_flight(self) -> list[_Job]:
        """Jobs that have left the queue, oldest first, each once."""
        jobs = {job.ticket: job for job in (*self._running.values(), *self._staged, *self._prefilling)}
        return [jobs[ticket] for ticket in sorted(jobs)]

    def _fail_all(self) -> None:
        with self._wakeup:
            self._is_closed = True
            taken = [job for job in (*self._in_flight(), *self._waiting) if not job.future.done()]
            queued = [job for job in self._arrived if job.future.set_running_or_notify_cancel()]
            self._arrived.clear()
            self._waiting, self._running, self._prefilling = [], {}, []
            self._staged.clear()
            self._counts["requests_failed"] += len(taken) + len(queued)
            cause = self._cause
        for job in (*taken, *queued):
            error = EngineStopped("the engine stopped before this request ended")
            error.__cause__ = cause
            job.future.set_exception(error)


def _completion(request: Request, ended: Ended) -> Completion:
    tokens = ended.tokens
    is_stopped = ended.stop_id is not None
    return Completion(
        tokens=tokens[:-1] if is_stopped else tokens,
        finish_reason="stop" if is_stopped else "length",
        stop_id=ended.stop_id,
        mean_logprob=ended.logprob_sum / len(tokens),
        prompt_tokens=len(request.prompt),
    )
