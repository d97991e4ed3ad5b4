"""The program that tries an answer, in each of the forms that problems have (`problems.Form`).

Answer and tests share a process, so nothing can keep a determined answer from reporting what it likes. What is done
against lesser cheats: a new word for each run (the nonce) stands in what reports success, so that an answer can't have
printed it before; the exit code must be 0 and success must have been reported; the source of a compiled program is
gone when it runs (`Sandbox`), and answers that redefine the test's words are refused (`refusals`).
`tests/transforms/evaluation/test_cheats.py` has a list.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Final

from transforms.evaluation.problems import CODE_BODY, ENTRY_CLASS, ENTRY_FUNCTION, Problem
from transforms.evaluation.programs.virtual_machine import java_main_class, without_public_types
from transforms.evaluation.programs.whole import whole_program
from transforms.sandbox.program import HEAD_BYTES, Program
from transforms.sandbox.toolchains import Toolchain

_HERE: Final = Path(__file__).parent
_TRIAL: Final = (_HERE / "python_trial.py").read_text(encoding="utf-8")
_PROGRAM_TEST: Final = {
    name: (_HERE / name).read_text(encoding="utf-8") for name in ("python_program_test.py",)
}  # beside the trial, which imports it
_MARKER: Final = "TEST-"
_MARKED_BYTES: Final = 1_000_000  # kept of an output with markers in it, among whatever else the answer prints


def program_of(problem: Problem, answer: str, toolchain: Toolchain, nonce: str) -> Program:
    """The program that tries an answer, with the problem's own time limit.

    Args:
        problem: The problem.
        answer: The answer's text.
        toolchain: The tools of its language.
        nonce: A word that the answer can't know, of letters and digits.
    """
    program = _program_of(problem, answer, toolchain, nonce)
    limits = dataclasses.replace(program.run.limits, wall_s=problem.wall_s)
    return dataclasses.replace(program, run=dataclasses.replace(program.run, limits=limits))


def _program_of(problem: Problem, answer: str, toolchain: Toolchain, nonce: str) -> Program:
    if problem.form == "markers":
        return _marked_program(problem, answer, toolchain, nonce)
    if problem.form == "run":
        return _run_program(problem, answer, toolchain)
    if problem.language == "Python":
        return _python_trial(problem, answer, toolchain, nonce)
    return whole_program(problem, answer, toolchain, nonce)


def _python_trial(problem: Problem, answer: str, toolchain: Toolchain, nonce: str) -> Program:
    given = {
        "before": problem.setup + problem.prefix,
        "code": problem.setup + problem.code(answer),
        "test": problem.test,
        "entry_point": problem.entry_point,
        "form": problem.form,
        "nonce": nonce,
    }
    files = _PROGRAM_TEST if problem.form == "program" else {}
    return toolchain.program(_TRIAL, stdin=json.dumps(given), files=files)


def _marked_program(problem: Problem, answer: str, toolchain: Toolchain, nonce: str) -> Program:
    """The test program with the code in its place; its markers carry the nonce."""
    before, place, after = problem.test.partition(CODE_BODY)
    assert place, "checked when the problem was read"
    before, after = (_named(part, problem).replace(_MARKER, f"{_MARKER}{nonce}-") for part in (before, after))
    if problem.language == "Kotlin":
        # It is written as a script, of a package, that calls its main itself; as a file it compiles faster.
        before = re.sub(r"^package\s.*", "", before, flags=re.M)
        after = re.sub(r"^main\(\)\s*\Z", "", after, flags=re.M)
    source = problem.setup + before + problem.code(answer) + after
    if problem.language != "Java":
        return toolchain.program(source, keep_bytes=_MARKED_BYTES)
    return _java_program(source, toolchain, before, after, keep_bytes=_MARKED_BYTES)


def _run_program(problem: Problem, answer: str, toolchain: Toolchain) -> Program:
    """The code as it stands; whether it ends by itself is all that is asked."""
    source = problem.setup + problem.code(answer)
    return _java_program(source, toolchain, source) if problem.language == "Java" else toolchain.program(source)


def _java_program(source: str, toolchain: Toolchain, *mains: str, keep_bytes: int = HEAD_BYTES) -> Program:
    """A file of any types, whose main is that of the first of the texts that has one."""
    # `java FILE` runs the file's first class, whatever it is called, and lets any of them be public.
    program = toolchain.program(without_public_types(source), keep_bytes=keep_bytes)
    main = next(filter(None, map(java_main_class, mains)), "Main")
    return dataclasses.replace(program, run=dataclasses.replace(program.run, argv=(*program.run.argv[:-1], main)))


def _named(text: str, problem: Problem) -> str:
    return text.replace(ENTRY_FUNCTION, problem.entry_point).replace(ENTRY_CLASS, problem.entry_class)


def passed_markers(problem: Problem, stdout: str, nonce: str) -> tuple[list[str], str]:
    """The tests that haven't passed, and what the first of them printed.

    A test that was printed several times must have passed each time.
    """
    found: dict[str, list[str]] = {}
    for line in re.finditer(rf"{_MARKER}{nonce}-(.*?)\.\.\.(.*)", stdout):
        found.setdefault(line[1], []).append(line[2].strip())
    failed = [name for name in problem.markers if found.get(name, []) != ["PASSED"]]
    said = found.get(failed[0], ["nothing"])[0] if failed else ""
    return failed, said
