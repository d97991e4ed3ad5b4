"""MMLU: questions of 57 subjects with four choices, answered by a letter.

The first five rows of the subject's dev split come before each question, solved. Source: Hendrycks et al., 2021 (arXiv
2009.03300); protocol of lm-evaluation-harness, task `mmlu` version 2: 5 shots, `acc` over all questions.
"""

from __future__ import annotations

from typing import Final

from model.errors import RecordError
from transforms.evaluation.language.base import ChoiceBenchmark, Row, checked_texts, gold_index
from transforms.evaluation.language.questions import Choice, Question

INTRODUCTION: Final = "The following are multiple choice questions (with answers) about {subject}.\n\n"
PROMPT: Final = "{question}\n{choices}\nAnswer:"
LETTERS: Final = "ABCD"
SHOTS: Final = 5


def question(row: Row) -> Question:
    """The question of a row, without examples."""
    texts = checked_texts(row["choices"])
    if len(texts) != len(LETTERS):
        raise RecordError("wrong_number_of_choices", f"there are {len(texts)}, not {len(LETTERS)}")
    listed = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, texts, strict=True))
    prompt = PROMPT.format(question=row["question"].strip(), choices=listed)
    return Question(
        choices=tuple(Choice(prompt, f" {letter}") for letter in LETTERS), gold=gold_index(row["answer"], len(LETTERS))
    )


def introduction(row: Row) -> str:
    """The line before the examples."""
    return INTRODUCTION.format(subject=row["subject"].replace("_", " "))


BENCHMARK: Final = ChoiceBenchmark(
    name="mmlu",
    version="1",
    source="arXiv 2009.03300; lm-evaluation-harness mmlu 2",
    columns=("question", "subject", "choices", "answer"),
    question=question,
    shots=SHOTS,
    shots_split="dev",
    shots_by="subject",
    introduction=introduction,
)
