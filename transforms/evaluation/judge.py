"""Runs an answer's program in the sandbox, and reads the verdict off what became of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import cast

from transforms.evaluation.conversations import corrected
from transforms.evaluation.problems import ASSERTION, Problem, Reason, Verdict
from transforms.evaluation.programs.building import passed_markers, program_of
from transforms.evaluation.programs.packages import third_party
from transforms.evaluation.programs.refusals import refused
from transforms.evaluation.programs.whole import untested
from transforms.sandbox.program import Command, Outcome, Program, Result
from transforms.sandbox.sandbox import Sandbox
from transforms.sandbox.toolchains import Toolchain

_MAX_DETAIL = 300
# What node says of a text that it can't read; a program's own SyntaxError comes from elsewhere.
_SYNTAX = re.compile(r"^(SyntaxError: .*)\n\s+at (?:wrapSafe|compileSourceTextModule|.*\bModule(?:Loader|Wrap))", re.M)
_ERROR = re.compile(r"\b\w*(?:Error|Exception)\b|\bpanic(?:ked)?\b")
_MODULES_BYTES = 1_000_000


class _NotListed(Exception):
    """An interpreter didn't tell its modules, as on a machine without memory."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Tries answers.

    Args:
        sandbox: Where their programs run.
        toolchains: The languages' tools, by Linguist name.
        modules: What `_modules` has found, by language.
    """

    sandbox: Sandbox
    toolchains: Mapping[str, Toolchain]
    modules: dict[str, frozenset[str]] = field(default_factory=dict)

    def submit(self, problem: Problem, answer: str) -> Pending:
        """Has an answer tried when a slot is free; `Pending.verdict` waits for it."""
        if problem.form == "correction":
            return Pending(problem, "", corrected(problem, answer))
        toolchain = self.toolchains.get(problem.language)
        if toolchain is None:
            return _not_run(problem, f"the sandbox runs no {problem.language}")
        if missing := toolchain.missing:
            return _not_run(problem, f"{problem.language}: {', '.join(missing)} missing")
        try:
            package = third_party(problem, lambda: self._modules(toolchain))
        except _NotListed:
            return _not_run(problem, f"{problem.language}: the modules that the tests could import can't be listed")
        if package is not None:
            return _not_run(problem, f"{problem.language}: the tests need {package}")
        if (why := untested(problem)) is not None:
            return Pending(problem, "", Verdict(reason="no_test_ran", detail=f"{problem.language}: {why}"))
        if (why := refused(problem, answer)) is not None:
            return Pending(problem, "", Verdict(reason="cheated", detail=why))
        nonce = secrets.token_hex(12)
        return Pending(problem, nonce, self.sandbox.submit(program_of(problem, answer, toolchain, nonce)))

    def _modules(self, toolchain: Toolchain) -> frozenset[str]:
        """The modules that an interpreter finds in the box; asked until it has told them once."""
        if (found := self.modules.get(toolchain.language)) is None:
            asked = Program(files={}, run=Command(toolchain.modules, toolchain.run_limits, keep_bytes=_MODULES_BYTES))
            told = self.sandbox.run(asked).last
            if not told.is_success:
                raise _NotListed
            found = self.modules[toolchain.language] = frozenset(told.stdout.split())
        return found

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Tries an answer and waits."""
        return self.submit(problem, answer).verdict()


@dataclass(frozen=True, slots=True)
class Pending:
    """A verdict to come.

    Args:
        problem: What was asked.
        nonce: What reports success.
        result: What becomes of the program, or the verdict where none is run.
    """

    problem: Problem
    nonce: str
    result: Future[Result] | Verdict

    def verdict(self) -> Verdict:
        """Waits for the program. Raises ConfigError if there can be no box."""
        if isinstance(self.result, Verdict):
            return self.result
        result = self.result.result()
        reason, detail = _reason(self.problem, result, self.nonce)
        last = result.last
        return Verdict(
            reason=reason,
            detail=self._without_nonce(detail)[:_MAX_DETAIL],
            wall_s=last.wall_s if result.compiled is not False else 0.0,
            compile_s=result.compile_s,
            exit=last.exit,
            signal=last.signal,
            stdout=self._without_nonce(last.stdout),
            stderr=self._without_nonce(last.stderr),
        )

    def _without_nonce(self, text: str) -> str:
        """The nonce differs from run to run, and rows shouldn't."""
        return text.replace(f"{self.nonce}-", "").replace(self.nonce, "")


def _not_run(problem: Problem, why: str) -> Pending:
    return Pending(problem, "", Verdict(reason="no_toolchain", detail=why))


def _reason(problem: Problem, result: Result, nonce: str) -> tuple[Reason, str]:
    last = result.last
    if result.compiled is False:
        killed = _killed(last)
        return killed or ("does_not_compile", _first_line(last.stderr or last.stdout))
    if killed := _killed(last):
        return killed
    if problem.form == "markers":
        return _by_markers(problem, last, nonce)
    if problem.form == "run":
        return ("passed", "") if last.exit == 0 else _ended(last)
    if problem.language == "Python":
        return _told(last, nonce)
    if last.exit == 0 and nonce in last.stdout_end:
        return "passed", ""
    return _ended(last)


def _killed(last: Outcome) -> tuple[Reason, str] | None:
    if last.timed_out:
        return "timed_out", ""
    if last.out_of_memory:
        return "out_of_memory", ""
    if last.too_much_output:
        return "too_much_output", ""
    return None


def _told(last: Outcome, nonce: str) -> tuple[Reason, str]:
    """What the trial of an answer in Python said at its end."""
    end = last.stdout_end.rstrip("\n").rpartition("\n")[2].split(" ", 2)
    if end[0] != nonce or len(end) < 2:
        return _ended(last)
    reason = cast(Reason, end[1])
    if (reason == "passed") != (last.exit == 0):
        return _ended(last)
    return reason, end[2] if len(end) > 2 else ""


def _by_markers(problem: Problem, last: Outcome, nonce: str) -> tuple[Reason, str]:
    failed, said = passed_markers(problem, last.stdout, nonce)
    if not failed and last.exit == 0:
        return "passed", ""
    if last.exit != 0:
        return _ended(last)
    return (
        "wrong" if said == "FAILED" else "exception" if said != "nothing" else "exited_early"
    ), f"test {failed[0]}: {said}"


def _ended(last: Outcome) -> tuple[Reason, str]:
    # A failed assertion ends a program in C++ by a signal, and elsewhere by an exception of that name.
    if asserted := next(filter(ASSERTION.search, reversed(last.stderr.splitlines())), ""):
        return "wrong", asserted.strip()
    if syntax := _SYNTAX.search(last.stderr):
        return "does_not_compile", syntax[1]
    if last.signal is not None:
        return "crashed", last.signal
    if last.exit == 0:
        return "exited_early", "exit code 0 before the tests had ended"
    return "exception", _error_line(last.stderr) or f"exit code {last.exit}"


def _first_line(text: str) -> str:
    # Go names the package first, after a #.
    return next((line.strip() for line in text.splitlines() if line.strip() and not line.startswith("# ")), "")


def _error_line(text: str) -> str:
    """The first line that names an error, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next(filter(_ERROR.search, lines), lines[-1] if lines else "")
