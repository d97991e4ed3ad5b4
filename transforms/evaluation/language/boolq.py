"""BoolQ: yes or no to a question about a passage.

The questions in the data have no question mark: the protocol adds one. Source: Clark et al., 2019 (arXiv 1905.10044);
protocol of lm-evaluation-harness, task `boolq` version 2.0: 0 shots, `acc`.
"""

from __future__ import annotations

from typing import Final

from model.errors import RecordError
from transforms.evaluation.language.base import ChoiceBenchmark, Row
from transforms.evaluation.language.questions import Choice, Question

PROMPT: Final = "{passage}\nQuestion: {question}?\nAnswer:"
CHOICES: Final = (" no", " yes")


def question(row: Row) -> Question:
    """The question of a row."""
    if not isinstance(row["answer"], bool):
        raise RecordError("no_gold", f"the right answer is {row['answer']!r}, not true or false")
    prompt = PROMPT.format(passage=row["passage"], question=row["question"])
    return Question(choices=tuple(Choice(prompt, choice) for choice in CHOICES), gold=int(row["answer"]))


BENCHMARK: Final = ChoiceBenchmark(
    name="boolq",
    version="1",
    source="arXiv 1905.10044; lm-evaluation-harness boolq 2.0",
    columns=("question", "passage", "answer"),
    question=question,
)
