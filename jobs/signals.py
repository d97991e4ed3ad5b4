"""SIGTERM as an exception, so that a job ends as cleanly by it as by Ctrl-C: one line, nothing left behind."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM."""


@contextlib.contextmanager
def terminate_like_interrupt() -> Iterator[None]:
    """Turns SIGTERM into `Terminated` while the block runs. May be nested."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def how_it_ended(interrupt: KeyboardInterrupt) -> tuple[str, int]:
    """What to say of an interrupt, and its exit code: 128 and the signal's number, as shells have it."""
    if isinstance(interrupt, Terminated):
        return "terminated", 128 + signal.SIGTERM
    return "interrupted", 128 + signal.SIGINT
