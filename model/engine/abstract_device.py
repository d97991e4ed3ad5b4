"""The scheduler's interface to a device: it prefills prompts, decodes in bursts, and reports which requests have ended.

`model.engine.jax_device.JaxDevice` implements it; tests use fake devices with known tokens and latency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from model.engine.requests import Request


class OutOfMemory(Exception):
    """The device ran out of memory during the call; its state is lost."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What one request has generated so far, as the device reports it.

    Args:
        ticket: The ticket under which it was inserted.
        tokens: Generated ids, including the stop id.
        logprobs: The tokens' natural-log probabilities, as many, float32.
        stop_id: The stop id that ended it, or None.
    """

    ticket: int
    tokens: Sequence[int] | np.ndarray
    logprobs: Sequence[float] | np.ndarray
    stop_id: int | None = None


@dataclass(frozen=True, slots=True)
class BurstReport:
    """The result of one burst.

    Args:
        steps: Decode steps taken.
        tokens: Tokens generated.
        busy: Slots that decoded, summed over the steps.
        ended: Requests that have ended; a device repeats them until their slot is filled again.
        running: Those that go on.
        drafted: Whether its steps verified drafts.
        seconds: Its duration; None if the device did other things during that time as well, so that the duration is not
            a measure of its steps.
    """

    steps: int
    tokens: int
    busy: int
    ended: Sequence[Generated]
    running: Sequence[Generated] = ()
    drafted: bool = False
    seconds: float | None = None


class Device(Protocol):
    """What the scheduler drives, from one thread. Any call may raise OutOfMemory."""

    slots: int

    def check(self, request: Request) -> None:
        """Raises RecordError if the request can't be run. Thread-safe; doesn't use the device."""
        ...

    def choose(self, waiting: Sequence[Request]) -> list[int]:
        """Indices of the waiting requests (oldest first) to prefill together; at least one."""
        ...

    def prefill(self, requests: Sequence[Request]) -> list[Any]:
        """Prefills a chosen group; returns one handle per request, for `insert`."""
        ...

    def insert(self, slot: int, staged: Any, request: Request, ticket: int) -> None:
        """Puts a prefilled prompt into a slot, which then decodes. Tickets fit into 31 bits: enough for years."""
        ...

    def width_for(self, active: int, steps_left: int, *, drafts: bool) -> int:
        """How many of the first slots a burst should decode at the end of the work: `slots`, or fewer if a program for
        them exists or is worth its compilation.

        Args:
            active: Slots that decode: the least number.
            steps_left: Decode steps until all have ended, roughly: how many more tokens they may have.
            drafts: Whether the burst's steps verify drafted tokens.
        """
        ...

    def release(self, slot: int) -> None:
        """Ends what a slot decodes; it is free."""
        ...

    def move(self, source: int, target: int) -> None:
        """Moves a slot's request to another slot, which is free."""
        ...

    def dispatch(self, leave_after: int, *, drafts: bool, width: int, is_watched: bool) -> Any:
        """Starts a burst and returns without waiting for it.

        Args:
            leave_after: The burst ends early once this many requests have ended in it.
            drafts: Whether its steps verify drafted tokens.
            width: Decode the first so many slots: all, or what `width_for` returned.
            is_watched: Whether its report is looked through for stop texts: the burst should then be short, since a
                request goes on to its end.
        """
        ...

    def read(self, burst: Any) -> BurstReport:
        """Waits for a burst and returns its report."""
        ...

    def shrink(self) -> bool:
        """After OutOfMemory: restarts with fewer slots, all empty. Returns False if it can't."""
        ...

    def stats(self) -> dict[str, float]:
        """The device's own metrics."""
        ...
