"""ARC, the challenge set: questions of school science with three to five choices.

The labels of the choices are letters or numbers; the right one is `answerKey`. Source: Clark et al., 2018 (arXiv
1803.05457); protocol of lm-evaluation-harness, task `arc_challenge` version 1.0: 0 shots, `acc` and `acc_norm`.
"""

from __future__ import annotations

from typing import Final

from model.errors import RecordError
from transforms.evaluation.language.base import ChoiceBenchmark, Row, checked_texts
from transforms.evaluation.language.questions import Choice, Question

PROMPT: Final = "Question: {question}\nAnswer:"


def question(row: Row) -> Question:
    """The question of a row."""
    prompt = PROMPT.format(question=row["question"])
    texts, labels = checked_texts(row["choices"]["text"]), row["choices"]["label"]
    if len(labels) != len(texts):
        raise RecordError("wrong_number_of_choices", f"there are {len(texts)} choices and {len(labels)} labels")
    if row["answerKey"] not in labels:
        raise RecordError("no_gold", f"the right answer is {row['answerKey']!r}, the choices are {', '.join(labels)}")
    choices = tuple(Choice(prompt, f" {text}") for text in texts)
    return Question(choices=choices, gold=labels.index(row["answerKey"]), question_id=str(row.get("id") or ""))


BENCHMARK: Final = ChoiceBenchmark(
    name="arc_challenge",
    version="1",
    source="arXiv 1803.05457; lm-evaluation-harness arc_challenge 1.0",
    columns=("question", "choices", "answerKey"),
    question=question,
)
