"""Generated tests are run on the code that they are for, and on mutants of it."""

from __future__ import annotations

import dataclasses
import time
from concurrent.futures import CancelledError
from typing import Any

import pytest

from transforms.languages.syntax import parse
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.symbols import find_symbols
from transforms.tasks.settings import VerifySettings
from transforms.tasks.trials import generated_tests_trial
from transforms.verification.evidence import Evidence
from transforms.verification.trials import RunTests
from transforms.verification.verifier import Verifier

CLAMP = "def clamp(x, low, high):\n    if x < low:\n        return low\n    return high if x > high else x\n"
GOOD = "from clamps import clamp\n\ndef test_it():\n    assert [clamp(x, 2, 4) for x in (1, 2, 3, 9)] == [2, 2, 3, 4]\n"
SETTINGS = VerifySettings(verify="run", mutants=6, program_timeout_s=2.0)


def row_of(content: str, language: str = "python", path: str = "src/clamps.py") -> Row:
    sha = content_sha256(content)
    return Row(SourceRef("corpus.parquet", 0, 0), content, sha, sha, path=path, language=language)


def trial_of(tests: str, content: str = CLAMP, name: str = "clamp", **more: Any) -> RunTests:
    language, path = more.get("language", "python"), more.get("path", "src/clamps.py")
    row = row_of(content, language, path)
    source = parse(content.encode(), more.get("grammar", language))
    assert source is not None
    symbol = next(one for one in find_symbols(source) if one.name == name)
    return generated_tests_trial(
        row, tests, span=(symbol.start, symbol.end), name=name, settings=SETTINGS, seed=more.get("seed", 1)
    )


def reason(evidence: Evidence) -> str | None:
    return evidence.fault[0] if evidence.fault else None


def test_tests_that_pass_and_kill_mutants_are_accepted_with_their_evidence(verifier: Verifier) -> None:
    found = verifier.submit(trial_of(GOOD)).result()
    assert found.fault is None
    assert found.checks["tests_pass"] is True and found.checks["kills_a_mutant"] is True
    killed = found.checks["mutants_killed"]
    assert 1 <= killed["killed"] <= killed["of"] <= 6
    assert found.checks["executed"]["reason"] == "passed" and found.checks["executed"]["exit"] == 0
    assert found.toolchain.startswith("Python 3")


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        ("from clamps import clamp\n\ndef test_it():\n    assert clamp(1, 2, 3) == 1\n", "tests_fail"),
        ("from clamps import clamp\n\ndef test_it():\n    assert callable(clamp)\n", "no_mutant_killed"),
        ("def test_it():\n    clamp\n", "asserts_nothing"),
        ("def test_it():\n    clamp(1, 2, 3)  # assert that it works\n    print('assert')\n", "asserts_nothing"),
        ("def test_it():\n    assert clamp(1, 2, 3) is not None\n", "no_mutant_killed"),
        ("import numpy_of_nowhere\n\ndef test_it():\n    assert clamp(1, 2, 3)\n", "not_verifiable"),
        ("def test_it():\n    while True:\n        assert clamp(1, 2, 3)\n", "tests_fail"),
        ("def test_it():\n    while True:\n        assert print('x' * 99999) is None\n", "tests_fail"),
        ("def test_it():\n    assert bytearray(10 ** 11)\n", "tests_fail"),
        ("import os\nos._exit(0)\n", "tests_fail"),
        ("import sys\n\ndef test_it():\n    sys.exit(0)\n", "tests_fail"),
    ],
)
def test_other_tests_are_rejected_with_their_reason(verifier: Verifier, tests: str, why: str) -> None:
    found = verifier.submit(trial_of(tests)).result()
    assert reason(found) == why
    assert found.fault is not None and "clamp" not in found.fault[1], "a rejection quotes neither code nor answer"


@pytest.mark.parametrize(
    "head",
    [
        "from your_module import clamp\n",
        "from src.clamps import clamp\n",
        "from solution import clamp\n",
        "import src.clamps\nclamp = src.clamps.clamp\n",
        "from __future__ import annotations\nimport pytest\nfrom clamps import clamp\n",
        "",
    ],
)
def test_a_module_is_found_by_any_of_its_names(verifier: Verifier, head: str) -> None:
    tests = f"{head}\n\ndef test_it():\n    assert [clamp(x, 2, 4) for x in range(7)] == [2, 2, 2, 3, 4, 4, 4]\n"
    assert verifier.submit(trial_of(tests)).result().fault is None


FORMS = {
    "unittest": "import unittest\nclass A(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual({})\n",
    "plain class": "class TestA:\n    def test_a(self):\n        assert len({{{}}}) == 1\n",
    "parametrize": "import pytest\n@pytest.mark.parametrize('a, b', [({})])\ndef test_a(a, b):\n    assert a == b\n",
}


@pytest.mark.parametrize("form", ["unittest", "plain class", "parametrize"])
def test_each_form_of_tests_is_really_run(verifier: Verifier, form: str) -> None:
    assert verifier.submit(trial_of(FORMS[form].format("clamp(9, 2, 4), 4"))).result().fault is None
    assert reason(verifier.submit(trial_of(FORMS[form].format("clamp(9, 2, 4), 5"))).result()) == "tests_fail"


def test_what_pytest_raises_is_checked(verifier: Verifier) -> None:
    tests = "import pytest\n\ndef test_it():\n    with pytest.raises({}, match='{}'):\n        clamp('a', 2, 4)\n"
    assert verifier.submit(trial_of(tests.format("TypeError", "not supported"))).result().checks["tests_pass"]
    for wrong in (("KeyError", ""), ("TypeError", "nothing of it")):
        assert reason(verifier.submit(trial_of(tests.format(*wrong))).result()) == "tests_fail"
    unknown = "import pytest\n\n@pytest.fixture\ndef x():\n    assert 1\n"
    assert reason(verifier.submit(trial_of(unknown)).result()) == "not_verifiable"


def test_an_import_that_is_not_there_matters_only_to_what_uses_it(verifier: Verifier) -> None:
    head = "import math\nimport torch_of_nowhere as torch\n\n"
    head += "BASE = math.pi * 0\n\n\ndef net():\n    return torch.zeros(3)\n\n"
    other = "def plus(x):\n    return x + BASE + 1\n\n\ndef uses(x):\n    return net() + 1\n"
    content = head + "\n" + other
    tests = "def test_it():\n    assert {}(1) == 2\n"
    found = verifier.submit(trial_of(tests.format("plus"), content, "plus")).result()
    assert found.fault is None and found.checks["mutants_killed"]["of"] >= 2
    assert reason(verifier.submit(trial_of(tests.format("uses"), content, "uses")).result()) == "not_verifiable"


def test_a_mutant_that_never_ends_ends_no_trial_and_code_without_mutants_can_not_be_verified(
    verifier: Verifier,
) -> None:
    content = "def count(n):\n    while n > 0:\n        n -= 1\n    return n\n"
    found = verifier.submit(trial_of("def test_it():\n    assert count(3) == 0\n", content, "count")).result()
    assert found.fault is None and found.checks["mutants_killed"]["killed"] >= 1
    nothing = trial_of("def test_it():\n    assert same(3) == 3\n", "def same(x):\n    ...\n    return x\n", "same")
    nothing = dataclasses.replace(nothing, mutants=())
    assert reason(verifier.submit(nothing).result()) == "not_verifiable"


OTHERS = {
    "javascript": (
        "export function clamp(x, low, high) {\n  if (x < low) return low;\n  return x > high ? high : x;\n}\n",
        "import assert from 'node:assert';\nimport { clamp } from './clamp.js';\nassert.equal(clamp(9, 2, 4), {});\n",
        "clamp.js",
    ),
    "go": (
        "package clamps\n\nfunc Clamp(x, low, high int) int {\n\tif x > high {\n\t\treturn high\n\t}\n\treturn x\n}\n",
        'package clamps\n\nimport "testing"\n\nfunc TestClamp(t *testing.T) {\n\tif Clamp(9, 2, 4) != {} {\n'
        "\t\tt.Fail()\n\t}\n}\n",
        "clamp.go",
    ),
    "java": (
        "class Clamp { static int clamp(int x, int high) { if (x > high) { return high; } return x; } }\n",
        "class ClampTest { public static void main(String[] a) { if (Clamp.clamp(9, 4) != {}) "
        "throw new AssertionError(); } }\n",
        "Clamp.java",
    ),
    "rust": (
        "pub fn clamp(x: i32, high: i32) -> i32 { if x > high { return high; } x }\n",
        "#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn it() { assert_eq!(clamp(9, 4), {}); }\n}\n",
        "clamp.rs",
    ),
    "cpp": (
        "int clamp(int x, int high) { if (x > high) { return high; } return x; }\n",
        "#include <cassert>\nint main() { assert(clamp(9, 4) == {}); return 0; }\n",
        "clamp.cpp",
    ),
    "csharp": (
        "static class A { public static int Clamp(int x, int high) { if (x > high) { return high; } return x; } }\n",
        "class P { static int Main() { return A.Clamp(9, 4) == {} ? 0 : 1; } }\n",
        "A.cs",
    ),
}


@pytest.mark.parametrize("grammar", sorted(OTHERS))
def test_tests_in_other_languages_are_run_with_mutants(verifier: Verifier, grammar: str) -> None:
    content, tests, path = OTHERS[grammar]
    more = {"language": grammar if grammar not in ("cpp", "csharp") else {"cpp": "c++", "csharp": "c#"}[grammar]}
    name = "Clamp" if grammar in ("go", "csharp") else "clamp"
    trials = [trial_of(tests.replace("{}", value), content, name, grammar=grammar, path=path, **more) for value in "45"]
    good, bad = (verifier.submit(dataclasses.replace(one, mutants=one.mutants[:3])).result() for one in trials)
    assert good.fault is None, good
    assert good.checks["mutants_killed"]["killed"] >= 1
    assert reason(bad) == "tests_fail"


@pytest.mark.parametrize(
    "head",
    [
        'import assert, { strictEqual } from "assert";\nimport { clamp } from "./clamp.js";\n',
        'import assert, * as all from "node:assert";\nconst { strictEqual } = all;\n',
        'import {\n  strictEqual,\n  equal as same,\n} from "node:assert";\nimport {\n  clamp,\n} from "./clamp.js";\n',
        'import{strictEqual}from"assert"\nimport "./setup.js";\nimport "node:fs"\n',
        'const {\n  strictEqual,\n} = require("assert");\nconst {\n  clamp,\n} = require("./clamp.js");\n',
    ],
)
def test_each_form_of_javascript_imports_is_run(verifier: Verifier, head: str) -> None:
    content, _, path = OTHERS["javascript"]
    for expected, passes in ((4, True), (5, False)):
        tests = f"{head}strictEqual(clamp(9, 2, 4), {expected});\n"
        found = verifier.submit(trial_of(tests, content, language="javascript", path=path)).result()
        assert found.checks["tests_pass"] is passes


def test_a_missing_toolchain_is_no_failure_and_the_lineage_names_it(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = dataclasses.replace(verifier._known["Python"], tools=("no-such-python",))
    monkeypatch.setitem(verifier._known, "Python", gone)
    found = verifier.submit(trial_of(GOOD)).result()
    assert reason(found) == "not_verifiable" and found.checks["tests_pass"] is None
    assert found.toolchain == "missing: no-such-python"


def test_a_verifier_that_is_closed_ends_after_the_programs_that_run(verifier: Verifier) -> None:
    with Verifier(slots=1) as own:
        loop = "def test_it():\n    assert count(3) == 0\n"
        content = "def count(n):\n    import time\n    time.sleep(0.5)\n    return n - 3\n"
        trial = trial_of(loop, content, "count")
        assert trial.mutants
        started, waiting = own.submit(trial), own.submit(dataclasses.replace(trial, must_kill=False))
        while own.programs_done == 0:
            time.sleep(0.01)
    assert isinstance(started.exception(), CancelledError)
    assert own.programs_done <= 2 and waiting.cancelled()
