"""Answers that are refused before they run: they redefine what their test is written with, or read their own source.

In a compiled language the answer's text stands in front of the test's, so it could change what the test's words mean:
a macro `assert_eq`, a function `panic`. That is told from the text alone: the answer defines a word so that the test's
uses of it change. What is built from pieces (`##`, `concat!`) isn't found; see `programs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from transforms.evaluation.problems import Problem
from transforms.evaluation.programs.layouts import code_of

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
# What puts a file's text into a program while it is compiled.
_READS_FILES: Final[Mapping[str, tuple[re.Pattern[str], bool]]] = {
    "C++": (re.compile(r"\.incbin\b|#\s*embed\b|\binclude\s+__FILE__|#\s*include\s*[<\"](?:/|main\b|\.)"), False),
    "Go": (re.compile(r"^//go:embed\b", re.M), False),
    "Rust": (re.compile(r"\binclude(?:_str|_bytes)?!"), True),
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
    reads, only_code = _READS_FILES.get(language, (None, False))
    if reads is not None and reads.search(code_of(answer, language) if only_code else answer):
        return "the answer reads files while it is compiled"
    return None
