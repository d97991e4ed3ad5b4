"""The engine's replicas as one: a scheduler for each device, all of which take requests from one backlog."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from model.engine import metrics
from model.engine.abstract_device import Device
from model.engine.backlog import Backlog, Job
from model.engine.requests import Completion, Request
from model.engine.scheduler import Scheduler
from model.engine.settings import PromptLookup


class Replicas:
    """Runs requests on one or more devices of equal options, each with its own scheduler and thread.

    Args:
        devices: At least one.
        pipeline, prompt_lookup: See `model.engine.scheduler.Scheduler`.
    """

    def __init__(self, devices: Sequence[Device], *, pipeline: bool = False, prompt_lookup: PromptLookup = "off"):
        self._backlog: Backlog[Request, Completion] = Backlog()
        self._check = devices[0].check
        self._schedulers = [
            Scheduler(device, self._backlog, pipeline=pipeline, prompt_lookup=prompt_lookup) for device in devices
        ]
        self._lock = threading.Lock()
        self._has_started = False
        self._num_refused = 0

    def start(self) -> None:
        """Starts every replica; a second call does nothing. Raises EngineStopped after `close` or a crash of all."""
        with self._lock:
            self._backlog.raise_if_stopped()
            if not self._has_started:
                self._has_started = True
                for scheduler in self._schedulers:
                    scheduler.start()

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        """Queues requests, from any thread; one future per request. The future of an invalid request fails at once.

        Raises:
            EngineStopped: The engine was closed, or its last replica has failed (the `__cause__`).
        """
        self.start()
        jobs = []
        futures: list[Future[Completion]] = []
        num_refused = 0
        for request in requests:
            future: Future[Completion] = Future()
            futures.append(future)
            try:
                self._check(request)
            except Exception as error:  # an error caused by one request fails only its future
                future.set_exception(error)
                num_refused += 1
            else:
                jobs.append(Job(request, future))
        self._backlog.submit(jobs)
        with self._lock:
            self._num_refused += num_refused
        return futures

    def stats(self) -> dict[str, float]:
        """Sums over the replicas and the ratios of these sums. Seconds are means, because replicas run concurrently."""
        each = [scheduler.stats() for scheduler in self._schedulers]
        figure: dict[str, float] = {}
        for name in dict.fromkeys(name for one in each for name in one):
            values = [one[name] for one in each if name in one]
            is_mean = name.endswith("_s") or name == "drafting_gain"
            figure[name] = sum(values) / (len(values) if is_mean else 1)
        figure["requests_failed"] += self._num_refused + self._backlog.num_failed
        figure["requests_queued"] += len(self._backlog)
        return {**figure, **metrics.ratios(figure)}

    def close(self, *, cancel_futures: bool = False) -> None:
        """Finishes all submitted requests, then stops the threads, like `Executor.shutdown`.

        Args:
            cancel_futures: Fail unfinished requests with EngineStopped instead of finishing them.
        """
        self._backlog.close(cancel_futures=cancel_futures)
        for scheduler in self._schedulers:
            scheduler.wait()
