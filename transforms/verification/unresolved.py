"""Whether a program could not be judged: it asks for something that isn't there, or its compiler was killed.

A missing toolchain, package or header says nothing about an answer, so the verdict on it is null ("can't tell").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from transforms.evaluation.problems import Verdict

# What interpreters and compilers say where a package, module or header is missing.
_MISSING: Final[Mapping[str, re.Pattern[str]]] = {
    "C": re.compile(r"No such file or directory"),
    "C++": re.compile(r"No such file or directory"),
    "C#": re.compile(r"CS0234|CS0006"),
    "Go": re.compile(r"cannot find package|is not in GOROOT|no required module|cannot find module|could not import"),
    "Java": re.compile(r"package [\w.]+ does not exist"),
    "JavaScript": re.compile(
        r"Cannot use import statement|Cannot find (?:module|package)|MODULE_NOT_FOUND|"
        r"(?:expect|jest|chai|sinon|vi|Deno|document|window) is not def"
    ),
    "Kotlin": re.compile(r"unresolved reference:? '?(?:junit|org|com|io|kotlinx|androidx?)\b"),
    "Python": re.compile(r"^(?:ModuleNotFoundError|ImportError)\b"),
    "Rust": re.compile(r"E0432|can't find crate|undeclared crate or module|file not found for module"),
    "TypeScript": re.compile(r"TS2307|TS7016|TS2688|TS2792|TS2882|Do you need to (?:install type|change your target) "),
}
_EXHAUSTED: Final = re.compile(
    r"out of memory|memory exhausted|OutOfMemoryError|cannot allocate memory|[Kk]illed signal|signal: killed"
    r"|memory allocation of|insufficient memory|PCH allocation failure"
)


def is_exhausted(text: str) -> bool:
    """Whether what a compiler said shows that it, or a process of its own, had too little memory."""
    return _EXHAUSTED.search(text) is not None


def asks_for_more(language: str, text: str) -> bool:
    """Whether what a tool said shows that a package, module or header isn't there."""
    pattern = _MISSING.get(language)
    return pattern is not None and pattern.search(text) is not None


def holds(language: str, verdict: Verdict) -> bool | None:
    """Whether a program passed; None: can't tell.

    >>> holds("Python", Verdict(reason="exception", detail="ModuleNotFoundError: No module named 'numpy'", exit=1))
    """
    if verdict.passed:
        return True
    if not verdict.was_run or asks_for_more(language, f"{verdict.detail}\n{verdict.stderr}".lstrip()):
        return None
    # A compiler that was killed has decided nothing; a program that was killed has failed.
    was_compiling = verdict.compile_s > 0 and verdict.wall_s == 0
    if was_compiling and (verdict.reason != "does_not_compile" or is_exhausted(f"{verdict.detail}\n{verdict.stderr}")):
        return None
    return False
