"""Builds the trials of tasks: brings an answer together with what it is to be run with."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, replace
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
_STUB: Final = "raise NotImplementedError"
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
        name: Its qualified name; "" for a file.
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
        name: The definition that is tested, by its qualified name, or "".
        settings: Limits.
        mutants: Changes of the code on which generated tests should fail; None: the tests aren't generated.
    """
    written = tests
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
        written=written,
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where an answer stands.

    Args:
        language: Linguist name.
        before, after: The text of the file around it.
        kept: What stood there before; None: there is no file.
        start: Where the definition begins whose body it is, in characters; None: it is no body.
        name: The definition's qualified name, or "": only by that is it told from others of its name.
    """

    language: str
    before: str = ""
    after: str = ""
    kept: str | None = None
    start: int | None = None
    name: str = ""

    @property
    def original(self) -> str | None:
        """The file as it was; None: there is none."""
        return None if self.kept is None else self.text(self.kept)

    def text(self, code: str) -> str:
        """The file with code in this place."""
        return self.before + code + self.after

    def needed(self, code: str) -> str:
        """What of the file with the code is run."""
        if self.language != "Python" or self.start is None:
            return self.text(code)
        return needed_context(self.text(code), self.start, len(self.before) + len(code)).code

    def may_be_tested(self, tests: str) -> bool:
        """Whether tests can be about this place: in languages without a stub they must name it."""
        own_name = self.name.rpartition(".")[2]
        return self.language == "Python" or re.search(rf"\b{re.escape(own_name)}\b", tests) is not None


def trial_of_code(
    place: Place,
    code: str,
    *,
    path: str,
    tests: str | None,
    settings: VerifySettings,
    seed: int | None = None,
) -> Trial:
    """Compiles an answer in its place; if the row brings tests and they are wanted, runs these as well.

    Args:
        place: Where the answer stands.
        code: The answer.
        path: The file's path, or "".
        tests: The row's tests.
        settings: Whether they are run, and limits.
        seed: Draws inputs with which the definition is called, to compare it with others; None: it isn't.
    """
    trials: list[Trial] = [compile_trial(place.language, place.text(code), place.original)]
    if settings.verify == "run":
        whole = place.needed(code)
        if tests is not None and place.may_be_tested(tests):

            def runs(text: str) -> RunTests:
                return run_tests(place.language, text, tests, path=path, name=place.name, settings=settings)

            original = None if place.kept is None else runs(place.needed(place.kept)).code
            stub = runs(place.needed(_STUB)).code if place.language == "Python" and place.name else None
            trials.append(replace(runs(whole), original=original, stub=stub))
        if seed is not None and (called := called_function(place.language, whole, place.name)) is not None:
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
