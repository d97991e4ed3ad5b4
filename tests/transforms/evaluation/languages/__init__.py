"""Answers whose verdicts are known, in seven languages: ten problems times ways to pass and ways to fail.

A language's module has ten functions of a whole number, and what surrounds one: `Language`. An answer is the function
under another name, and one under the asked name that uses it: as it is, with output, after an exception that it caught,
plus one, never returning, and so on. Every second problem is asked by markers, the others by a main that asserts.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from transforms.evaluation.problems import CODE_BODY, Problem, Reason

NAMES: Final = ("cpp", "csharp", "go", "java", "javascript", "kotlin", "rust")
LOOPING_S: Final = 3.0
MARKERS: Final = "TEST-0...PASSED\\nTEST-1...PASSED\\nTEST-2...PASSED\\n"


def _steps(n: int) -> int:
    steps = 0
    while n != 1:
        n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
    return steps


# What each problem asks, with the arguments that are tried.
PROBLEMS: Final = {
    "sum": (lambda n: n * (n + 1) // 2, (1, 4, 100)),
    "factorial": (math.factorial, (0, 5, 10)),
    "fibonacci": (lambda n: [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55][n], (0, 1, 10)),
    "divisor": (lambda n: math.gcd(n, 36), (7, 24, 90)),
    "digits": (lambda n: sum(map(int, str(n))), (0, 9, 4321)),
    "prime": (lambda n: int(n > 1 and all(n % d for d in range(2, n))), (1, 91, 97)),
    "steps": (_steps, (1, 6, 27)),
    "divisors": (lambda n: sum(n % d == 0 for d in range(1, n + 1)), (1, 12, 97)),
    "power": (lambda n: pow(3, n, 1000), (0, 4, 50)),
    "reversed": (lambda n: int(str(n)[::-1]), (0, 120, 4321)),
}

# What may be said of an answer of each kind; a language's own test forms decide which of them it is.
EXPECTED: Final[Mapping[str, tuple[Reason, ...]]] = {
    "wrong": ("wrong", "exception"),
    "wrong once": ("wrong", "exception"),
    "throws": ("exception", "crashed"),
    "loops": ("timed_out",),
    "does not compile": ("does_not_compile",),
    "prints the markers": ("wrong", "exception"),
    "exits early": ("exited_early",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """What surrounds a function in a language.

    Args:
        name: Linguist name.
        head: Lines in front of everything.
        function: A function NAME of n with a BODY.
        answer: An answer with its FUNCTIONS.
        call: A call of NAME with N.
        main: A program's main with LINES.
        assertion: A line that fails unless CALL is WANT.
        report: A line that prints the marker TEST-I by whether CALL is WANT.
        bodies: The functions' bodies by problem.
        passing: Bodies that use NAME_inner, by what they do.
        failing: The same, by the keys of `EXPECTED`; `wrong once` has LAST in it.
    """

    name: str
    head: str
    function: str
    answer: str = "FUNCTIONS"
    call: str = "NAME(N)"
    main: str
    assertion: str
    report: str
    bodies: Mapping[str, str]
    passing: Mapping[str, str]
    failing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """An answer with the verdicts that it may have; () means that it passes."""

    problem: Problem
    way: str
    answer: str
    expected: tuple[Reason, ...]


def language_of(name: str) -> Language:
    """The language of a module."""
    found: Language = importlib.import_module(f"{__name__}.{name}").LANGUAGE
    return found


def cases_of(language: Language, problems: tuple[str, ...] = tuple(PROBLEMS)) -> Iterator[Case]:
    """All answers to some problems."""
    for name in problems:
        last = str(PROBLEMS[name][1][-1])
        for way, body in {"plain": language.bodies[name], **language.passing, **language.failing}.items():
            inner = f"{name}_inner"
            functions = _function(language, inner, language.bodies[name]) if "NAME_inner" in body else ""
            asked = body.replace("NAME", name).replace("LAST", last).replace("MARKERS", MARKERS)
            functions += _function(language, name, asked)
            wall_s = LOOPING_S if way == "loops" else 30.0
            problem = _problem(language, name, wall_s)
            yield Case(problem, way, language.answer.replace("FUNCTIONS", functions), EXPECTED.get(way, ()))


def _function(language: Language, name: str, body: str) -> str:
    return language.function.replace("NAME", name).replace("BODY", body)


def _problem(language: Language, name: str, wall_s: float) -> Problem:
    want, arguments = PROBLEMS[name]
    is_marked = list(PROBLEMS).index(name) % 2 == 0
    line = language.report if is_marked else language.assertion
    lines = ""
    for number, argument in enumerate(arguments):
        call = language.call.replace("NAME", name).replace("N)", f"{argument})")
        lines += line.replace("CALL", call).replace("WANT", str(want(argument))).replace("TEST-I", f"TEST-{number}")
    main = language.main.replace("LINES", lines)
    return Problem(
        problem_id=name,
        language=language.name,
        form="markers" if is_marked else "program",
        prefix="" if is_marked else language.head,
        test=f"{language.head}{CODE_BODY}\n{main}" if is_marked else main,
        entry_point=name,
        markers=("0", "1", "2") if is_marked else (),
        wall_s=wall_s,
    )
