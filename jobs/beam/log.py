"""Keeps out of sight what Beam logs and the user is told better, or can do nothing about."""

from __future__ import annotations

import logging

from jobs.errors import MergeCanceled, ReportedBug
from model.errors import ConfigError

_ERRORS = "apache_beam.runners.common"


def quiet_beam() -> None:
    """Silences a warning of a client that no job here uses, and the tracebacks of errors that end in one line.

    Bugs keep their tracebacks. May be called again.
    """
    logging.getLogger().addFilter(_is_no_apitools_warning)  # logged on the root logger
    logging.getLogger(_ERRORS).addFilter(_is_no_told_error)


def _is_no_apitools_warning(record: logging.LogRecord) -> bool:
    return "apitools not found" not in record.getMessage()


def _is_no_told_error(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, ConfigError | ReportedBug | MergeCanceled | KeyboardInterrupt)
