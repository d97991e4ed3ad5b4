"""The process in which what may crash happens: `python -m jobs.execution.child ANSWERS_FD PARENT_PID`.

Lines of JSON come on standard input, lines of JSON go out on the given descriptor:

    {"read": [[number, uri, name]]}  footers to read (`jobs.plan.footers`); many lines at once, each answered when done
    {"preload": [MODULE, ...]}       maybe soon to be a worker: import what any takes, and these
    {"environment": {NAME: VALUE}}   the parent's environment has changed; null: without the variable
    {"prepare": ORDERS}              soon to be a worker: import what that takes, beside what else goes on
    anything else                    a worker's task, see `jobs.execution.child_work`

The first line out says that the process could start: `{"ready": true}`. A process whose descriptor closes without a
word about what it was doing has died. Nothing but the standard library is imported before the kernel knows that this
process is to die with its parent.
"""

from __future__ import annotations

import os
import sys

from jobs.system.allocator import choose_allocator
from jobs.system.child_process import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[2]))
if sys.platform == "linux":
    choose_allocator()  # before Arrow is imported

# These take a while to import, in which the parent may die already.
import faulthandler
import importlib
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobs.plan.footers import answer_of
from jobs.plan.reader import READ_AT_ONCE
from jobs.terminal.verbose import log_as_parent

_WORK = "jobs.execution.child_work"
_lock = threading.Lock()


def main(argv: Sequence[str]) -> None:
    """Answers until no more lines come."""
    answers_fd = int(argv[0])
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    log_as_parent()
    _say(answers_fd, {"ready": True})
    _serve(answers_fd)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads of libraries would hold up an ordinary exit


def _serve(answers_fd: int) -> None:
    def read(files: Sequence[tuple[int, str, str]]) -> None:
        _say(answers_fd, {"answers": [[number, answer_of(uri, name)] for number, uri, name in files]})

    tasks: Any = None
    with ThreadPoolExecutor(READ_AT_ONCE, thread_name_prefix="footers") as pool:
        # This thread goes on reading whatever the others wait for, so the parent never waits to be read.
        for line in sys.stdin.buffer:
            asked = json.loads(line)
            if "read" in asked:
                pool.submit(read, asked["read"])
            elif "preload" in asked:
                _begin(_preload, asked["preload"])
            elif "environment" in asked:
                _adopt(asked["environment"])
            elif "prepare" in asked:
                _begin(_prepare, asked["prepare"])
            else:
                if tasks is None:
                    tasks = importlib.import_module(_WORK).Tasks(lambda said: _say(answers_fd, said))
                tasks.take(asked)


def _begin(task: Callable[[Any], object], argument: Any) -> None:
    threading.Thread(target=task, args=(argument,), name="prepare", daemon=True).start()


def _adopt(changed: Mapping[str, str | None]) -> None:
    for name, value in changed.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    tempfile.tempdir = None  # determined again from the environment


def _preload(modules: Sequence[str]) -> None:
    for name in (_WORK, *modules):
        importlib.import_module(name)


def _prepare(orders: str) -> None:
    importlib.import_module(_WORK).prepare(orders)


def _say(answers_fd: int, value: Mapping[str, Any]) -> None:
    line = json.dumps(value).encode() + b"\n"
    with _lock:
        while line:
            line = line[os.write(answers_fd, line) :]


if __name__ == "__main__":
    main(sys.argv[1:])
