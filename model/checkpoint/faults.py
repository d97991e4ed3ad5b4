"""What is off with a checkpoint is said in one line, whoever found it: we, or a library that parses the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from model.errors import ConfigError, one_line


@contextmanager
def reading(path: str, what: str, at: str = "") -> Iterator[None]:
    """Turns every fault while a file is parsed into a `ConfigError` of one line that names the file.

    Parsers of foreign bytes fail in more ways than they document (a zip file alone in eight), and none of these is
    a bug of ours as long as the bytes are what is off. The first error stays as the cause.

    Args:
        path: The file or folder.
        what: What it is read as.
        at: What in it is read.
    """
    place = f"{path}: {at}" if at else path
    try:
        yield
    except ConfigError as error:
        text = str(error)
        raise ConfigError(one_line(text if path in text else f"{place}: {text}")) from error.__cause__
    except Exception as error:
        detail = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ConfigError(one_line(f"{place} can't be read as {what}: {detail}")) from error
