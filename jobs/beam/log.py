"""Filters Beam's log: hides messages that the job reports better or that the user can't act on."""

from __future__ import annotations

import logging

from jobs.errors import MergeCanceled, ReportedBug
from jobs.hosts.stopping import reason_in
from jobs.storage import is_unanswered
from model.errors import ConfigError

_ERRORS = "apache_beam.runners.common"


def quiet_beam() -> None:
    """Silences the warning about apitools, which no job uses, and tracebacks of errors that are reported in one line.

    Bugs keep their tracebacks. Calling it more than once is safe.
    """
    logging.getLogger().addFilter(_is_no_apitools_warning)  # logged on the root logger
    logging.getLogger().addFilter(_is_no_told_text)  # so does a job service what its workers raise
    logging.getLogger(_ERRORS).addFilter(_is_no_told_error)


def _is_no_apitools_warning(record: logging.LogRecord) -> bool:
    return "apitools not found" not in record.getMessage()


def _is_no_told_text(record: logging.LogRecord) -> bool:
    return reason_in(record.getMessage()) is None


def _is_no_told_error(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return True
    return not (
        isinstance(error, ConfigError | ReportedBug | MergeCanceled | KeyboardInterrupt) or is_unanswered(error)
    )
