"""Whether tests can fail by themselves, and whether it was they that failed.

Tests that only call the code pass on it, and fail on each mutant that raises; they check nothing. So tests must hold
an assertion, or raise or end the program themselves; and a mutant is killed only where that ended the run:

    wrong            an assertion of the tests' failed, as the verdict or the output of their test tool says
    exception, ...   only where the tests raise by themselves: which of the two has raised isn't told apart there

An assertion in the code under test can't be told from one of the tests, but tests without any are refused by their
text. Names are looked for in the code alone, not in comments and strings, but for Go's examples, whose expected output
is a comment.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from transforms.evaluation.problems import ASSERTION, Verdict
from transforms.evaluation.programs.layouts import code_of
from transforms.verification.python_context import python_tree

_ASSERTS: Final[Mapping[str, str]] = {
    "C++": r"\b(?:static_)?assert\s*\(",
    "C#": r"\b(?:Debug|Trace)\s*\.\s*(?:Assert|Fail)\b|\bAssert\s*\.\s*\w",
    "Go": r"\.\s*(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\s*\(",
    "Java": r"\bassert\w*\b|\bfail\s*\(",
    "JavaScript": r"\bassert\b|\bexpect\s*\(",
    "Kotlin": r"\b(?:assert|expect|fail)\w*\s*[({<]",
    "Rust": r"\b(?:debug_)?assert\w*!",
}
_RAISES: Final[Mapping[str, str]] = {
    "C++": r"\bthrow\b|\b(?:abort|exit|_exit|quick_exit|terminate)\s*\(|\breturn\s+(?!0\s*;)[^;\s]",
    "C#": r"\bthrow\b|\bEnvironment\s*\.\s*(?:Exit|FailFast)\b|\breturn\s+(?!0\s*;)[^;\s]",
    "Go": r"\bpanic\s*\(|\bos\s*\.\s*Exit\b|\blog\s*\.\s*(?:Fatal|Panic)\w*",
    "Java": r"\bthrow\b|\bSystem\s*\.\s*exit\b",
    "JavaScript": r"\bthrow\b|\bprocess\s*\.\s*(?:exit|exitCode|abort)\b|\breject\s*\(",
    "Kotlin": r"\bthrow\b|\b(?:check|checkNotNull|require|requireNotNull|error|exitProcess|TODO)\s*[({]",
    "Rust": r"\b(?:panic|unreachable)!|\bprocess\s*::\s*(?:exit|abort)\b|\bshould_panic\b|\bErr\s*\(",
}
PYTHON_ASSERTS: Final = re.compile(r"assert|assert_?[A-Z_a-z]\w*|fail\w*|raises|warns")
PYTHON_RAISES: Final = re.compile(r"raise|_?exit|abort")
# What assertions are known by besides their code: an example's expected output, the module whose functions they are.
_BESIDES: Final = {
    "Go": re.compile(r"^\s*//\s*(?:Unordered )?output:", re.M | re.I),
    "JavaScript": re.compile(r"""(?:\bfrom|\brequire\s*\(|\bimport)\s*['"](?:node:)?assert(?:/strict)?['"]"""),
}
_GO_FAILED: Final = re.compile(r"^\s*--- FAIL: ", re.M)
_GO_PANIC: Final = re.compile(r"^panic: ", re.M)
_BY_RAISING: Final = ("exception", "crashed", "exited_early")


def can_fail(language: str, tests: str) -> bool:
    """Whether tests say what is right: they assert something, or raise or end the program themselves.

    >>> can_fail("Python", "def test_it():\\n    area(2)  # assert nothing"), can_fail("Go", "if a != b { t.Fatal(a) }")
    (False, True)
    """
    if language == "Python":
        return _has_python(PYTHON_ASSERTS, tests) or _has_python(PYTHON_RAISES, tests)
    besides = _BESIDES.get(language)
    if besides is not None and besides.search(tests):
        return True
    return _has(_ASSERTS, language, tests) or _has(_RAISES, language, tests)


def have_failed(language: str, tests: str, verdict: Verdict) -> bool:
    """Whether tests, as far as can be told, have noticed a fault themselves.

    Args:
        language: Linguist name.
        tests: Their text.
        verdict: What became of them with the code that has the fault.
    """
    if verdict.passed:
        return False
    said = f"{verdict.stdout}\n{verdict.stderr}"
    raises = _has_python(PYTHON_RAISES, tests) if language == "Python" else _has(_RAISES, language, tests)
    if verdict.reason in _BY_RAISING and raises:
        return True
    if language == "Go":
        return _GO_FAILED.search(said) is not None and _GO_PANIC.search(said) is None
    return verdict.reason == "wrong" or (verdict.reason == "exception" and ASSERTION.search(said) is not None)


def _has(patterns: Mapping[str, str], language: str, tests: str) -> bool:
    return language in patterns and re.search(patterns[language], code_of(tests, language)) is not None


def _has_python(pattern: re.Pattern[str], tests: str) -> bool:
    """Whether a statement, or what is called or used by name or attribute, matches; true for what isn't Python."""
    tree = python_tree(tests)
    return tree is None or any(pattern.fullmatch(word) for node in ast.walk(tree) for word in _words(node))


def _words(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Assert | ast.Raise):
        yield type(node).__name__.lower()
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
