"""PIQA: which of two ways reaches a goal.

Some goals and solutions in the data have stray blanks, which the protocol keeps. Source: Bisk et al., 2020 (arXiv
1911.11641); protocol of lm-evaluation-harness, task `piqa` version 1.0: 0 shots, `acc` and `acc_norm`.
"""

from __future__ import annotations

from typing import Final

from transforms.evaluation.language.base import ChoiceBenchmark, Row, gold_index
from transforms.evaluation.language.questions import Choice, Question

PROMPT: Final = "Question: {goal}\nAnswer:"


def question(row: Row) -> Question:
    """The question of a row."""
    prompt = PROMPT.format(goal=row["goal"])
    choices = tuple(Choice(prompt, f" {row[name]}") for name in ("sol1", "sol2"))
    return Question(choices=choices, gold=gold_index(row["label"], len(choices)))


BENCHMARK: Final = ChoiceBenchmark(
    name="piqa",
    version="1",
    source="arXiv 1911.11641; lm-evaluation-harness piqa 1.0",
    columns=("goal", "sol1", "sol2", "label"),
    question=question,
)
