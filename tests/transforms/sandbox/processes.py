"""What runs in this process's slots."""

from __future__ import annotations

import os
import subprocess

from transforms.sandbox.bubblewrap import user_of

_before: set[str] = set()


def remember() -> None:
    """Remembers what runs already: compilers that another sandbox of this process keeps."""
    _before.clear()
    _before.update(_found())


def running() -> list[str]:
    """The command lines of what has been started since and still runs."""
    return [line for pid, line in _found().items() if pid not in _before]


def _found() -> dict[str, str]:
    if user_of(0) is not None:
        lines = _listed("-u", f"{user_of(0)},{user_of(1)}")
    else:
        lines = [line for line in _listed("--ppid", str(os.getpid())) if "bwrap" in line]
    return dict(line.split(None, 1) for line in lines)


def _listed(*which: str) -> list[str]:
    shown = subprocess.run(["ps", *which, "-o", "pid=,args="], capture_output=True, text=True)
    return shown.stdout.splitlines()
