"""What the scheduler drives: a device that prefills prompts, decodes in bursts and says what became of them.

`model.engine.jax_device.JaxDevice` is one; tests have others, whose tokens and latency are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from model.engine.requests import Request


class OutOfMemory(Exception):
    """The device's memory didn't suffice for the call; its state is lost."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One request's end, as the device reports it.

    Args:
        ticket: The ticket that it was inserted under.
        tokens: Generated ids, the stop id included.
        stop_id: The stop id that ended it, or None.
        logprob_sum: Sum of the tokens' natural-log probabilities.
    """

    ticket: int
    tokens: tuple[int, ...]
    stop_id: int | None
    logprob_sum: float


@dataclass(frozen=True, slots=True)
class BurstReport:
    """What one burst did.

    Args:
        steps: Decode steps it took.
        tokens: Tokens generated in it.
        busy: Slots that decoded, summed over the steps.
        ended: Requests that have ended; a device repeats them until their slot is filled again.
        drafted: Whether its steps were over drafts.
        seconds: How long it took; None where that says nothing of its steps, since the device did other things too.
    """

    steps: int
    tokens: int
    busy: int
    ended: Sequence[Ended]
    drafted: bool = False
    seconds: float | None = None


class Device(Protocol):
    """What the scheduler drives, from one thread. Any call may raise OutOfMemory."""

    slots: int

    def check(self, request: Request) -> None:
        """Raises RecordError where the request can't be run. Thread-safe, touches no device."""
        ...

    def choose(self, waiting: Sequence[Request]) -> list[int]:
        """Which of the waiting requests, given oldest first, to prefill together: at least one index."""
        ...

    def prefill(self, requests: Sequence[Request]) -> list[Any]:
        """Prefills a chosen group; one handle per request, for `insert`."""
        ...

    def insert(self, slot: int, staged: Any, request: Request, ticket: int) -> None:
        """Puts a prefilled prompt into a slot, which then decodes. Tickets fit 31 bits: the engine would have
        to run for years."""
        ...

    def dispatch(self, leave_after: int, *, drafts: bool) -> Any:
        """Starts a burst that ends early when `leave_after` requests have ended in it; doesn't wait.

        Args:
            leave_after: See above.
            drafts: Whether its steps are over drafted tokens.
        """
        ...

    def read(self, burst: Any) -> BurstReport:
        """Waits for a burst."""
        ...

    def shrink(self) -> bool:
        """After OutOfMemory: starts anew with fewer slots, all empty. False where it can't."""
        ...

    def stats(self) -> dict[str, float]:
        """The device's own metrics."""
        ...
