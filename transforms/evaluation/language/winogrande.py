"""WinoGrande: which of two names fills the blank in a sentence.

Partial scoring: the text after the blank is scored given the sentence up to it with each option in its place, so that
the options' own probabilities don't count (Trinh and Le, 2018, arXiv 1806.02847). Source: Sakaguchi et al., 2019 (arXiv
1907.10641); protocol of lm-evaluation-harness, task `winogrande` version 1.0: 0 shots, `acc`. `acc_norm` is the same
number, since both choices are the same text.
"""

from __future__ import annotations

from typing import Final

from model.errors import RecordError
from transforms.evaluation.language.base import ChoiceBenchmark, Row
from transforms.evaluation.language.questions import Choice, Question

BLANK: Final = "_"
OPTIONS: Final = ("option1", "option2")
GOLDS: Final = ("1", "2")


def question(row: Row) -> Question:
    """The question of a row."""
    before, blank, after = row["sentence"].partition(BLANK)
    if not blank:
        raise RecordError("no_blank", "the sentence has no blank (_)")
    answer = str(row["answer"])
    if answer not in GOLDS:
        raise RecordError("no_gold", f"the right answer is {row['answer']!r}, not 1 or 2")
    choices = tuple(Choice(before + row[option], f" {after.strip()}") for option in OPTIONS)
    return Question(choices=choices, gold=GOLDS.index(answer))


BENCHMARK: Final = ChoiceBenchmark(
    name="winogrande",
    version="1",
    source="arXiv 1907.10641, partial scoring of 1806.02847; lm-evaluation-harness winogrande 1.0",
    columns=("sentence", "option1", "option2", "answer"),
    question=question,
)
