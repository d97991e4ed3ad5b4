"""Copies of a run's summary: `--summary`, and `summary.json` of an output whose job has failed."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable, Mapping
from typing import Any

from jobs import storage
from jobs.monitoring.observer import Observer, State
from jobs.options.report import PRINTED
from jobs.storage.folders import OutputFolder
from jobs.terminal.escapes import print_text
from model.errors import ConfigError, one_line

_log = logging.getLogger(__name__)


def summary_text(summary: Mapping[str, Any]) -> bytes:
    """The content of `summary.json`; of a name that is no UTF-8, its bytes are JSON's escapes."""
    return json.dumps(summary, indent=1, ensure_ascii=False).encode(errors="backslashreplace")


def check_summary_path(path: str | None) -> None:
    """Raises ConfigError if a copy of the summary can't be written there: now, not when the job has ended."""
    if path not in (None, PRINTED):
        check_local_file("--summary", str(path))


def check_local_file(flag: str, path: str) -> None:
    """Raises ConfigError if the file that a flag names can't be written."""
    folder = os.path.dirname(os.path.abspath(path))
    if not path:
        raise ConfigError(f"{flag} is empty; pass a file")
    if "://" in path:
        why = "is a URL; pass a local path"
    elif not os.path.isdir(folder):
        why = f"can't be written: there is no folder {one_line(folder)}"
    elif os.path.isdir(path) or not os.access(folder, os.W_OK):
        why = "can't be written; pass a file in a folder that this user may write"
    elif os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        # The file is replaced as a whole; root would replace /dev/null.
        why = "is a device, link or pipe, which would be replaced; pass a file"
    else:
        return
    raise ConfigError(f"{flag} {one_line(path)} {why}")


class SummaryCopy(Observer):
    """Writes or prints the summary when the run ends, whatever way.

    Args:
        path: The file; `-` for standard output.
    """

    def __init__(self, path: str):
        self._path = path

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        """Raises ConfigError if the file of a complete run can't be written."""
        if self._path == PRINTED:
            print_text(summary_text(summary).decode())
            return
        try:
            storage.write_bytes(self._path, summary_text(summary))
        except OSError as error:
            if state == "complete":
                raise ConfigError(f"--summary {one_line(self._path)} can't be written: {error.strerror}") from None
            raise


def keep_codes(output: OutputFolder, summary: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Writes the summary again with the exit codes of this run; a complete output may be one that can only be read."""
    try:
        with storage.clear_errors(output.summary):
            storage.write_bytes(output.summary, summary_text(summary))
    except ConfigError as error:
        say(f"note: {error}; the exit codes in it are not those of this run")


def keep_failure(output: OutputFolder, summary: Mapping[str, Any]) -> None:
    """Leaves the summary of a failed run in its output, unless that is complete.

    Requires the output's lock. A storage that can't be written may be why the run has failed, so that is only logged.
    """
    try:
        if not storage.exists(output.completed):
            storage.write_bytes(output.summary, summary_text(summary))
    except Exception as error:
        if not (isinstance(error, OSError | ConfigError) or storage.is_unanswered(error)):
            raise
        _log.warning("can't write %s: %s", one_line(output.summary), one_line(error))
