"""What a benchmark is: where its items stand in a file, and how each becomes a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transforms.evaluation.columns import check_layout
from transforms.evaluation.problems import Problem
from transforms.evaluation.question import Asking, Row
from transforms.evaluation.texts.problem import TextProblem


def _whole(answer: str, row: Row) -> str:
    """Of most benchmarks' answers, everything."""
    return answer


def _needs_nothing() -> None:
    """What most benchmarks need beside codemill itself."""


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
        asking: How a model is asked for an answer; None: it isn't.
        is_text: Whether answers are compared with the known one instead of being run.
        code: What is tried of a given answer, with its row.
        check_needs: Raises ConfigError if what its answers are compared with isn't installed.
    """

    name: str
    version: str
    source: str
    layouts: tuple[tuple[str, ...], ...]
    problem: Callable[[Row], Problem | TextProblem | None]
    reference: Callable[[Row], str | None]
    asking: Asking | None = None
    is_text: bool = False
    code: Callable[[str, Row], str] = _whole
    check_needs: Callable[[], None] = _needs_nothing

    def check_columns(self, found: Sequence[str]) -> None:
        """Raises ConfigError if a file has another layout."""
        check_layout(self.name, self.layouts, found)
