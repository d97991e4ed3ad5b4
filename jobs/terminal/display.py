"""Progress display while a job runs: a live bar in a terminal, a plain line at intervals elsewhere.

Items that don't fit the terminal are omitted from the right, and the bar takes the remaining width. All output goes to
standard error.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import IO, Any, Literal, Protocol

from jobs.terminal.escapes import is_formatted, print_line

Mode = Literal["auto", "bar", "lines", "none"]
NO_FACTS: Mapping[str, Any] = MappingProxyType({})

_LINE_S = 30.0  # between plain lines
_SEPARATOR = " \N{MIDDLE DOT} "


def fit(words: Sequence[str], width: int) -> str:
    """Joins as many of the items as fit in `width` columns, from the first on; truncates the first if necessary.

    >>> fit(["1/4 units", "10/40 rows", "2 rejected"], 24)
    '1/4 units · 10/40 rows'
    """
    line = words[0][:width]
    for word in words[1:]:
        longer = f"{line}{_SEPARATOR}{word}"
        if len(longer) > width:
            break
        line = longer
    return line


def clock(seconds: float) -> str:
    """Formats seconds as minutes and seconds, preceded by hours if there are any.

    >>> clock(125.4), clock(3725.4)
    ('02:05', '1:02:05')
    """
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes:02}:{whole:02}"


class Display(Protocol):
    """Shows items in one line, and the overall progress (0 to 1) if it is known."""

    def show(self, words: Sequence[str], share: float | None, facts: Mapping[str, Any] = NO_FACTS) -> None:
        """Shows the items; `facts` say the same for programs."""
        ...

    def close(self) -> None: ...


class _Nothing:
    def show(self, words: Sequence[str], share: float | None, facts: Mapping[str, Any] = NO_FACTS) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Has nothing to close."""


class _Lines:
    """Prints a plain line, at most every `_LINE_S` seconds, and a last one at the end."""

    def __init__(self, stream: IO[str], now: Callable[[], float] = time.monotonic):
        self._stream = stream
        self._now = now
        self._began = self._last_at = now()
        self._pending: str | None = None
        self._facts = NO_FACTS

    def show(self, words: Sequence[str], share: float | None, facts: Mapping[str, Any] = NO_FACTS) -> None:
        self._pending, self._facts = _SEPARATOR.join(words), facts
        if self._now() - self._last_at >= _LINE_S:
            self._write()

    def close(self) -> None:
        self._write()

    def _write(self) -> None:
        if self._pending is not None:
            elapsed_s = self._now() - self._began
            told = {**self._facts, "event": "progress", "elapsed_s": round(elapsed_s, 1)}
            print_line(f"[{clock(elapsed_s)}] {self._pending}", self._stream, **told)
            self._pending = None
            self._last_at = self._now()


def open_display(mode: Mode, stream: IO[str]) -> Display:
    """Returns the display for a mode; `auto` is a bar if `stream` is a terminal that people read, otherwise lines."""
    if mode == "none":
        return _Nothing()
    if mode == "bar" or (mode == "auto" and stream.isatty() and not is_formatted()):
        bar: Display = importlib.import_module("jobs.terminal.bar").Bar(stream)  # imports rich, which takes a while
        return bar
    return _Lines(stream)


class CountLine:
    """Counts what is done so far, for an unknown total."""

    def __init__(self, display: Display, noun: str):
        self._display = display
        self._noun = noun
        self._shown_at = 0.0
        self._last: list[str] | None = None
        self._facts = NO_FACTS

    def update(self, done: int, *words: str) -> None:
        """Shows the count, at most ten times a second, so that it may be called per file."""
        self._last, self._facts = [f"{done:,} {self._noun}", *words], {f"{self._noun}_done": done}
        if time.monotonic() - self._shown_at >= 0.1:
            self.flush()

    def flush(self) -> None:
        """Shows the last count."""
        if self._last is not None:
            self._display.show(self._last, None, self._facts)
            self._shown_at = time.monotonic()


@contextmanager
def count_line(mode: Mode, noun: str, stream: IO[str] | None = None) -> Iterator[CountLine]:
    """A line that counts while the block runs; `mode` as for `open_display`, standard error if `stream` is None."""
    display = open_display(mode, stream or sys.stderr)
    line = CountLine(display, noun)
    try:
        yield line
    finally:
        line.flush()
        display.close()
