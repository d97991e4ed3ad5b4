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
from transforms.verification.behavior import CompareCalls, ObserveCalls
from transforms.verification.compilers import as_file
from transforms.verification.functions import called_function, function_like
from transforms.verification.inputs import draw_inputs
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
    row: Row, tests: str, *, span: tuple[int, int], name: str, settings: VerifySettings, seed: int
) -> RunTests:
    """Runs generated tests on the code that they are for, and on mutants of it.

    Args:
        row: The file.
        tests: The tests.
        span: The definition that they test, in bytes of the file.
        name: Its name; "" for a file.
        settings: Limits.
        seed: Draws the mutants.
    """
    source, code = read_source(row, _ALL), row.content
    start, end = span
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
        text = as_file(language, text) if original is None else text
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
    seed: int | None = None,
) -> Trial:
    """Compiles a text with an answer in it; if the row brings tests and they are wanted, runs these as well.

    Args:
        language, text, original: As for `compile_trial`.
        span: Where the answer's definition stands in the text, in characters; None: the whole text is it.
        path: The file's path, or "".
        name: The definition that is tested, or "".
        tests: The row's tests.
        settings: Whether they are run, and limits.
        seed: Draws inputs with which the definition is called, to compare it with others; None: it isn't.
    """
    trials: list[Trial] = [compile_trial(language, text, original)]
    if settings.verify == "run":
        code = needed_context(text, *span).code if language == "Python" and span is not None else text
        if tests is not None:
            trials.append(run_tests(language, code, tests, path=path, name=name, settings=settings))
        if seed is not None and (called := called_function(language, code, name)) is not None:
            function, parameters = called
            inputs = draw_inputs(parameters, seed)
            trials.append(ObserveCalls(function=function, inputs=inputs, wall_s=settings.program_timeout_s))
    return trials[0] if len(trials) == 1 else InTurn(trials=tuple(trials))


def comparison_trial(
    row: Row,
    answer: str,
    language: str,
    *,
    span: tuple[int, int],
    name: str,
    settings: VerifySettings,
    seed: int,
    must_agree: bool,
) -> CompareCalls | None:
    """Calls the row's function and the answer's with the same inputs; None: nothing tells how to call the former.

    Args:
        row: The file.
        answer: The answer's code.
        language: Its language, by its Linguist name.
        span: The original function, in bytes of the file.
        name: Its qualified name.
        settings: Limits.
        seed: Draws the inputs.
        must_agree: Whether other results are a fault.
    """
    own, code = language_of(row.language, row.path), row.content
    if own == "Python":
        data = row.content.encode()
        code = needed_context(code, *(byte_to_char(data, place) for place in span)).code
    called = called_function(own, code, name)
    if called is None:
        return None
    original, parameters = called
    return CompareCalls(
        original=original,
        answer=function_like(language, as_file(language, answer), name, len(parameters)),
        inputs=draw_inputs(parameters, seed),
        wall_s=settings.program_timeout_s,
        must_agree=must_agree,
    )
