"""Trials that call functions with generated inputs: samples of one answer, or an original and its translation."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from transforms.verification.calls import FAILED, Function, calls_problem, code_of, results_of
from transforms.verification.evidence import Evidence
from transforms.verification.trials import Bench


@dataclass(frozen=True, kw_only=True, slots=True)
class ObserveCalls:
    """Calls a function with generated inputs, so that samples can be compared by what they return.

    Args:
        function: The function.
        inputs: Arguments, each list as JSON text.
        wall_s: Seconds that all calls may take.
    """

    function: Function
    inputs: tuple[str, ...]
    wall_s: float

    def run(self, bench: Bench) -> Evidence:
        """Makes the calls."""
        outputs = call_all(bench, self.function, self.inputs, self.wall_s)
        if outputs is None or all(one in (None, FAILED) for one in outputs):
            return Evidence()
        return Evidence(outputs=tuple(one if one is not None else "" for one in outputs))


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareCalls:
    """Calls two functions with the same inputs: those for which the first one returns something that can be compared.

    Args:
        original: The function that is right.
        answer: The function that is to do the same; None: none was found in the answer.
        inputs: Arguments, each list as JSON text.
        wall_s: Seconds that all calls of one may take.
        must_agree: Whether other results are a fault.
    """

    original: Function
    answer: Function | None
    inputs: tuple[str, ...]
    wall_s: float
    must_agree: bool = True

    def run(self, bench: Bench) -> Evidence:
        """Makes the calls of both."""
        alike, count = self._compared(bench)
        checks = {"behaves_alike": alike, "inputs_compared": count}
        fault = ("behaves_differently", f"of {count} inputs some give other results") if alike is False else None
        language = self.answer.language if self.answer is not None else self.original.language
        return Evidence(checks=checks, fault=fault if self.must_agree else None, toolchain=bench.version(language))

    def _compared(self, bench: Bench) -> tuple[bool | None, int]:
        if self.answer is None:
            return None, 0
        wanted = bench.once(
            (self.original, self.inputs, self.wall_s),
            lambda: call_all(bench, self.original, self.inputs, self.wall_s),
        )
        pairs = [
            (given, one) for given, one in zip(self.inputs, wanted or (), strict=False) if one not in (None, FAILED)
        ]
        if len(pairs) < _LEAST_COMPARED or len({one for _, one in pairs}) < _LEAST_RESULTS:
            return None, 0  # a constant result shows too little
        inputs = [given for given, _ in pairs][:_MOST_COMPARED]
        found = call_all(bench, self.answer, inputs, self.wall_s)
        if found is None:
            return None, 0
        same = [_same(one, other) for (_, one), other in zip(pairs, found, strict=False) if other is not None]
        enough = len(same) >= _LEAST_COMPARED or _ended_early(found)
        return (all(same) if enough else None), len(same)


_LEAST_RESULTS: Final = 2
_LEAST_COMPARED: Final = 4
_MOST_COMPARED: Final = 24
_DIED: Final = ("timed_out", "exited_early", "crashed", "out_of_memory", "too_much_output")


def _ended_early(found: Sequence[str | None]) -> bool:
    """Whether the answer didn't return from a call, so that it shows nothing about those after it."""
    known = [one for one in found if one is not None]
    return known[-1:] == [FAILED] and found[-1] is None


def _same(one: str, other: str) -> bool:
    """Whether two results are equal; an empty list is null in languages where nothing was ever put into it."""
    return one == other or {one, other} == {"[]", "null"}


def call_all(bench: Bench, function: Function, inputs: Sequence[str], wall_s: float) -> tuple[str | None, ...] | None:
    """Calls a function with each input; see `calls.results_of`. None: the program can't be made or run here."""
    nonce = secrets.token_hex(8)
    problem = calls_problem(function, inputs, nonce=nonce, wall_s=wall_s)
    if problem is None:
        return None
    verdict = bench.judge(problem, code_of(function))
    results = results_of(verdict.stdout, nonce, len(inputs))
    died = verdict.reason in _DIED
    if died and None in results:  # the call that it died in, and perhaps one that JSON can't hold before it
        place = max((number + 1 for number, one in enumerate(results) if one is not None), default=0)
        results = tuple(FAILED if number == place else one for number, one in enumerate(results))
    return results if died or verdict.passed or any(results) else None
