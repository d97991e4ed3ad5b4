"""Answers that try to pass without solving the problem. None of these does."""

from __future__ import annotations

import dataclasses

import pytest

from transforms.evaluation.judge import Judge
from transforms.evaluation.problems import Form, Problem

PREFIX = "def double(x):\n"
TEST = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(5) == 10\n"
CHECKED = Problem(
    problem_id="double", language="Python", form="check", prefix=PREFIX, test=TEST, entry_point="double", wall_s=10
)
MARKED = Problem(
    problem_id="double",
    language="Python",
    form="markers",
    test="PLACEHOLDER_CODE_BODY\n\nimport sys\n"
    "for i, x in enumerate([2, 5]):\n"
    "    print(f'TEST-{i}...' + ('PASSED' if PLACEHOLDER_FN_NAME(x) == 2 * x else 'FAILED'))\n"
    "sys.exit(0)\n",
    prefix=PREFIX,
    entry_point="double",
    markers=("0", "1"),
    wall_s=10,
)

SOLUTION = "    return 2 * x\n"
CHEATS = {
    "prints that it passed": "    return 0\nprint('PASSED'); print('TEST-0...PASSED'); print('TEST-1...PASSED')\n",
    "exits early with 0": "    return 0\nimport sys\nsys.exit(0)\n",
    "exits in the function with 0": "    import sys\n    sys.exit(0)\n",
    "ends the process at once": "    return 0\nimport os\nos._exit(0)\n",
    "ends the process in the function": "    import os\n    os._exit(0)\n",
    "registers an exit function": "    return 0\nimport atexit, os\natexit.register(lambda: os._exit(0))\n",
    "replaces check": "    return 0\ndef check(candidate): pass\n",
    "changes a builtin": "    return 0\nimport builtins as b\nb.AssertionError = None\nb.print = lambda *a: None\n",
    "equals everything": "    return Same()\nclass Same:\n    def __eq__(self, other): return True\n",
    "equals everything as a number": "    return Same()\nclass Same(int):\n    def __eq__(self, other): return True\n"
    "    __hash__ = None\n",
    "equals everything in a list": "    return [Same()]\nclass Same:\n    def __eq__(self, other): return True\n",
    "equals everything by a library": "    from unittest.mock import ANY\n    return ANY\n",
    "equals everything by code made later": "    return type('S', (), {'__eq__': eval('lambda a, b: True')})()\n",
    "equals everything in a class of lists": "    class L(list): pass\n    from unittest.mock import ANY\n"
    "    return L([ANY])\n",
    "equals everything far inside": "    from unittest.mock import ANY\n    return [[[[[[{1: (ANY,)}]]]]]]\n",
    "equals everything behind many": "    from unittest.mock import ANY\n    return [0] * 5000 + [ANY]\n",
    "equals everything as a difference": "    class S(float):\n        def __sub__(self, other): return 0.0\n"
    "        __rsub__ = __sub__\n        __eq__ = None\n    return S()\n",
    "changes a builtin when it is called": "    import builtins\n    builtins.abs = lambda x: 0\n"
    "    builtins.isinstance = lambda *a: True\n    return 0\n",
    "reads the tests from its files": "    return 0\nfrom glob import glob\nfor path in glob('/box/*'):\n"
    "    text = open(path).read()\n    if 'candidate(2)' in text or 'double' in text: print('found')\n",
    "reads the tests from standard input": "    return 0\nimport sys\ndata = sys.stdin.read()\nif data: print(data)\n",
    "kills the process that tries it": "    return 0\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "catches the assertion by tracing": "    return 0\nimport sys\n"
    "def trace(frame, event, arg):\n    return None if event == 'exception' else trace\nsys.settrace(trace)\n",
    "hides the interpreter's flags": "    return 0\nimport sys\nsys.flags = None\n",
    "changes the hook for exceptions": "    return 0\nimport sys, os\nsys.excepthook = lambda *a: os._exit(0)\n",
    "goes on in another process": "    return 0\nimport os\nif os.fork():\n    os._exit(0)\n",
}


@pytest.mark.parametrize("problem", [CHECKED, MARKED], ids=["check", "markers"])
def test_a_solution_passes(judge: Judge, problem: Problem) -> None:
    verdict = judge.judge(problem, SOLUTION)
    assert verdict.passed, verdict


@pytest.mark.parametrize("cheat", CHEATS)
def test_no_cheat_passes_a_check(judge: Judge, cheat: str) -> None:
    verdict = judge.judge(CHECKED, CHEATS[cheat])
    assert not verdict.passed
    assert "found" not in verdict.stdout
    assert "candidate(2)" not in verdict.stdout


CLOSE = "def check(candidate):\n    for _ in (1, 2):\n        assert abs(candidate(2) - 4) < 1e-6\n"


@pytest.mark.parametrize("cheat", ["equals everything as a difference", "changes a builtin when it is called"])
def test_no_cheat_passes_a_check_of_nearness(judge: Judge, cheat: str) -> None:
    near = dataclasses.replace(CHECKED, test=CLOSE)
    assert judge.judge(near, SOLUTION).passed
    assert not judge.judge(near, CHEATS[cheat]).passed


HONEST = {
    "a number of a library": "    from fractions import Fraction\n    return Fraction(2 * x)\n",
    "a decimal": "    from decimal import Decimal\n    return Decimal(2 * x)\n",
    "a named tuple": "    from collections import namedtuple\n    return namedtuple('P', 'a')(2 * x).a\n",
    "a member of an enumeration": "    import enum\n    class N(enum.IntEnum):\n        A = 4\n        B = 10\n"
    "    return N(2 * x)\n",
}


@pytest.mark.parametrize("answer", HONEST)
def test_what_the_library_compares_is_no_cheat(judge: Judge, answer: str) -> None:
    verdict = judge.judge(CHECKED, HONEST[answer])
    assert verdict.passed, verdict


POINT = (
    "from dataclasses import dataclass\n\n\n@dataclass\nclass Point:\n    x: int\n\n\n"
    "class Pair:\n    __slots__ = ('a', 'b')\n    def __init__(self, a, b):\n        self.a, self.b = a, b\n"
    "    def __eq__(self, other): return self.a == other.a and self.b == other.b\n\n\n"
)
POINTS = dataclasses.replace(
    CHECKED,
    prefix=POINT + PREFIX,
    test="def check(candidate):\n    assert candidate(2) == Point(4)\n    assert candidate(5) == Point(10)\n",
)
"""A problem whose own text has classes that compare."""

OBJECTS = {
    "Point(2 * x)": "    return Point(2 * x)\n",
    "[Point(2 * x)]": "    return [Point(2 * x)]\n",
    "Pair(x, [Point(2 * x)])": "    return Pair(x, [Point(2 * x)])\n",
}


@pytest.mark.parametrize("known", OBJECTS)
@pytest.mark.parametrize("where", ["prefix", "setup"])
@pytest.mark.parametrize("form", ["check", "program"])
def test_an_object_of_the_problems_own_class_is_no_cheat(judge: Judge, known: str, where: str, form: Form) -> None:
    texts = {"prefix": POINT + PREFIX, "setup": ""} if where == "prefix" else {"prefix": PREFIX, "setup": POINT}
    test = f"def check(candidate):\n    for x in (2, 5):\n        assert candidate(x) == {known}\n"
    problem = dataclasses.replace(POINTS, form=form, test=test, **texts)
    verdict = judge.judge(problem, OBJECTS[known])
    assert verdict.passed, verdict
    assert judge.judge(problem, OBJECTS[known].replace("2 *", "3 *")).reason == "wrong"


POINT_CHEATS = {
    "is the same class made again": "    return Point(x)\n@dataclass\nclass Point:\n    x: int\n"
    "    def __eq__(self, other): return True\n",
    "changes the class": "    return Point(x)\nPoint.__eq__ = lambda self, other: True\n",
    "changes the class's function": "    return Point(x)\ndef same(self, other): return True\n"
    "Point.__eq__.__code__ = same.__code__\n",
    "derives from the class": "    class Same(Point):\n        def __eq__(self, other): return True\n"
    "    return Same(x)\n",
    "holds what equals everything": "    from unittest.mock import ANY\n    return Point(ANY)\n",
    "holds what equals everything deep inside": "    from unittest.mock import ANY\n    return Pair(x, [Point(ANY)])\n",
    "reads an attribute by a function": "    return Point(x)\nfrom unittest.mock import ANY\n"
    "Point.x = property(lambda self: ANY, lambda self, value: None)\n",
    "makes a class of its name": "    return type('Point', (), {'__eq__': lambda self, other: True})()\n",
}


NEAR = (
    "EPS = 1e-9\n\n\nclass Point:\n    def __init__(self, x):\n        self.x = x\n    def __eq__(self, other):\n"
    "        return all(one for one in [near(self.x, other.x)])\n\n\ndef near(a, b):\n    return abs(a - b) < EPS\n\n\n"
)
"""A class whose comparison uses names that the answer can bind."""

NEAR_CHEATS = {
    "binds a number that the comparison uses": "    return Point(x)\nEPS = 1e9\n",
    "binds it when it is called": "    global EPS\n    EPS = 1e9\n    return Point(x)\n",
    "binds a function that the comparison uses": "    return Point(x)\ndef near(a, b): return True\n",
    "changes a function that it uses": "    near.__code__ = (lambda a, b: True).__code__\n    return Point(x)\n",
    "hides a built-in function": "    return Point(x)\nabs = lambda x: 0\n",
}


def test_an_answer_may_bind_names_that_the_problems_comparison_does_not_use(judge: Judge) -> None:
    problem = dataclasses.replace(POINTS, prefix=NEAR + PREFIX)
    assert judge.judge(problem, "    return Point(scale(x))\ndef scale(x): return 2 * x\nother = max = 1\n").passed
    assert judge.judge(problem, "    return Point(x)\n").reason == "wrong"


@pytest.mark.parametrize("cheat", NEAR_CHEATS)
def test_no_cheat_passes_by_what_the_problems_comparison_uses(judge: Judge, cheat: str) -> None:
    assert judge.judge(dataclasses.replace(POINTS, prefix=NEAR + PREFIX), NEAR_CHEATS[cheat]).reason == "cheated"


@pytest.mark.parametrize("cheat", POINT_CHEATS)
def test_no_cheat_passes_by_the_problems_own_class(judge: Judge, cheat: str) -> None:
    assert judge.judge(POINTS, POINT_CHEATS[cheat]).reason == "cheated"


@pytest.mark.parametrize("cheat", [name for name in CHEATS if "equals everything" not in name])
def test_no_cheat_passes_by_markers(judge: Judge, cheat: str) -> None:
    assert not judge.judge(MARKED, CHEATS[cheat]).passed
