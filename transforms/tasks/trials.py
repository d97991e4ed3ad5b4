"""Builds the trials of tasks: brings an answer together with what it is to be run with."""

from __future__ import annotations

import platform
from typing import Final

from transforms.evaluation.problems import Problem
from transforms.languages.grammars import SPAN_NODES
from transforms.languages.lookup import find_language
from transforms.rows.row import Row
from transforms.tasks.settings import VerifySettings
from transforms.tasks.shared import byte_to_char, parse_text, read_source
from transforms.verification.mutants import Mutant, draw_mutants
from transforms.verification.python_context import needed_context
from transforms.verification.python_names import undefined_names
from transforms.verification.python_tests import importable, runnable
from transforms.verification.script import without_exports, without_imports
from transforms.verification.trials import Compile, InTurn, Known, RunTests, Trial

_ALL: Final = tuple(SPAN_NODES)
_OWN_PYTHON: Final = f"symbol tables of Python {platform.python_version()}"


def language_of(language: str, path: str = "") -> str:
    """The Linguist name of a language, as the sandbox knows it; "" if it is unknown."""
    found = find_language(language, path)
    return "" if found is None else found.name


def generated_tests_trial(
    row: Row, tests: str, *, start: int, end: int, name: str, settings: VerifySettings, seed: int
) -> RunTests:
    """Runs generated tests on the code that they are for, and on mutants of it.

    Args:
        row: The file.
        tests: The tests.
        start, end: The definition that they test, in bytes of the file.
        name: Its name; "" for a file.
        settings: Limits.
        seed: Draws the mutants.
    """
    source, code = read_source(row, _ALL), row.content
    if source.grammar == "python":
        context = needed_context(code, byte_to_char(source.data, start), byte_to_char(source.data, end))
        code = context.code
        start, end = (len(code[:place].encode()) for place in (context.start, context.end))
        source = parse_text(code, "python")
    mutants = draw_mutants(source, start, end, most=settings.mutants, seed=seed)
    language = language_of(row.language, row.path)
    return run_tests(language, code, tests, path=row.path, name=name, settings=settings, mutants=mutants)


def run_tests(
    language: str,
    code: str,
    tests: str,
    *,
    path: str,
    name: str,
    settings: VerifySettings,
    mutants: tuple[Mutant, ...] | None = None,
) -> RunTests:
    """Runs tests on code.

    Args:
        language: The code's language, by its Linguist name.
        code: The code.
        tests: The tests.
        path: The file's path, or "".
        name: The definition that is tested, or "".
        settings: Limits.
        mutants: Changes of the code on which generated tests should fail; None: the tests aren't generated.
    """
    if language == "Python":
        code, tests = importable(code, tests, path=path, name=name), runnable(tests)
    elif language == "JavaScript":
        code, tests = without_exports(code), without_imports(tests)
    return RunTests(
        problem=Problem(
            problem_id=name, language=language, form="program", test=tests, wall_s=settings.program_timeout_s
        ),
        code=code,
        mutants=mutants or (),
        must_kill=mutants is not None,
    )


def compile_trial(language: str, text: str, original: str | None) -> Known | Compile:
    """Compiles a text with an answer in it.

    Args:
        language: Linguist name; "" if it is unknown.
        text: The text.
        original: The file as it was; None: the answer stands alone.
    """
    if language != "Python":
        return Compile(language=language, text=text, original=original)
    names = undefined_names(text)
    if names and original is not None:
        before = undefined_names(original)
        names = None if before is None else names - before
    detail = f"names that nothing defines: {len(names)}" if names else ""
    return Known(compiles=None if names is None else not names, toolchain=_OWN_PYTHON, detail=detail)


def trial_of_code(
    language: str,
    text: str,
    *,
    original: str | None,
    span: tuple[int, int] | None,
    path: str,
    name: str,
    tests: str | None,
    settings: VerifySettings,
) -> Trial:
    """Compiles a text with an answer in it and, if the row brings tests and they are wanted, runs these.

    Args:
        language, text, original: As for `compile_trial`.
        span: Where the answer's definition stands in the text, in characters; None: the whole text is it.
        path: The file's path, or "".
        name: The definition that is tested, or "".
        tests: The row's tests.
        settings: Whether they are run, and limits.
    """
    compiling = compile_trial(language, text, original)
    if settings.verify != "run" or tests is None:
        return compiling
    code = needed_context(text, *span).code if language == "Python" and span is not None else text
    return InTurn(trials=(compiling, run_tests(language, code, tests, path=path, name=name, settings=settings)))
