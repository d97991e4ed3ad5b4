"""`--log_file`: keeps what a command prints, and what is logged, in a file with times.

Lines are appended, so a resumed job goes on in the same file. The bar of a terminal isn't kept; with `--progress lines`
its lines are. What worker processes print themselves goes to the terminal only. With `--log_format json` the lines are
those objects, which have their times themselves.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from jobs.terminal.escapes import PRINTED, is_formatted, visible
from model.errors import ConfigError, one_line


@contextlib.contextmanager
def log_kept(path: str | None) -> Iterator[None]:
    """Keeps what is printed and logged in the file at `path` until it ends; nothing without a path.

    Raises:
        ConfigError: The file can't be written.
    """
    if path is None:
        yield
        return
    if "://" in path:
        raise ConfigError(f"--log_file {one_line(path)} is a URL; pass a local path")
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"--log_file {one_line(path)} can't be written: {error.strerror}") from None
    handler.setFormatter(_Lines("%(asctime)s %(message)s"))
    # What is logged is printed in the other form, and so kept already.
    handler.addFilter(lambda record: record.name == PRINTED.name or not is_formatted())
    root = logging.getLogger()
    loggers = (PRINTED, root)
    # Python prints warnings only where there is no handler: with ours, they would be in the file alone.
    printer = logging.lastResort if not root.handlers else None
    if printer is not None:
        root.addHandler(printer)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        if printer is not None:
            root.removeHandler(printer)
        handler.close()


class _Lines(logging.Formatter):
    """One line per printed line; a logged record also has its level and origin."""

    def format(self, record: logging.LogRecord) -> str:
        if is_formatted():
            return record.getMessage()
        text = super().format(record)
        return visible(text if record.name == PRINTED.name else f"{text} ({record.levelname}, {record.name})")
