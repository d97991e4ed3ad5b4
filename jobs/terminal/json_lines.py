"""`--log_format json`: what a command says as one JSON object a line, on standard error.

    {"time": "2026-03-01T02:17:05.123Z", "level": "warning", "event": "message", "run_id": "...", "job": "filter",
     "message": "0 of 12 rows kept (0.00%)"}

`time`, `level`, `event`, `run_id`, `job` and `message` are always there; an event other than `message` has facts of its
own beside them (`docs/scheduling.md` lists them). Lines that worker processes print, and what is logged, are objects
too. Standard output is left to what was asked for, such as `--summary -`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.terminal.escapes import print_text, set_format

MESSAGE = "message"
# How lines begin for people: the command, then what kind of line it is unless it is an ordinary one.
_HEAD = re.compile(r"(?:codemill(?: [\w-]+)?: )?(?:(error|warning|note): )?(.*)", re.S)
_LEVELS: Mapping[str | None, str] = {"error": "error", "warning": "warning", "note": "warning", None: "info"}
_TRACEBACK = "Traceback (most recent call last)"


def json_line(text: str, facts: Mapping[str, Any], *, run_id: str, job: str, now: float | None = None) -> str:
    """One message as a line of JSON, in ASCII.

    Args:
        text: The message, as people read it.
        facts: Further fields; `event` and `level` replace what follows from the text.
        run_id: The run.
        job: The job.
        now: Seconds since the epoch; the time now if None.

    >>> json_line("codemill filter: warning: few", {}, run_id="1", job="filter", now=0.5)[:55]
    '{"time": "1970-01-01T00:00:00.500Z", "level": "warning"'
    """
    found = _HEAD.fullmatch(text)
    assert found is not None, "the pattern takes any text"
    level = "error" if text.startswith(_TRACEBACK) else _LEVELS[found[1]]
    head = {"time": _utc(time.time() if now is None else now), "level": level, "event": MESSAGE}
    return json.dumps({**head, "run_id": run_id, "job": job, "message": found[2], **facts}, default=str)


def _utc(at: float) -> str:
    whole, thousandths = divmod(round(at * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{thousandths:03}Z"


@contextlib.contextmanager
def json_lines(run_id: str, job: str) -> Iterator[None]:
    """Has all that is said and logged be lines of JSON until it ends. May be nested: the inner one counts."""
    before = set_format(lambda text, facts: json_line(text, facts, run_id=run_id, job=job))
    handler = _Handler(logging.WARNING)
    root = logging.getLogger()
    others = [other for other in root.handlers if isinstance(other, _Handler)]
    for other in others:
        root.removeHandler(other)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for other in others:
            root.addHandler(other)
        set_format(before)


class _Handler(logging.Handler):
    """Prints what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        text = self.format(record)
        print_text(f"{level}: {record.name}: {text}", sys.stderr)
