"""Claimants: the hosts that claim ranges of units, each with a heartbeat that vouches for its claims.

    _job/claimants/<id>.json   {"claimant_id", "name", "beats", "holds": {"000128-000192": [140, 192]}, "ended", ...}

A claim lasts as long as its claimant's heartbeat changes and names the range. Whether it does is decided by whoever
looks: `Judge` keeps when *its own* monotonic clock read what, so neither the claimant's clock nor the times of objects
matter. A claimant that leaves says so in its last heartbeat, which gives up all its claims at once.

Cost: one small object per claimant, rewritten every few seconds.
"""

from __future__ import annotations

import json
import os
import re
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any

from jobs import storage
from jobs.storage.folders import JobFolder

PERIOD_S = 5.0
STALE_S = 60.0  # far longer than a claimant's longest pause between two heartbeats

_TASK_VARIABLES = ("SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "JOB_COMPLETION_INDEX")
_MAX_NAME = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimant:
    """The state of one claimant, as its heartbeat gives it.

    Args:
        claimant_id: Unique among all claimants of the job.
        name: What people call it: its host, and its task in an array.
        host, pid: Where it runs.
        beats: Number of heartbeats before this one.
        workers: Its worker processes.
        units_done, rows_done: What it has committed.
        in_flight: Some of the units that it is working on.
        holds: The ranges that it works on, with the part of each that nobody has begun: first position and end.
        ended: Why it has left; "" while it is there.
        failure: The error that ended it, as `jobs.execution.orders.failure_of` describes one.
    """

    claimant_id: str
    name: str
    host: str
    pid: int
    beats: int = 0
    workers: int = 0
    units_done: int = 0
    rows_done: int = 0
    in_flight: tuple[str, ...] = ()
    holds: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    ended: str = ""
    failure: Mapping[str, str] | None = None

    def to_json(self) -> bytes:
        """The heartbeat's content."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Claimant:
        """Reads what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(data)
        fields["holds"] = {span: (begin, end) for span, (begin, end) in fields["holds"].items()}
        fields["in_flight"] = tuple(fields["in_flight"])
        return cls(**fields)


def new_claimant(name: str | None = None) -> Claimant:
    """Returns this process as a claimant, with a new id. `name`: None for the host's and the task's in an array."""
    host = socket.gethostname()
    name = name or "-".join([host, *filter(None, map(os.environ.get, _TASK_VARIABLES))])
    safe = re.sub(r"[^A-Za-z0-9.-]+", "_", name)[:_MAX_NAME].strip(".") or "worker"
    return Claimant(claimant_id=f"{safe}-{uuid.uuid4().hex[:8]}", name=name[:_MAX_NAME], host=host, pid=os.getpid())


def read_claimant(
    job_dir: JobFolder, claimant_id: str, *, store: ModuleType | Any = storage
) -> tuple[bytes, Claimant] | None:
    """Returns a claimant's heartbeat, as bytes and read; None before its first."""
    try:
        data = store.read_bytes(job_dir.claimant(claimant_id))
    except FileNotFoundError:
        return None
    return data, Claimant.from_json(data)


def list_claimants(job_dir: JobFolder, *, store: ModuleType | Any = storage) -> list[str]:
    """Returns the ids of all claimants that the job has ever had."""
    names = store.list_names(job_dir.claimants)
    return [name.removesuffix(".json") for name in names if name.endswith(".json")]


class Judge:
    """Decides whether heartbeats vouch for claims, by the time at which this process has read them.

    Args:
        stale_s: For how long a claim lasts without a new heartbeat that vouches for it, in seconds.
    """

    def __init__(self, stale_s: float = STALE_S):
        self._stale_s = stale_s
        self._last: dict[tuple[str, str], tuple[bytes | None, float]] = {}

    def is_stale(self, found: tuple[bytes, Claimant] | None, now: float, *, claimant_id: str, span: str = "") -> bool:
        """Whether a claimant has given up a range.

        Args:
            found: Its heartbeat as it was read now.
            now: A monotonic time of this process, in seconds.
            claimant_id: The claimant.
            span: The range; "" asks only whether the claimant has left or fallen silent.
        """
        key = claimant_id, span
        data, claimant = found or (None, None)
        if claimant is not None and claimant.ended:
            return True
        vouches = claimant is not None and (not span or span in claimant.holds)
        if key not in self._last or (vouches and data != self._last[key][0]):
            self._last[key] = data, now
        return now - self._last[key][1] > self._stale_s
