"""Whether a benchmark's file has the columns that its rows are read from, and its rows the values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from model.errors import ConfigError, RecordError, one_line


def check_layout(name: str, layouts: Sequence[Sequence[str]], found: Sequence[str]) -> None:
    """Raises ConfigError if the columns found contain those of none of the layouts.

    Args:
        name: The benchmark's name.
        layouts: The columns that its file must have, in each of the layouts that it is published in.
        found: The file's columns.
    """
    if not any(set(layout) <= set(found) for layout in layouts):
        wanted = "; or ".join(", ".join(layout) for layout in layouts)
        raise ConfigError(f"{name} needs the columns {wanted}; the file has {', '.join(found)}")


@contextmanager
def reading_row(where: str, what: str) -> Iterator[None]:
    """Turns what a row's values cause into a `ConfigError` of one line; the first error stays as the cause.

    Args:
        where: The option, the file and the row's number, from 1.
        what: What the row is read as, as `problem of mbpp`.
    """
    try:
        yield
    except RecordError as error:
        raise ConfigError(f"{where}: it is no {what} ({one_line(error)})") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{where}: it is no {what} ({type(error).__name__}: {one_line(error)})") from error
