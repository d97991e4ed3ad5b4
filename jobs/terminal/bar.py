"""The progress bar of a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.columns import Columns
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from jobs.terminal.display import NO_FACTS, fit
from jobs.terminal.escapes import one_line

_BAR_WIDTH = 24  # maximum columns; no bar is shown below a third of it


class Bar:
    """A line redrawn in place; other output is printed above it."""

    def __init__(self, stream: IO[str]):
        self._console = Console(file=stream)
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._live.start()

    def show(self, words: Sequence[str], share: float | None, facts: Mapping[str, Any] = NO_FACTS) -> None:
        line = fit([one_line(word) for word in words], self._console.width - 1)
        left = self._console.width - len(line) - 2
        if share is None or left < _BAR_WIDTH // 3:
            self._live.update(Text(line, no_wrap=True))
            return
        bar = ProgressBar(total=1.0, completed=share, width=min(left, _BAR_WIDTH))
        self._live.update(Columns([Text(line, no_wrap=True), bar], padding=(0, 1)))

    def close(self) -> None:
        self._live.stop()
