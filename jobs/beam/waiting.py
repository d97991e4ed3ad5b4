"""Waits for a runner's job, whose workers may have gone without the runner's notice.

A runner tells when a job has ended. Some never find out that a worker process has been killed (Beam's Python job
service waits for it without end). The workers' heartbeats tell: when all of them have stopped for a long time, as seen
by this machine's clock alone, the job is canceled, and its step runs again. A storage that doesn't let them be read for
a while says nothing about the workers.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from apache_beam.runners.runner import PipelineResult

from jobs import storage

SILENT_S = 600.0  # far longer than any pause of a live worker, or of the storage
_LOOK_S = 60.0  # each look reads every heartbeat

_log = logging.getLogger(__name__)


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
        Exception: The runner's, or that of a storage that could not be read for so long.
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
    look = _Looks(signs, silent_s)
    seen, changed_at = look(), None
    has_seen = look.failed_at is None
    while waiting.is_alive():
        waiting.join(min(_LOOK_S, silent_s / 4))
        found = look()
        now = time.monotonic()
        if look.failed_at is not None:  # it has seen nothing: the workers may be alive
            changed_at = changed_at and now
        elif not has_seen:  # what was there before isn't known, so this is no change
            seen, has_seen = found, True
        elif found != seen:
            seen, changed_at = found, now
        elif changed_at is not None and now - changed_at > silent_s and waiting.is_alive():
            raise RunnerSilent(f"none of the runner's workers has given a sign of life for {silent_s:,.0f} s")


class _Looks:
    """Looks for signs, and puts up with a storage that fails for a while.

    Args:
        signs: Returns them.
        patience_s: For how long it may fail, in seconds.
    """

    def __init__(self, signs: Callable[[], Any], patience_s: float):
        self._signs = signs
        self._patience_s = patience_s
        self.failed_at: float | None = None  # since when it fails

    def __call__(self) -> Any:
        """Returns the signs; None where they can't be read. Raises what the storage has raised for so long."""
        try:
            found = self._signs()
        except Exception as error:
            now = time.monotonic()
            self.failed_at = now if self.failed_at is None else self.failed_at
            if not storage.may_pass(error) or now - self.failed_at > self._patience_s:
                raise
            _log.warning("can't read the heartbeats of the runner's workers: %s", " ".join(str(error).split())[:300])
            return None
        self.failed_at = None
        return found
