"""Makes a module under test importable by its names. This runs inside the box, after the code and before its tests.

`NAMES` (dotted names that the code's file may be imported by) is defined by `transforms.verification.python_tests`. It
also stands in for pytest, as far as most tests use it: `raises`, `approx`, `fail`, `param` and `mark.parametrize`.
Anything else of it is missing, which shows as an ImportError.
"""

import sys
import types


def publish(names):
    """Enters the module `solution` under further names, unless there is such a module of the library."""
    solution = sys.modules["solution"]
    for name in names:
        root = name.partition(".")[0]
        if root in sys.stdlib_module_names or root in sys.builtin_module_names:
            continue
        parts = name.split(".")
        for depth in range(1, len(parts)):
            package = ".".join(parts[:depth])
            if package not in sys.modules:
                sys.modules[package] = types.ModuleType(package)
                sys.modules[package].__path__ = []
            if depth > 1:
                setattr(sys.modules[".".join(parts[: depth - 1])], parts[depth - 1], sys.modules[package])
        sys.modules[name] = solution
        if len(parts) > 1:
            setattr(sys.modules[".".join(parts[:-1])], parts[-1], solution)


def stand_in_for_pytest():
    """Makes a module `pytest` of a few names."""
    import contextlib
    import functools
    import math
    import re

    class Caught:
        value = None
        type = None

    @contextlib.contextmanager
    def raising(expected, match):
        caught = Caught()
        try:
            yield caught
        except expected as error:
            caught.value, caught.type = error, type(error)
            assert match is None or re.search(match, str(error)), f"{match!r} is not in {str(error)!r}"
        else:
            raise AssertionError(f"{expected} was not raised")

    def raises(expected, *call, match=None, **words):
        if not call:
            return raising(expected, match)
        with raising(expected, match) as caught:
            call[0](*call[1:], **words)
        return caught

    class approx:
        def __init__(self, expected, rel=None, abs=None):
            self.expected, self.rel, self.abs = expected, rel, abs

        def __eq__(self, other):
            if isinstance(self.expected, (list, tuple)):
                pairs = zip(self.expected, other, strict=True)
                return len(self.expected) == len(other) and all(approx(a, self.rel, self.abs) == b for a, b in pairs)
            if isinstance(self.expected, dict):
                same = self.expected.keys() == other.keys()
                return same and all(approx(v, self.rel, self.abs) == other[k] for k, v in self.expected.items())
            rel = (1e-6 if self.abs is None else 0.0) if self.rel is None else self.rel
            return math.isclose(self.expected, other, rel_tol=rel, abs_tol=1e-12 if self.abs is None else self.abs)

    def parametrize(names, values, ids=None):
        words = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)

        def around(test):
            @functools.wraps(test)
            def each(*given, **more):
                for value in values:
                    row = (value,) if len(words) == 1 and not isinstance(value, Case) else value
                    test(*given, **dict(zip(words, row, strict=True)), **more)

            return each

        return around

    class Case(tuple):
        pass

    def fail(reason=""):
        raise AssertionError(reason)

    def missing(name):
        raise ImportError(f"this pytest has no {name}")

    module, mark = types.ModuleType("pytest"), types.ModuleType("pytest.mark")
    vars(module).update(raises=raises, approx=approx, fail=fail, mark=mark, __getattr__=missing)
    vars(module)["param"] = lambda *values, id=None: Case(values) if len(values) > 1 else values[0]
    vars(mark).update(parametrize=parametrize, __getattr__=missing)
    sys.modules["pytest"] = module


if __name__ == "prelude":
    stand_in_for_pytest()
    publish(globals()["NAMES"])
