"""What is to be run for one answer. Trials are pure data, made in the row pool; `run` is called beside the engine.

A trial runs at most a fixed number of programs, each within its limits, so that a row can't take forever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from transforms.evaluation.problems import Problem, Verdict
from transforms.sandbox.program import Outcome, Program, Result
from transforms.verification.assertions import can_fail, have_failed
from transforms.verification.evidence import Evidence, executed, told
from transforms.verification.mutants import Mutant
from transforms.verification.unresolved import asks_for_more, holds, is_exhausted

T = TypeVar("T")


class Bench(Protocol):
    """What runs programs (`transforms.verification.verifier`)."""

    def once(self, key: object, find: Callable[[], T]) -> T:
        """What `find` returns, or returned for an equal key: for programs that many answers share."""
        ...

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Tries an answer and waits."""
        ...

    def run(self, program: Program) -> Result:
        """Runs a program and waits."""
        ...

    def compile(self, language: str, text: str) -> Outcome | None:
        """Compiles a text and waits; None: there is no compiler."""
        ...

    def version(self, language: str) -> str:
        """What a language's tools call themselves, or what is missing."""
        ...


class Trial(Protocol):
    """What is to be run for one answer."""

    def run(self, bench: Bench) -> Evidence:
        """Runs it."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RunTests:
    """Runs tests on the code that they are for and, if it passes, on mutants of it.

    Args:
        problem: The tests, with the code's language and limits.
        code: What is tested.
        mutants: Changes of the code on which the tests should fail.
        must_kill: Whether tests that fail on no mutant are a fault: where the tests are the answer.
        original: The code before the answer took its place: tests that fail on that too say nothing about the answer.
        stub: The code with a body that only fails: tests that pass on that don't reach the answer.
        written: The tests as they were written, where that isn't the problem's text; "" otherwise.
    """

    problem: Problem
    code: str
    mutants: tuple[Mutant, ...] = ()
    must_kill: bool = False
    original: str | None = None
    stub: str | None = None
    written: str = ""

    def run(self, bench: Bench) -> Evidence:
        """Runs the tests on the code, then on each mutant."""
        language = self.problem.language
        if self.must_kill and not can_fail(language, self._written):
            return Evidence(fault=("asserts_nothing", "the tests only call the code"))
        verdict = bench.judge(self.problem, self.code)
        passes = self._about_the_answer(bench, holds(language, verdict))
        killed, tried = self._killed(bench) if passes and self.must_kill else (0, 0)
        checks = {"tests_pass": passes, "executed": executed(verdict) if verdict.was_run else None}
        if self.must_kill:
            checks["mutants_killed"] = {"killed": killed, "of": tried} if passes else None
            checks["kills_a_mutant"] = killed > 0 if tried else None
        fault: tuple[str, str] | None = None
        if passes is False:
            fault = ("tests_fail", told(verdict))
        elif self.must_kill and passes is None:
            fault = ("not_verifiable", "the tests could not be run here")
        elif self.must_kill and not tried:
            fault = ("not_verifiable", "the code has no mutant that compiles")
        elif self.must_kill and not killed:
            fault = ("no_mutant_killed", f"the tests notice none of {tried} mutants of the code")
        return Evidence(checks=checks, fault=fault, toolchain=bench.version(language))

    @property
    def _written(self) -> str:
        return self.written or self.problem.test

    def _about_the_answer(self, bench: Bench, passes: bool | None) -> bool | None:
        """The verdict; None where it would be the same whatever the answer."""
        other = self.stub if passes else self.original
        if passes is None or other is None:
            return passes
        verdict = bench.once((self.problem, other), lambda: bench.judge(self.problem, other))
        return passes if verdict.passed is not passes else None

    def _killed(self, bench: Bench) -> tuple[int, int]:
        """How many mutants the tests notice, and how many could be tried."""
        killed = tried = 0
        data = self.code.encode()
        for mutant in self.mutants:
            verdict = bench.judge(self.problem, mutant.of(data))
            if verdict.reason == "does_not_compile" or holds(self.problem.language, verdict) is None:
                continue
            tried += 1
            killed += have_failed(self.problem.language, self._written, verdict)
        return killed, tried


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A trial whose evidence is known: what syntax alone shows."""

    compiles: bool | None
    toolchain: str
    detail: str = ""

    def run(self, bench: Bench) -> Evidence:
        """The evidence."""
        fault = ("does_not_compile", self.detail) if self.compiles is False else None
        return Evidence(checks={"compiles": self.compiles}, fault=fault, toolchain=self.toolchain)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compile:
    """Compiles a text, and the original if the text doesn't compile: a file may need others that aren't there.

    Args:
        language: Linguist name.
        text: The text, with the answer in its place.
        original: The file as it was; None: the answer stands alone.
    """

    language: str
    text: str
    original: str | None = None

    def run(self, bench: Bench) -> Evidence:
        """Compiles it."""
        compiles, detail = self._compiles(bench)
        fault = ("does_not_compile", detail) if compiles is False else None
        return Evidence(checks={"compiles": compiles}, fault=fault, toolchain=bench.version(self.language))

    def _compiles(self, bench: Bench) -> tuple[bool | None, str]:
        outcome = bench.compile(self.language, self.text)
        if outcome is None or outcome.is_success:
            return (None if outcome is None else True), ""
        if _was_killed(outcome) or asks_for_more(self.language, outcome.stdout + outcome.stderr):
            return None, ""
        if self.original is not None:
            before = bench.compile(self.language, self.original)
            if before is None or not before.is_success:
                return None, ""
        return False, f"the compiler's exit code is {outcome.exit}"


def _was_killed(outcome: Outcome) -> bool:
    """Whether a compiler had no chance to say anything about the text."""
    if is_exhausted(outcome.stdout + outcome.stderr):
        return True
    return outcome.exit is None or outcome.timed_out or outcome.out_of_memory or outcome.too_much_output


@dataclass(frozen=True, kw_only=True, slots=True)
class InTurn:
    """Several trials of one answer, up to the first fault."""

    trials: tuple[Trial, ...]

    def run(self, bench: Bench) -> Evidence:
        """Runs them in turn."""
        found = Evidence()
        for trial in self.trials:
            one = trial.run(bench)
            found = replace(
                one,
                checks={**found.checks, **one.checks},
                toolchain=one.toolchain or found.toolchain,
                outputs=one.outputs if one.outputs is not None else found.outputs,
            )
            if found.fault is not None:
                break
        return found
