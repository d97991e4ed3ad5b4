"""A problem whose answer is compared, not run."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["short", "number", "formula"]
"""`short`: one of several texts; `number`: a number; `formula`: an expression in LaTeX."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextProblem:
    """What is asked, and what the answer is.

    Args:
        problem_id: Its id in the benchmark.
        kind: How answers are compared.
        gold: The known answer, in all of its forms.
        language: The natural language.
    """

    problem_id: str
    kind: Kind
    gold: tuple[str, ...]
    language: str = "English"

    def text(self) -> str:
        """The problem as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def of(cls, text: str) -> TextProblem:
        """Reads what `text` wrote."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "gold": tuple(values["gold"])})


def distinct_ids(ids: Sequence[str]) -> list[str]:
    """Ids of which none stands twice: one that several rows have, or none, is followed by the row's number.

    >>> distinct_ids(["a", "b", "a", ""])
    ['a/0', 'b', 'a/2', '3']
    >>> distinct_ids(["a", "a", "a/0"])  # where that is another row's id, it is followed by it once more
    ['a/0/0', 'a/1', 'a/0']
    """
    counts = Counter(ids)
    taken, found = {one for one in ids if one and counts[one] == 1}, []
    for at, one in enumerate(ids):
        if not one or counts[one] > 1:
            one = f"{one}/{at}" if one else str(at)
            while one in taken:
                one += f"/{at}"
            taken.add(one)
        found.append(one)
    return found


def numbered(benchmark: str, question: str) -> str:
    """An id for a question of a benchmark that gives none: a hash of its text.

    >>> numbered("gsm8k", "How many?")
    'gsm8k/ba352e24c64c'
    """
    return f"{benchmark}/{hashlib.sha256(question.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
