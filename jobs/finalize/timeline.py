"""How many rows and tokens were done when: sums over the times at which units were committed, in a bounded number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

_MAX_BINS: Final = 120


@dataclass
class Timeline:
    """Sums per bin of time. Bins double in width when there would be too many, so memory is bounded.

    Args:
        width_s: The width of a bin, in seconds.
        bins: Rows and tokens of each bin that has any, by the bin's number since 1970.
    """

    width_s: float = 1.0
    bins: dict[int, list[int]] = field(default_factory=dict)

    def add(self, time_s: float, rows: int, tokens: int) -> None:
        """Counts what was done at a time, in seconds since 1970; 0 stands for an unknown time."""
        if not time_s:
            return
        self._count(int(time_s // self.width_s), rows, tokens)
        while max(self.bins) - min(self.bins) >= _MAX_BINS:
            bins, self.bins = self.bins, {}
            self.width_s *= 2
            for number, (some_rows, some_tokens) in bins.items():
                self._count(number // 2, some_rows, some_tokens)

    def _count(self, number: int, rows: int, tokens: int) -> None:
        found = self.bins.setdefault(number, [0, 0])
        found[0] += rows
        found[1] += tokens

    def summary(self) -> dict[str, Any]:
        """The sums from the first bin to the last, as `summary.json` has them; empty if no time is known."""
        if not self.bins:
            return {}
        numbers = range(min(self.bins), max(self.bins) + 1)
        sums = [self.bins.get(number, (0, 0)) for number in numbers]
        return {"bin_s": self.width_s, "rows": [rows for rows, _ in sums], "tokens_out": [tokens for _, tokens in sums]}
