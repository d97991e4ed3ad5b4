"""Failpoints: named places where a test can make the process die, fail or run out of disk space.

The environment variable `CODEMILL_FAILPOINT` names one of them and the action there:

    CODEMILL_FAILPOINT="commit.after_kept=kill"        the first time in a process
    CODEMILL_FAILPOINT="commit.after_kept:3=enospc"    the third time

`kill` sends SIGKILL to the process itself (no handler, no `finally`), `raise` raises `InjectedFault`, `enospc` raises
the error of a full disk, and `hang` never returns. Without the variable, a failpoint costs one dictionary lookup.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections import Counter

from model.errors import ConfigError

VARIABLE = "CODEMILL_FAILPOINT"
ACTIONS = ("kill", "raise", "enospc", "hang")

_names: set[str] = set()
_hits: Counter[str] = Counter()
_lock = threading.Lock()


class InjectedFault(Exception):
    """Raised by the action `raise`. No code handles it, so it is treated as a bug."""


def register(name: str) -> str:
    """Registers a failpoint's name, so that a test can enumerate them all; returns the name."""
    _names.add(name)
    return name


def names(prefix: str = "") -> list[str]:
    """All failpoints of the modules imported so far whose names start with `prefix`, sorted."""
    return sorted(name for name in _names if name.startswith(prefix))


def failpoint(name: str) -> None:
    """Performs the action that the environment variable sets for this failpoint, if any."""
    setting = os.environ.get(VARIABLE)
    if not setting:
        return
    wanted, nth, action = _parse(setting)
    if wanted != name:
        return
    with _lock:
        _hits[name] += 1
        if _hits[name] != nth:
            return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "hang":
        threading.Event().wait()
    if action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise InjectedFault(name)


def _parse(setting: str) -> tuple[str, int, str]:
    where, _, action = setting.partition("=")
    name, _, nth = where.partition(":")
    if action not in ACTIONS or not name or (nth and not nth.isdigit()):
        raise ConfigError(f"{VARIABLE}={setting!r}: expected NAME[:NTH]=ACTION with ACTION one of {', '.join(ACTIONS)}")
    return name, int(nth or 1), action
