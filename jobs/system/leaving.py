"""How a command's process ends: as any Python program does, but for its very last step.

    threads of Python joined -> functions of `atexit`, the last of which flushes and ends the process
                             -> (not reached) the interpreter is taken down, beside whatever threads libraries have

Arrow reads files through Python's (`storage.open_input`) in threads of its own, and reads ahead. One that returns from
such a call while the interpreter is taken down aborts the process: exit code 134 after the work was done, or instead of
that of an error. (Seen once in 75 runs of `pack` that ended early; a slow file makes it certain.)
"""

from __future__ import annotations

import atexit
import os
import sys

_code: int | None = None


def leave_at_exit() -> None:
    """Has the process end before the interpreter is taken down. To be called first: `atexit` goes backward."""
    atexit.register(_leave)


def leave_with(code: int) -> int:
    """Notes and returns the exit code; without one, the process ends as ever."""
    global _code
    _code = code
    return code


def _leave() -> None:
    if _code is None:
        return
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):  # the interpreter says so, with an exit code of its own
            return
    os._exit(_code)
