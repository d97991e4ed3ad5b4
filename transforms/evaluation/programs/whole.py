"""Programs of setup, code and test, for problems that users bring (`form` "program"), in seven languages.

    the test is for the language's own test tool     that tool compiles and runs it; the nonce comes after all tests
    (Go's `TestX`, Rust's `#[test]`, node:test)
    the test has the program's main                  that main is called by ours, which prints the nonce when it has
                                                     returned, its threads have ended, and none of them has failed
    the test is statements (JavaScript)              the nonce is printed when they, and their promises, have ended

(Python's are tried by `python_trial`.) In each case exit code 0 isn't enough, and neither is what the tool prints: an
answer that ends the program early never gets to the nonce. What the program's own code could meet by name has the nonce
in its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from transforms.evaluation.problems import Problem
from transforms.evaluation.programs import javascript, native, virtual_machine
from transforms.evaluation.programs.layouts import code_of
from transforms.sandbox.program import Program
from transforms.sandbox.toolchains import Toolchain


def whole_program(problem: Problem, answer: str, toolchain: Toolchain, nonce: str) -> Program:
    """The program of a problem of the form "program"; see the module."""
    text = "\n".join(filter(None, (problem.setup, problem.code(answer), problem.test)))
    return _FORMS[problem.language](problem, text, toolchain, nonce)


def untested(problem: Problem) -> str | None:
    """Why a problem's test would test nothing: no main and no test of the language's tool in it; None: it has one."""
    if problem.form != "program" or problem.language == "Python":  # Python's trial sees for itself
        return None
    parts = (problem.setup, problem.prefix, problem.suffix, problem.test)
    if problem.language == "JavaScript":
        return None if javascript.does_something(problem.test) else "the test calls nothing"
    tests, what = _TESTS[problem.language]
    found = any(tests.search(code_of(part, problem.language)) for part in parts)
    return None if found else f"the test has no {what}"


_TESTS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "C#": (re.compile(r"\bMain\s*\("), "Main"),
    "C++": (re.compile(r"\bmain\s*\("), "main"),
    "Go": (re.compile(r"\bfunc\s+(?:main\s*\(|(?:Test|Example|Fuzz)\w*\s*\()"), "main, and no function Test..."),
    "Java": (re.compile(r"\bvoid\s+main\s*\("), "main"),
    "Kotlin": (re.compile(r"\bfun\s+main\s*\("), "main"),
    "Rust": (re.compile(r"\bfn\s+main\s*\(|#\[test\]"), "main, and no #[test]"),
}

_FORMS: Final[Mapping[str, Callable[[Problem, str, Toolchain, str], Program]]] = {
    "C#": virtual_machine.csharp,
    "C++": native.cpp,
    "Go": native.go,
    "Java": virtual_machine.java,
    "JavaScript": javascript.javascript,
    "Kotlin": virtual_machine.kotlin,
    "Rust": native.rust,
}
