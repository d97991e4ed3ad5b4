"""Questions with choices, answered by the likeliest choice: what is asked, and the verdict.

    acc        the choice with the highest log-likelihood is the right one
    acc_norm   the same after division by the choice's length in UTF-8 bytes, without the blank in front of it

A tie goes to the earlier choice. Everything is pure: log-probabilities come from `model.engine`'s scoring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice.

    Args:
        prompt: The text before it; the same for all choices of most benchmarks.
        continuation: The text whose log-probability is asked for, with its leading blank.
    """

    prompt: str
    continuation: str

    @property
    def num_bytes(self) -> int:
        """Length for `acc_norm`; at least 1."""
        return max(1, len(self.continuation.removeprefix(" ").encode()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question.

    Args:
        choices: At least two.
        gold: Index of the right one.
        question_id: Its name in the data; "" if it has none.
    """

    choices: tuple[Choice, ...]
    gold: int
    question_id: str = ""

    def __post_init__(self) -> None:
        assert len(self.choices) > 1 and 0 <= self.gold < len(self.choices)

    @property
    def solved(self) -> str:
        """Prompt and right choice, as an example for another question."""
        return self.choices[self.gold].prompt + self.choices[self.gold].continuation

    def after(self, text: str) -> Question:
        """The same question with text before each prompt."""
        choices = tuple(replace(choice, prompt=text + choice.prompt) for choice in self.choices)
        return replace(self, choices=choices)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What was chosen, and the evidence.

    Args:
        gold, predicted, predicted_norm: Indices of choices.
        logprobs: Each choice's log-likelihood in nats.
        num_bytes: Each choice's length.
    """

    gold: int
    predicted: int
    predicted_norm: int
    logprobs: tuple[float, ...]
    num_bytes: tuple[int, ...]

    @property
    def correct(self) -> bool:
        """Counts for `acc`."""
        return self.predicted == self.gold

    @property
    def correct_norm(self) -> bool:
        """Counts for `acc_norm`."""
        return self.predicted_norm == self.gold


def verdict_of(question: Question, logprobs: Sequence[float]) -> Verdict:
    """The verdict from the choices' log-likelihoods.

    >>> question = Question(choices=(Choice("Water is", " wet"), Choice("Water is", " a kind of dry powder")), gold=0)
    >>> verdict = verdict_of(question, [-6.0, -20.0])
    >>> verdict.correct, verdict.correct_norm
    (True, False)
    """
    lengths = tuple(choice.num_bytes for choice in question.choices)
    per_byte = [logprob / length for logprob, length in zip(logprobs, lengths, strict=True)]
    return Verdict(
        gold=question.gold,
        predicted=max(range(len(logprobs)), key=lambda i: logprobs[i]),
        predicted_norm=max(range(len(per_byte)), key=lambda i: per_byte[i]),
        logprobs=tuple(map(float, logprobs)),
        num_bytes=lengths,
    )
