"""The two errors that a user or a row can cause, and how files that others wrote cause them; all else is a bug.

They stand in the lowest layer because all three layers raise them. A broken
invariant is neither: it is an `assert`.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from contextlib import contextmanager


class ConfigError(Exception):
    """A set-up that can't work: refused in one line before any work starts (exit code 2)."""


class RecordError(Exception):
    """A row or a request that can't be done: it is kept, with this reason, among the rejected.

    Args:
        reason: The fault as a snake_case word that stays the same between versions, such as
            `prompt_too_long`; reports count by it.
        detail: One line for a person: what it got, what the limit is, what to do next.
            Never the row's content, never a secret's value.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


_MESSAGE_CHARS = 1000


def one_line(text: object, most: int = _MESSAGE_CHARS) -> str:
    """Foreign text, such as a name from a file, as a line of bounded length: what can't be printed is escaped.

    Args:
        text: Any text.
        most: Characters of it that are shown.

    >>> one_line("layers\\n.norm")
    'layers\\\\n.norm'
    """
    whole = str(text)
    if len(whole) <= most and whole.isprintable():
        return whole
    shown = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in whole[:most])
    return "".join(shown) + ("..." if len(whole) > most else "")


SHOWN_CHARS = 100
_SHORT_REPR = reprlib.Repr()
_SHORT_REPR.maxlevel, _SHORT_REPR.maxlist, _SHORT_REPR.maxdict = 3, 4, 4
_SHORT_REPR.maxstring = _SHORT_REPR.maxother = SHOWN_CHARS - 2


def shown(value: object) -> str:
    """A value that a user wrote, for a message: its `repr`, at most about 100 characters, whatever the value is.

    Nested values are never expanded as a whole: YAML aliases can make one kilobyte a billion elements.

    >>> shown("many")
    "'many'"
    >>> len(shown([["x" * 1000] * 1000] * 1000)) <= 103
    True
    """
    if isinstance(value, int) and value.bit_length() > 1000:  # Python refuses to convert the largest to decimal
        return f"a number of {value.bit_length()} bits"
    text = one_line(_SHORT_REPR.repr(value))
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "..."


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
