"""Keeps the last lines that a host printed, for the driver to show when the host dies."""

from __future__ import annotations

import threading
from collections import deque
from typing import IO, Any

MAX_LINES = 40
MAX_CHARS = 8000


class LastLines:
    """A text stream that passes all on to another one and remembers the last lines. Thread-safe."""

    def __init__(self, stream: IO[str]):
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._rest = ""
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Passes the text on."""
        with self._lock:
            *whole, rest = (self._rest + text).split("\n")
            self._lines.extend(line for line in whole if line.strip())
            self._rest = rest[-MAX_CHARS:]
        return self._stream.write(text)

    def flush(self) -> None:
        """Flushes the stream behind."""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __str__(self) -> str:
        with self._lock:
            return "\n".join([*self._lines, *filter(str.strip, [self._rest])])[-MAX_CHARS:]
