"""Builds the trials of tasks: brings an answer together with what it is to be run with."""

from __future__ import annotations

from typing import Final

from transforms.evaluation.problems import Problem
from transforms.languages.grammars import SPAN_NODES
from transforms.languages.lookup import find_language
from transforms.rows.row import Row
from transforms.tasks.settings import VerifySettings
from transforms.tasks.shared import byte_to_char, parse_text, read_source
from transforms.verification.mutants import Mutant, draw_mutants
from transforms.verification.python_context import needed_context
from transforms.verification.python_tests import importable, runnable
from transforms.verification.script import without_exports, without_imports
from transforms.verification.trials import RunTests

_ALL: Final = tuple(SPAN_NODES)


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
    return run_tests(row, code, tests, name=name, settings=settings, mutants=mutants)


def run_tests(
    row: Row,
    code: str,
    tests: str,
    *,
    name: str,
    settings: VerifySettings,
    mutants: tuple[Mutant, ...] | None = None,
) -> RunTests:
    """Runs tests on code.

    Args:
        row: The file, for its language and path.
        code: The code.
        tests: The tests.
        name: The definition that is tested, or "".
        settings: Limits.
        mutants: Changes of the code on which generated tests should fail; None: the tests aren't generated.
    """
    language = language_of(row.language, row.path)
    if language == "Python":
        code, tests = importable(code, tests, path=row.path, name=name), runnable(tests)
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
