"""What a benchmark of choices is: its columns, how a row becomes a question, and how many examples come before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model.errors import ConfigError, RecordError
from transforms.evaluation.columns import check_layout, reading_row
from transforms.evaluation.language.questions import Question

Row = Mapping[str, Any]

_BETWEEN = "\n\n"  # examples


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceBenchmark:
    """One benchmark.

    Args:
        name: Its name on the command line.
        version: Changes whenever the same row could give other prompts or another verdict.
        source: Where its protocol comes from.
        columns: The columns that its file must have: the hub's layout.
        question: Makes a row's question; raises RecordError (`no_gold`, ...) if the row can't be scored.
        shots: Number of solved examples before each question.
        shots_split: The split of the data that they are from, by custom.
        shots_by: Column whose value examples and question have in common; "" for none.
        introduction: The text before a row's examples.
    """

    name: str
    version: str
    source: str
    columns: tuple[str, ...]
    question: Callable[[Row], Question]
    shots: int = 0
    shots_split: str = "train"
    shots_by: str = ""
    introduction: Callable[[Row], str] = lambda row: ""

    def with_shots(self, shots: int) -> ChoiceBenchmark:
        """The same benchmark with another number of examples, which its version then tells."""
        if shots == self.shots:
            return self
        return replace(self, shots=shots, version=f"{self.version}/shots-{shots}")

    def check_columns(self, found: Sequence[str]) -> None:
        """Raises ConfigError if a file has another layout."""
        check_layout(self.name, (self.columns,), found)

    def ask(self, row: Row, shots: Mapping[str, Sequence[Question]] | None = None) -> Question:
        """The question of a row after its examples.

        Args:
            row: The row.
            shots: Examples by their value of `shots_by` (`examples`); needed if there are shots.

        Raises:
            RecordError: The row can't be scored (`missing_value`, `no_gold`, ...).
        """
        examples = (shots or {}).get(self._key(row), ())
        assert len(examples) == self.shots, f"{self.name} needs examples for {self._key(row)}"
        before = [example.solved + _BETWEEN for example in examples]
        return self._question(row).after(self.introduction(row) + "".join(before))

    def examples(
        self, rows: Sequence[Row], rows_asked: Sequence[Row] = (), where: tuple[str, str] = ("the examples", "the data")
    ) -> dict[str, list[Question]]:
        """The first rows of `shots_split` for each value of `shots_by`, as examples.

        Args:
            rows: The split's rows.
            rows_asked: The rows that will be asked; each must find its examples.
            where: The files of both, for messages.

        Raises:
            ConfigError: There aren't enough rows for a value, or one is no question.
        """
        found: dict[str, list[Question]] = {}
        for number, row in enumerate(rows_asked, start=1):
            with reading_row(f"{where[1]}, row {number}", f"question of {self.name}"):
                found.setdefault(self._key(row), [])
        for number, row in enumerate(rows, start=1):
            with reading_row(f"{where[0]}, row {number}", f"example of {self.name}"):
                same = found.setdefault(self._key(row), [])
                if len(same) < self.shots:
                    same.append(self._question(row))
        for key, same in found.items():
            if len(same) < self.shots:
                of = f" with {self.shots_by} {key}" if self.shots_by else ""
                raise ConfigError(
                    f"{self.name} needs {self.shots} rows{of} of its {self.shots_split} split as examples; the file "
                    f"has {len(same)}"
                )
        return found

    def _question(self, row: Row) -> Question:
        for name in self.columns:
            if row[name] is None:
                raise RecordError("missing_value", f"column {name} is null")
        return self.question(row)

    def _key(self, row: Row) -> str:
        return str(row[self.shots_by]) if self.shots_by else ""


def checked_texts(texts: Any, least: int = 2) -> list[str]:
    """The texts of a row's choices.

    Raises:
        TypeError: They aren't a list of texts.
        RecordError: `wrong_number_of_choices`: there are fewer than `least`.
    """
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError("choices must be a list of texts")
    if len(texts) < least:
        raise RecordError("wrong_number_of_choices", f"there are {len(texts)}, at least {least} are needed")
    return texts


def gold_index(gold: Any, count: int) -> int:
    """An index from the data (12 or "12"). Raises RecordError if it is missing or out of range."""
    try:
        index = int(gold)
    except (TypeError, ValueError):
        index = -1
    if not 0 <= index < count:
        raise RecordError("no_gold", f"the right answer is {gold!r}, there are {count} choices")
    return index
