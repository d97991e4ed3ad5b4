"""Several schedulers as one: each request goes to the replica with the fewest unfinished requests.

Consecutive requests with a common prefix, such as the holes of one file, stay together, because a prefill row
computes a shared prefix once. Their number is limited; otherwise a preamble common to all requests would send all of
them to one replica.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from model.engine import metrics
from model.engine.requests import Completion, Request

_MOST_TOGETHER = 16


class Replica(Protocol):
    """A member of `Spread`; `model.engine.scheduler.Scheduler` implements it."""

    def start(self) -> None: ...

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]: ...

    def stats(self) -> dict[str, float]: ...

    def close(self, *, cancel_futures: bool = False) -> None: ...


class Spread:
    """Distributes requests over replicas; implements `Replica` itself.

    Args:
        replicas: At least one.
        min_shared: Consecutive requests with this many equal first tokens stay together; 0: none.
    """

    def __init__(self, replicas: Sequence[Replica], *, min_shared: int):
        self._replicas = list(replicas)
        self._min_shared = min_shared
        self._lock = threading.Lock()
        self._open = [0] * len(replicas)  # unfinished requests of each replica

    def start(self) -> None:
        """Starts every replica."""
        for replica in self._replicas:
            replica.start()

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        """Queues requests; one future per request, in order. Raises EngineStopped once any replica has stopped."""
        homes = self._homes(requests)
        futures: dict[int, Future[Completion]] = {}
        for home, replica in enumerate(self._replicas):
            indices = [i for i, own in enumerate(homes) if own == home]
            if not indices:
                continue
            for i, future in zip(indices, replica.submit([requests[i] for i in indices]), strict=True):
                futures[i] = future
                future.add_done_callback(partial(self._has_ended, home))
        return [futures[i] for i in range(len(requests))]

    def stats(self) -> dict[str, float]:
        """Sums over the replicas and the ratios of these sums. Seconds are means, because replicas run concurrently."""
        each = [replica.stats() for replica in self._replicas]
        figure: dict[str, float] = {}
        for name in dict.fromkeys(name for one in each for name in one):
            values = [one[name] for one in each if name in one]
            is_mean = name.endswith("_s") or name == "drafting_gain"
            figure[name] = sum(values) / (len(values) if is_mean else 1)
        return {**figure, **metrics.ratios(figure)}

    def close(self, *, cancel_futures: bool = False) -> None:
        """Closes every replica; see `Scheduler.close`."""
        for replica in self._replicas:  # while one finishes its work, the others continue theirs
            replica.close(cancel_futures=cancel_futures)

    def _homes(self, requests: Sequence[Request]) -> list[int]:
        """The replica of each request, which is counted there."""
        homes: list[int] = []
        together = 0
        with self._lock:
            for index, request in enumerate(requests):
                follows = index > 0 and self._shares_prefix(request, requests[index - 1]) and together < _MOST_TOGETHER
                together = together + 1 if follows else 1
                home = homes[-1] if follows else self._open.index(min(self._open))
                self._open[home] += 1
                homes.append(home)
        return homes

    def _shares_prefix(self, one: Request, other: Request) -> bool:
        count = self._min_shared
        return 0 < count <= len(one.prompt) and one.prompt[:count] == other.prompt[:count]

    def _has_ended(self, home: int, future: Future[Completion]) -> None:
        with self._lock:
            self._open[home] -= 1
