"""What a benchmark is: where its items stand in a file, and how each becomes a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import ConfigError
from transforms.evaluation.problems import Problem

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """One benchmark.

    Args:
        name: Its name on the command line.
        version: Changes whenever the same answer could get another verdict, or the same row another prompt.
        source: Where its protocol comes from.
        layouts: The columns that its file must have, in each of the layouts that it is published in.
        problem: Makes a row's problem; None: the row isn't part of the benchmark.
        reference: The row's own solution, which may be empty where a span was left out; None if it has none.
    """

    name: str
    version: str
    source: str
    layouts: tuple[tuple[str, ...], ...]
    problem: Callable[[Row], Problem | None]
    reference: Callable[[Row], str | None]

    def check_columns(self, found: Sequence[str]) -> None:
        """Raises ConfigError if a file has another layout."""
        if not any(set(layout) <= set(found) for layout in self.layouts):
            wanted = "; or ".join(", ".join(layout) for layout in self.layouts)
            raise ConfigError(f"{self.name} needs the columns {wanted}; the file has {', '.join(found)}")
