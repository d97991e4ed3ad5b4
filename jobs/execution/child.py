"""The process in which what may crash happens: `python -m jobs.execution.child ANSWERS_FD PARENT_PID`.

Lines of JSON come on standard input, lines of JSON go out on the given descriptor:

    {"read": [[number, uri, name]]}  footers to read (`jobs.plan.footers`); many lines at once, each answered when done
    {"prepare": true}                soon to be a worker: import what that takes, beside what else goes on
    {"orders": {...}}                become the job's worker (`jobs.execution.child_work`); nothing is read from then on

The first line out says that the process could start: `{"ready": true}`. A worker's last line says how it ended; a
process that ends without it has died. Beam is imported only when it is needed, and nothing but the standard library
before the kernel knows that this process is to die with its parent.
"""

from __future__ import annotations

import os
import sys

from jobs.child_process import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[2]))

# These take a while to import, in which the parent may die already.
import faulthandler
import importlib
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobs.beam.log import quiet_beam
from jobs.plan.footers import answer_of
from jobs.plan.reader import READ_AT_ONCE

_WORK = "jobs.execution.child_work"
_lock = threading.Lock()


def main(argv: Sequence[str]) -> None:
    """Answers until it gets orders, then carries them out."""
    answers_fd = int(argv[0])
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    quiet_beam()  # before it is imported, which already logs something
    _say(answers_fd, {"ready": True})
    orders = _answer_reads(answers_fd)
    if orders is not None:
        outcome = importlib.import_module(_WORK).outcome_of(orders)
        sys.stdout.flush()
        sys.stderr.flush()
        _say(answers_fd, outcome)
    os._exit(0)  # Beam's threads would hold up an ordinary exit


def _answer_reads(answers_fd: int) -> dict[str, Any] | None:
    """Reads footers until orders come; None where no more lines come."""

    def read(files: Sequence[tuple[int, str, str]]) -> None:
        _say(answers_fd, {"answers": [[number, answer_of(uri, name)] for number, uri, name in files]})

    with ThreadPoolExecutor(READ_AT_ONCE, thread_name_prefix="footers") as pool:
        # This thread goes on reading whatever the others wait for, so the parent never waits to be read.
        for line in sys.stdin.buffer:
            asked = json.loads(line)
            if "read" in asked:
                pool.submit(read, asked["read"])
            elif "prepare" in asked:
                threading.Thread(target=importlib.import_module, args=(_WORK,), name="prepare", daemon=True).start()
            else:
                orders: dict[str, Any] = asked["orders"]
                return orders
    return None


def _say(answers_fd: int, value: Mapping[str, Any]) -> None:
    line = json.dumps(value).encode() + b"\n"
    with _lock:
        while line:
            line = line[os.write(answers_fd, line) :]


if __name__ == "__main__":
    main(sys.argv[1:])
