"""`--verbose`: what is logged below warnings is printed as well, by this process and its workers on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Final

_VARIABLE: Final = "CODEMILL_VERBOSE"  # tells children
_PACKAGES: Final = ("codemill", "jobs", "transforms", "model")


@contextlib.contextmanager
def more_told(is_wanted: bool) -> Iterator[None]:
    """Prints more while it lasts, if it is wanted."""
    if not is_wanted or logging.lastResort is None:
        yield
        return
    levels = {name: logging.getLogger(name).level for name in _PACKAGES}
    printed_from, before = logging.lastResort.level, os.environ.get(_VARIABLE)
    _log_more()
    logging.lastResort.setLevel(logging.DEBUG)
    os.environ[_VARIABLE] = "1"
    try:
        yield
    finally:
        logging.lastResort.setLevel(printed_from)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        os.environ.pop(_VARIABLE)
        if before is not None:
            os.environ[_VARIABLE] = before


def log_as_parent() -> None:
    """In a worker: logs as much as the process that started it."""
    if os.environ.get(_VARIABLE):
        _log_more()


def _log_more() -> None:
    for name in _PACKAGES:
        logging.getLogger(name).setLevel(logging.DEBUG)
