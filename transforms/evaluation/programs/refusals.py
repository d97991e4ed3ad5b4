"""Answers that are refused before they run: they redefine what their test is written with, or read their own source.

In a compiled language the answer's text stands in front of the test's, so it could change what the test's words mean:
a macro `assert_eq`, a function `panic`. That is told from the text alone: the answer defines a word so that the test's
uses of it change. What is built from pieces (`##`, `concat!`) isn't found; see `programs`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from transforms.evaluation.problems import Problem
from transforms.evaluation.programs.layouts import code_of, without_comments

# What defines a word, with the word as the group.
_REDEFINES: Final[Mapping[str, re.Pattern[str]]] = {
    "C++": re.compile(r"^[^\S\n]*#[^\S\n]*(?:define|undef)[^\S\n]+(\w+)", re.M),
    "C#": re.compile(r"\b(?:class|struct|enum)\s+(Debug|Console|Environment|Exception|System|Trace)\b"),
    "Go": re.compile(r"^[^\S\n]*(?:func|var|const|type)\s+(panic|len|cap|append|print|println|true|false|nil)\b", re.M),
    "Java": re.compile(
        r"\b(?:class|enum|record|interface)\s+(AssertionError|Objects|Arrays|System|RuntimeException)\b"
    ),
    "Kotlin": re.compile(
        r"\bfun\s+(?:<[^>]*>\s*)?(check|require|assert|error|checkNotNull)\s*\(\s*\w+\s*:\s*(?:Boolean|Any)\b"
    ),
    "Rust": re.compile(r"\bmacro_rules!\s*(\w+)"),
}
_GAP: Final = r"(?:[^\S\n]|\\\n)*"
# What puts a file's text into a program while it is compiled, and the view of the answer that it is looked for in.
# Go's is a comment; C++'s may stand in the string of an `asm`, and a file's name in a macro.
_READS_FILES: Final[Mapping[str, tuple[re.Pattern[str], Callable[[str, str], str]]]] = {
    "C++": (
        re.compile(
            rf"\.incbin\b|^{_GAP}(?:\#|%:){_GAP}"
            rf"(?:embed\b|(?:include(?:_next)?|import)\b{_GAP}(?:\w|[<\"](?:/|main\b|\.|[^<>\"\n]*/\.\.)))",
            re.M,
        ),
        without_comments,
    ),
    "Go": (re.compile(r"^//go:embed\b", re.M), lambda text, language: text),
    "Rust": (re.compile(r"\binclude(?:_str|_bytes)?!"), code_of),
}


def refused(problem: Problem, answer: str) -> str | None:
    """Why an answer isn't run, as a line of detail; None if nothing is wrong with it."""
    language = problem.language
    if (pattern := _REDEFINES.get(language)) is not None:
        tests = code_of(problem.test, language)
        given = {found[1] for found in pattern.finditer(code_of(problem.setup + problem.prefix, language))}
        for found in pattern.finditer(code_of(answer, language)):
            if found[1] not in given and re.search(rf"\b{found[1]}\b", tests):
                return f"the answer redefines {found[1]}, which the test uses"
    if language not in _READS_FILES:
        return None
    reads, view = _READS_FILES[language]
    if reads.search(view(answer, language)):
        return "the answer reads files while it is compiled"
    return None
