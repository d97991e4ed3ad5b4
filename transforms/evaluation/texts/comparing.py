"""Compares an answer with the known one, by each metric of the problem's kind."""

from __future__ import annotations

from collections.abc import Callable

from transforms.evaluation.grading import Graded, Measured
from transforms.evaluation.texts.formulas import same_formula
from transforms.evaluation.texts.problem import TextProblem
from transforms.evaluation.texts.reading import last_box, last_number, short_form, strict_number, value_of


def measure(problem: TextProblem, answer: str) -> tuple[Measured, ...]:
    """The metrics of an answer; the first is the one that counts as passed.

    short    exact_match: any form of the known answer, whatever its case and punctuation
    number   strict: the number behind `####`; flexible: the last number
    formula  equivalent: what stands in the last box
    """
    if problem.kind == "short":
        found = short_form(answer)
        return (Measured("exact_match", found, bool(found) and found in {short_form(one) for one in problem.gold}),)
    if problem.kind == "number":
        readings = (("strict", strict_number(answer)), ("flexible", last_number(answer)))
        return tuple(Measured(name, found, _same_number(found, problem.gold[0])) for name, found in readings)
    box = last_box(answer)
    return (Measured("equivalent", box, box is not None and same_formula(box, problem.gold[0])),)


def _same_number(found: str | None, gold: str) -> bool:
    return found is not None and value_of(found) == value_of(gold)


class TextGrader:
    """Compares answers; see `transforms.evaluation.grading.Grader`."""

    sandbox = ""

    def submit(self, problem: str, answer: str) -> Callable[[], Graded]:
        measured = measure(TextProblem.of(problem), answer)
        return lambda: Graded(measured[0].correct, None, measured)

    def close(self) -> None:
        """Nothing is open."""
