"""Runs a test of the form "program" in Python, inside the box, for `python_trial`.

The test's statements run as `__main__`; then its functions `test...`, its classes `Test...` and test cases, and a
`check(candidate)` that it defines and doesn't call. Coroutines are awaited. What would else go unseen counts: an
exception in a thread, a coroutine that was never awaited. A test that would run nothing is told before the answer runs.
"""

import ast
import asyncio
import gc
import inspect
import sys
import threading
import types
import unittest
import unittest.case
import warnings

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
KEPT = (unittest, unittest.TestCase, unittest.case)


def nothing_to_run(test):
    """Why a test would run nothing; "": it would run something, or can't be read, which running it tells."""
    try:
        body = ast.parse(test).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    found = False
    for one in body:
        if isinstance(one, ast.ClassDef) and is_test_class(one.name, [ast.unparse(base) for base in one.bases]):
            methods = [part for part in one.body if isinstance(part, FUNCTION) and part.name.startswith("test")]
            found = found or bool(methods) or bool(one.bases)
            if not one.bases and (wanting := [part for part in methods if wants(part) > 1]):
                return f"{one.name}.{wanting[0].name} wants arguments, which only pytest gives"
        elif isinstance(one, FUNCTION) and one.name.startswith("test"):
            found = True
            if wants(one) > 1 or (wants(one) == 1 and one.args.args[0].arg != "candidate"):
                return f"{one.name} wants arguments, which only pytest gives"
        found = found or (isinstance(one, FUNCTION) and one.name == "check" and wants(one) == 1) or acts(one)
    return "" if found else "the test calls nothing"


def is_test_class(name, bases):
    """Whether a class holds tests."""
    return name.startswith("Test") or any(base.endswith("TestCase") for base in bases)


def wants(function):
    """Number of arguments that a function must be given."""
    given = function.args
    return (
        len(given.posonlyargs) + len(given.args) - len(given.defaults) + sum(one is None for one in given.kw_defaults)
    )


def acts(node):
    """Whether a statement does something when the test is run, and isn't only a definition."""
    if isinstance(node, (ast.If, ast.Try)):
        parts = [*node.body, *node.orelse, *getattr(node, "finalbody", [])]
        return any(map(acts, parts))
    if isinstance(node, (*FUNCTION, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass)):
        return False
    if isinstance(node, (ast.Expr, ast.Assign, ast.AnnAssign)):
        return any(isinstance(part, (ast.Call, ast.Await)) for part in ast.walk(node))
    return True


class ProgramTest:
    """A test of the user's own.

    Args:
        test: Its text.
        file: What it is called in tracebacks.
        space: The names of the answer's module.
        entry: The function that a `check` is given.
        restore: Restores what the answer may have changed.
        guarded: Makes a function that restores it, and whose results are looked at.
    """

    def __init__(self, test, file, space, entry, restore, guarded):
        self.file = file
        self.test, self.space, self.entry, self.restore, self.guarded = test, space, entry, restore, guarded
        self.lost = []  # what nobody waited for or saw: exceptions in threads, coroutines that were never awaited

    def run(self):
        """Runs its statements, then its functions, classes and test cases; returns the reason and a line of detail."""
        vars(unittest)["main"] = lambda *words, **named: None  # it would end the process; the cases run below
        threading.excepthook = lambda args: self.lost.append(args.exc_value)
        warnings.showwarning = lambda message, *more, **named: self.warned(message)
        before = dict(self.space)
        exec(compile(self.test, self.file, "exec"), self.space)
        made = {name: one for name, one in self.space.items() if before.get(name) is not one}
        for name, one in made.items():
            if isinstance(one, types.FunctionType) and name.startswith("test"):
                self.call(one, *(self.candidate() if parameters(one) == ["candidate"] else ()))
        self.check(made.get("check"))
        told = self.run_classes([one for one in made.values() if isinstance(one, type)])
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        gc.collect()
        if self.lost:
            raise self.lost[0]
        return told or ("passed", "")

    def warned(self, message):
        """Keeps a warning that says that a part of the test was never run."""
        if "was never awaited" in str(message):
            self.lost.append(RuntimeError(str(message)))

    def call(self, function, *words):
        """Calls a function of the test, and waits for it if it is a coroutine."""
        self.restore()
        result = function(*words)
        if isinstance(result, types.CoroutineType):
            asyncio.run(result)

    def candidate(self):
        """The function that is tested, as the only argument."""
        if self.entry not in self.space:
            raise NameError(f"name {self.entry!r} is not defined")
        return (self.guarded(self.space[self.entry]),)

    def check(self, check):
        """Calls a `check(candidate)` that the test defines and doesn't call."""
        if not isinstance(check, types.FunctionType):
            return
        called = {ast.unparse(node.func) for node in ast.walk(ast.parse(self.test)) if isinstance(node, ast.Call)}
        if "check" not in called and len(parameters(check)) == 1:
            self.call(check, *self.candidate())

    def run_classes(self, kinds):
        """Runs test cases by unittest, and classes `Test...` as pytest does; returns what failed, if anything."""
        cases = [kind for kind in kinds if issubclass(kind, unittest.TestCase)]
        for kind in kinds:
            if kind not in cases and kind.__name__.startswith("Test"):
                self.run_class(kind)
        if not cases:
            return None
        suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, cases))
        result = unittest.TextTestRunner(stream=sys.stderr, warnings="default").run(suite)
        if result.failures:
            return "wrong", str(result.failures[0][0])
        if result.errors or result.unexpectedSuccesses:
            return "exception", str(result.errors[0][0] if result.errors else result.unexpectedSuccesses[0])
        return None if result.testsRun > len(result.skipped) else ("exited_early", "no test case was run")

    def run_class(self, kind):
        """Runs the methods of a class, each on an object of its own, between what sets up and tears down."""
        hook(kind, "setup_class")
        for name in [name for name in dir(kind) if name.startswith("test")]:
            tested = kind()
            hook(tested, "setup_method", getattr(tested, name))
            try:
                self.call(getattr(tested, name))
            finally:
                hook(tested, "teardown_method", getattr(tested, name))
        hook(kind, "teardown_class")


def hook(owner, name, *words):
    """Calls a method that may be there and may want an argument."""
    if (method := getattr(owner, name, None)) is not None:
        method(*words[: len(parameters(method))])


def parameters(function):
    """Names of a function's parameters."""
    return list(inspect.signature(function).parameters)
