"""Tries an answer in Python. This file runs inside the box as `trial.py`; it uses the standard library alone.

Standard input is a JSON object: `code` (the answer in its place), `test`, `entry_point`, `form`, and `nonce`. The
tests lie in no file, and what ends the trial is kept before the answer's first line runs. The last line of
standard output is `NONCE REASON DETAIL`. A program that doesn't get there has failed, whatever its exit code.

What it holds against: answers that print that they have passed, exit with 0 early or late, replace `check`, change
builtins, register exit functions, return objects that equal everything, or look for the tests in files. What a process
can't hold against itself: an answer that walks the interpreter's frames or rewrites this module in memory.
"""

import builtins
import json
import os
import sys
import traceback
import types

ANSWER = "answer.py"
TEST = "test.py"
COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__", "__bool__", "__len__")


class Cheat(BaseException):
    """The answer returned something that decides by itself what it is equal to."""


def decides_equality(value, depth=0):
    """Whether a result's class, or that of one of its items, has comparisons that the answer wrote."""
    for one in type(value).__mro__:
        for name in COMPARISONS:
            code = getattr(one.__dict__.get(name), "__code__", None)
            if code is not None and code.co_filename == ANSWER:
                return True
    if depth < 4 and type(value) in (list, tuple, set, frozenset, dict):
        items = list(value) + (list(value.values()) if type(value) is dict else [])
        return any(decides_equality(item, depth + 1) for item in items[:1000])
    return False


def guarded(function):
    """The function, but that a result which decides its own equality is a cheat."""

    def call(*args, **keywords):
        result = function(*args, **keywords)
        if decides_equality(result):
            raise Cheat("the result decides by itself what it is equal to")
        return result

    return call if callable(function) else function


def try_answer(given):
    """Runs the answer, then the tests; returns the reason and a line of detail."""
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    space = module.__dict__
    kept = dict(vars(builtins))
    try:
        exec(compile(given["code"], ANSWER, "exec"), space)
    except SystemExit as error:
        return "exited_early", f"exit code {error.code!r} before the tests"
    except SyntaxError as error:
        return "does_not_compile", f"line {error.lineno}: {error.msg}"
    finally:
        vars(builtins).update(kept)
        sys.settrace(None)
        sys.setprofile(None)
    entry = given["entry_point"]
    if given["form"] == "program":
        return run_program(given["test"], space)
    tests = dict(space)
    if entry in tests:
        tests[entry] = guarded(tests[entry])
    exec(compile(given["test"], TEST, "exec"), tests)
    if given["form"] == "check":
        if entry not in tests:
            raise NameError(f"name {entry!r} is not defined")
        tests["check"](tests[entry])
    return "passed", ""


def run_program(test, space):
    """Runs a test of the user's own: its statements, then its `test_` functions and test cases."""
    import unittest

    vars(unittest)["main"] = lambda *words, **named: None  # it would end the process; the cases run below
    before = dict(space)
    exec(compile(test, TEST, "exec"), space)
    made = {name: one for name, one in space.items() if before.get(name) is not one}
    for name, one in made.items():
        if name.startswith("test") and isinstance(one, types.FunctionType):
            one()
    cases = [one for one in made.values() if isinstance(one, type) and issubclass(one, unittest.TestCase)]
    if cases:
        suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, cases))
        result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
        if result.failures:
            return "wrong", str(result.failures[0][0])
        if result.errors:
            return "exception", str(result.errors[0][0])
    return "passed", ""


def verdict_of(given):
    """As `try_answer`, whatever it raises."""
    try:
        return try_answer(given)
    except Cheat as error:
        return "cheated", str(error)
    except SystemExit as error:
        return "exited_early", f"exit code {error.code!r} in the tests"
    except AssertionError as error:
        lines = [frame.line for frame in traceback.extract_tb(error.__traceback__) if frame.filename == TEST]
        return "wrong", str(error).split("\n")[0] or (lines[-1] if lines else "") or where(error)
    except MemoryError:
        return "out_of_memory", ""
    except BaseException as error:
        return "exception", "{}: {}".format(type(error).__name__, str(error).partition("\n")[0])


def where(error):
    """The line of the tests at which an assertion failed."""
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == TEST]
    return f"line {numbers[-1]} of the tests" if numbers else "an assertion of the answer's own"


def main():
    """Reads the trial, runs it, and tells the verdict."""
    given = json.loads(sys.stdin.buffer.read())
    write, leave, flush = os.write, os._exit, sys.stdout.flush
    nonce = given.pop("nonce")
    reason, detail = verdict_of(given)
    try:
        flush()
    except BaseException:
        pass
    write(1, f"\n{nonce} {reason} {detail[:300]}\n".encode("utf-8", "replace"))
    leave(0 if reason == "passed" else 1)


if __name__ == "__main__":
    main()
