"""Waits for a runner's job, whose workers may have gone without the runner's notice.

A runner tells when a job has ended. Some never find out that a worker process has been killed (Beam's Python job
service waits for it without end). The workers' heartbeats tell: when all of them have stopped for a long time, as seen
by this machine's clock alone, the job is canceled, and its step runs again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from apache_beam.runners.runner import PipelineResult

SILENT_S = 600.0  # far longer than any pause of a live worker, or of the storage
_LOOK_S = 60.0  # each look reads every heartbeat


class RunnerSilent(RuntimeError):
    """The workers of a runner have stopped, and the runner waits for them."""


def wait_for(result: PipelineResult, signs: Callable[[], Any], silent_s: float | None = None) -> None:
    """Waits until a job has ended; cancels it where the wait is interrupted or in vain.

    Args:
        result: The job.
        signs: Returns what changes while workers live. Nothing is expected before its first change: a runner may take
            its time to find machines.
        silent_s: How long nothing may change, in seconds; None: `SILENT_S`.

    Raises:
        RunnerSilent: Nothing has changed for so long.
        Exception: The runner's.
    """
    silent_s = SILENT_S if silent_s is None else silent_s
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            result.wait_until_finish()
        except BaseException as error:
            failed.append(error)

    waiting = threading.Thread(target=wait, name="runner", daemon=True)
    waiting.start()
    try:
        _watch(waiting, signs, silent_s)
    except BaseException:
        with contextlib.suppress(Exception):
            result.cancel()
        raise
    if failed:
        raise failed[0]


def _watch(waiting: threading.Thread, signs: Callable[[], Any], silent_s: float) -> None:
    seen, changed_at = signs(), None
    while waiting.is_alive():
        waiting.join(min(_LOOK_S, silent_s / 4))
        now = time.monotonic()
        if (found := signs()) != seen:
            seen, changed_at = found, now
        elif changed_at is not None and now - changed_at > silent_s and waiting.is_alive():
            raise RunnerSilent(f"none of the runner's workers has given a sign of life for {silent_s:,.0f} s")
