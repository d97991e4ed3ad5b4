"""HellaSwag: which of four endings follows a description.

Texts from WikiHow carry marks in brackets: `[title]` becomes a full stop, other marks are dropped, and double blanks
become one. Source: Zellers et al., 2019 (arXiv 1905.07830); protocol of lm-evaluation-harness, task `hellaswag`
version 1.0: 0 shots, `acc` and `acc_norm`.
"""

from __future__ import annotations

import re
from typing import Final

from transforms.evaluation.language.base import ChoiceBenchmark, Row, checked_texts, gold_index
from transforms.evaluation.language.questions import Choice, Question

PROMPT: Final = "{activity_label}: {ctx_a} {ctx_b}"
_MARK: Final = re.compile(r"\[.*?\]")


def question(row: Row) -> Question:
    """The question of a row."""
    second = row["ctx_b"].capitalize()
    prompt = _clean(PROMPT.format(activity_label=row["activity_label"], ctx_a=row["ctx_a"], ctx_b=second))
    choices = tuple(Choice(prompt, f" {_clean(ending)}") for ending in checked_texts(row["endings"]))
    return Question(
        choices=choices, gold=gold_index(row["label"], len(choices)), question_id=str(row.get("source_id") or "")
    )


def _clean(text: str) -> str:
    return _MARK.sub("", text.strip().replace(" [title]", ". ")).replace("  ", " ")


BENCHMARK: Final = ChoiceBenchmark(
    name="hellaswag",
    version="1",
    source="arXiv 1905.07830; lm-evaluation-harness hellaswag 1.0",
    columns=("activity_label", "ctx_a", "ctx_b", "endings", "label"),
    question=question,
)
