"""The progress bar of a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.columns import Columns
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from jobs.terminal.display import NO_FACTS, clock, fit
from jobs.terminal.escapes import one_line

_BAR_WIDTH = 24  # maximum columns; no bar is shown below a third of it


class Bar:
    """A line redrawn in place, with the time so far; other output is printed above it."""

    def __init__(self, stream: IO[str]):
        self._console = Console(file=stream)
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._began = time.monotonic()
        self._live.start()

    def show(self, words: Sequence[str], share: float | None, facts: Mapping[str, Any] = NO_FACTS) -> None:
        self._live.update(_Line([one_line(word) for word in words], share, self._began))

    def close(self) -> None:
        self._live.stop()


class _Line:
    """The line; drawn anew several times a second, so that its time goes on whatever the job does."""

    def __init__(self, words: Sequence[str], share: float | None, began: float):
        self._words = words
        self._share = share
        self._began = began

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = fit([clock(time.monotonic() - self._began), *self._words], options.max_width - 1)
        left = options.max_width - len(line) - 2
        if self._share is None or left < _BAR_WIDTH // 3:
            yield Text(line, no_wrap=True)
            return
        bar = ProgressBar(total=1.0, completed=self._share, width=min(left, _BAR_WIDTH))
        yield Columns([Text(line, no_wrap=True), bar], padding=(0, 1))
