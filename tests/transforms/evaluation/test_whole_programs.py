"""Problems that users bring, in eight languages: the program is setup, prompt, answer and test."""

from __future__ import annotations

import dataclasses
from typing import Final

import pytest

from transforms.evaluation.benchmarks.own_tests import problem
from transforms.evaluation.judge import Judge
from transforms.evaluation.problems import Problem, Verdict

# language -> (prompt, right answer, wrong answer, an answer that ends the program early with 0, test)
MAINS: Final = {
    "cpp": (
        "#include <cassert>\n#include <cstdlib>\nint twice(int x) {\n",
        "  return 2 * x;\n}\n",
        "  return 2 + x;\n}\n",
        "  exit(0);\n}\n",
        "int main() {\n  assert(twice(2) == 4);\n  assert(twice(5) == 10);\n}\n",
    ),
    "c#": (
        "using System;\nusing System.Diagnostics;\nclass S {\n  public static int Twice(int x) {\n",
        "    return 2 * x;\n  }\n}\n",
        "    return 2 + x;\n  }\n}\n",
        "    Environment.Exit(0); return 0;\n  }\n}\n",
        "class T { static void Main(string[] a) { Debug.Assert(S.Twice(2) == 4); Debug.Assert(S.Twice(5) == 10); } }\n",
    ),
    "go": (
        'package main\nimport (\n\t"fmt"\n\t"os"\n)\n\nfunc twice(x int) int {\n',
        "\treturn 2 * x\n}\n",
        "\treturn 2 + x\n}\n",
        "\tos.Exit(0)\n\treturn 0\n}\n",
        'func main() {\n\tif twice(2) != 4 || twice(5) != 10 {\n\t\tfmt.Println("wrong")\n\t\tpanic("no")\n\t}\n}\n',
    ),
    "java": (
        "import java.util.*;\nclass Solution {\n  int twice(int x) {\n",
        "    return 2 * x;\n  }\n}\n",
        "    return 2 + x;\n  }\n}\n",
        "    System.exit(0); return 0;\n  }\n}\n",
        "public class Main {\n  public static void main(String[] args) {\n    Solution s = new Solution();\n"
        "    List<Boolean> all = Arrays.asList(s.twice(2) == 4, s.twice(5) == 10);\n"
        "    if (all.contains(false)) throw new AssertionError();\n  }\n}\n",
    ),
    "js": (
        "const twice = (x) => {\n",
        "  return 2 * x;\n};\n",
        "  return 2 + x;\n};\n",
        "  process.exit(0);\n};\n",
        "console.assert(twice(2) === 4);\nconsole.assert(twice(5) === 10, 'five');\n",
    ),
    "kotlin": (
        "import kotlin.system.exitProcess\nfun twice(x: Int): Int {\n",
        "    return 2 * x\n}\n",
        "    return 2 + x\n}\n",
        "    exitProcess(0)\n}\n",
        "fun main() {\n    check(twice(2) == 4)\n    check(twice(5) == 10)\n}\n",
    ),
    "python": (
        "import sys\ndef twice(x):\n",
        "    return 2 * x\n",
        "    return 2 + x\n",
        "    sys.exit(0)\n",
        "assert twice(2) == 4\nassert twice(5) == 10\n",
    ),
    "rust": (
        "fn twice(x: i32) -> i32 {\n",
        "    2 * x\n}\n",
        "    2 + x\n}\n",
        "    std::process::exit(0)\n}\n",
        "fn main() {\n    assert_eq!(twice(2), 4);\n    assert_eq!(twice(5), 10);\n}\n",
    ),
}

TOOLS: Final = {
    "go": 'import "testing"\n\nfunc TestTwice(t *testing.T) {\n\tif twice(2) != 4 || twice(5) != 10 {\n'
    '\t\tt.Errorf("no")\n\t}\n}\n',
    "js": "const assert = require('node:assert');\n"
    "test('twice', () => { assert.strictEqual(twice(2), 4); assert.strictEqual(twice(5), 10); });\n",
    "python": "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n"
    "        self.assertEqual(twice(2), 4)\n"
    "        self.assertEqual(twice(5), 10)\n\nif __name__ == '__main__':\n    unittest.main()\n",
    "rust": "#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn doubles() {\n"
    "        assert_eq!(twice(2), 4);\n        assert_eq!(twice(5), 10);\n    }\n}\n",
}
CASES: Final = {
    **{f"{name}: main": (name, test) for name, (*_, test) in MAINS.items()},
    **{f"{name}: tool": (name, test) for name, test in TOOLS.items()},
}
RIGHT, WRONG, EARLY = 1, 2, 3


def of(case: str) -> Problem:
    language, test = CASES[case]
    return problem({"task_id": "twice", "language": language, "prompt": MAINS[language][0], "test": test})


def judged(judge: Judge, case: str, which: int) -> Verdict:
    verdict = judge.judge(of(case), MAINS[CASES[case][0]][which])
    if verdict.reason == "no_toolchain":
        pytest.skip(verdict.detail)
    return verdict


@pytest.mark.parametrize("case", CASES)
def test_a_right_answer_passes(judge: Judge, case: str) -> None:
    verdict = judged(judge, case, RIGHT)
    assert verdict.passed, verdict


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_answer_fails(judge: Judge, case: str) -> None:
    verdict = judged(judge, case, WRONG)
    assert not verdict.passed
    assert verdict.reason != "does_not_compile", verdict


@pytest.mark.parametrize("case", CASES)
def test_an_answer_that_ends_the_program_early_fails(judge: Judge, case: str) -> None:
    verdict = judged(judge, case, EARLY)
    assert not verdict.passed
    assert verdict.reason != "does_not_compile", verdict


@pytest.mark.parametrize(
    ("language", "test", "package"),
    [
        ("go", 'import (\n\t"testing"\n\t"github.com/stretchr/testify/assert"\n)\n', "github.com/stretchr/testify"),
        ("js", "const md5 = require('js-md5');\n", "js-md5"),
        ("rust", "use regex::Regex;\n", "regex"),
        ("java", "import org.junit.Test;\n", "org.junit"),
        ("cpp", "#include <gtest/gtest.h>\n", "gtest"),
    ],
)
def test_a_package_that_is_not_there_is_no_failure(judge: Judge, language: str, test: str, package: str) -> None:
    asked = dataclasses.replace(of(f"{language}: main"), test=test)
    verdict = judge.judge(asked, MAINS[language][RIGHT])
    assert verdict.reason == "no_toolchain"
    assert package in verdict.detail


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("js", "// adapted from 'an older program'\nconst { exit } = require('process');\nconst p = `from 'x'`;\n"),
        ("js", "const { readFile } = require('fs/promises');\nimport('node:util');\n"),
        ("python", '"""import numpy"""\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\n'),
        ("python", "from solution import twice\nimport os.path, asyncio\n"),
        ("java", "// import org.junit.Test;\nimport org.w3c.dom.Node;\n"),
        ("rust", "// use regex::Regex;\nuse std::fmt;\n"),
        ("go", 'import "fmt" // not "github.com/a/b"\nvar _ = fmt.Sprint(\n\t"c.d/e")\n'),
    ],
)
def test_what_only_looks_like_a_missing_package_is_none(judge: Judge, language: str, text: str) -> None:
    asked = of(f"{language}: main")
    asked = dataclasses.replace(asked, test=text + asked.test, setup="" if language == "go" else asked.setup)
    verdict = judge.judge(asked, MAINS[language][RIGHT])
    assert verdict.passed or "missing" in verdict.detail, verdict


@pytest.mark.parametrize("name", ["pytest", "numpy"])
def test_a_module_that_python_does_not_find_is_no_failure(judge: Judge, name: str) -> None:
    test = f"import {name} as it\ndef test_a():\n    assert twice(1) == 2\n"
    verdict = judge.judge(dataclasses.replace(of("python: main"), test=test), MAINS["python"][RIGHT])
    if verdict.passed:
        pytest.skip(f"the sandbox's Python has {name}")
    assert (verdict.reason, verdict.detail) == ("no_toolchain", f"Python: the tests need {name}")


# Tests in Python that are run, each in a form of its own.
PYTHON_TESTS: Final = {
    "a class": "class TestTwice:\n    def setup_method(self):\n        self.x = 3\n"
    "    def test_a(self):\n        assert twice(self.x) == 6\n",
    "a coroutine": "async def test_a():\n    assert twice(3) == 6\n",
    "a coroutine in a class": "class TestTwice:\n    async def test_a(self):\n        assert twice(3) == 6\n",
    "an asynchronous case": "import unittest\nclass A(unittest.IsolatedAsyncioTestCase):\n    async def test_a(self):\n"
    "        self.assertEqual(twice(3), 6)\n",
    "a guarded main": "def run():\n    assert twice(3) == 6\n\nif __name__ == '__main__':\n    run()\n",
    "a check": "def check(candidate):\n    assert candidate(3) == 6\n",
    "a check that is called": "def check(candidate):\n    assert candidate(3) == 6\n\ncheck(twice)\n",
    "a function of the candidate": "def test_it(candidate):\n    assert candidate(3) == 6\n",
    "a thread": "import threading\ndef run():\n    assert twice(3) == 6\n\nthreading.Thread(target=run).start()\n",
    "an awaited main": "import asyncio\nasync def main():\n    assert twice(3) == 6\n\nasyncio.run(main())\n",
}


@pytest.mark.parametrize("form", PYTHON_TESTS)
def test_each_form_of_a_python_test_is_run(judge: Judge, form: str) -> None:
    asked = dataclasses.replace(of("python: main"), test=PYTHON_TESTS[form])
    right, wrong = (judge.judge(asked, MAINS["python"][which]) for which in (RIGHT, WRONG))
    assert right.passed, right
    assert wrong.reason == "wrong", wrong


@pytest.mark.parametrize(
    ("language", "test", "said"),
    [
        ("python", "def run():\n    assert twice(3) == 6\n", "calls nothing"),
        ("python", "import math\nX = 3\n", "calls nothing"),
        ("python", "class Helper:\n    def test(self): pass\n", "calls nothing"),
        ("python", "def test_a(tmp_path):\n    assert twice(3) == 6\n", "only pytest gives"),
        ("python", "class TestA:\n    def test_a(self, tmp_path):\n        assert 0\n", "only pytest gives"),
        ("js", "function run() { console.assert(twice(3) === 6); }\n", "calls nothing"),
        ("go", "func helper() bool { return twice(3) == 6 }\n", "no main"),
        ("rust", "fn helper() -> bool { twice(3) == 6 }\n// fn main()\n", "no main"),
        ("java", "class Helper {}\n", "no main"),
        ("kotlin", "fun helper() = twice(3)\n", "no main"),
        ("c#", "class Helper {}\n", "no Main"),
        ("cpp", "int helper() { return twice(3); }\n", "no main"),
    ],
)
def test_a_test_that_would_test_nothing_is_told(judge: Judge, language: str, test: str, said: str) -> None:
    verdict = judge.judge(dataclasses.replace(of(f"{language}: main"), test=test), MAINS[language][RIGHT])
    if verdict.reason == "no_toolchain":
        pytest.skip(verdict.detail)
    assert verdict.reason == "no_test_ran", verdict
    assert said in verdict.detail
    assert not verdict.was_run


def test_a_coroutine_that_nobody_awaits_is_no_pass(judge: Judge) -> None:
    test = "async def main():\n    assert twice(3) == 6\n\nmain()\n"
    verdict = judge.judge(dataclasses.replace(of("python: main"), test=test), MAINS["python"][RIGHT])
    assert verdict.reason == "exception" and "never awaited" in verdict.detail


def test_a_case_that_is_skipped_is_no_pass(judge: Judge) -> None:
    test = "import unittest\n@unittest.skip('no')\nclass T(unittest.TestCase):\n    def test_a(self): pass\n"
    assert (
        judge.judge(dataclasses.replace(of("python: main"), test=test), MAINS["python"][RIGHT]).reason == "exited_early"
    )


def test_functions_of_a_test_file_are_called(judge: Judge) -> None:
    asked = dataclasses.replace(of("python: main"), test="def test_twice():\n    assert twice(3) == 6\n")
    assert judge.judge(asked, MAINS["python"][RIGHT]).passed
    assert judge.judge(asked, MAINS["python"][WRONG]).reason == "wrong"


# Answers that say what the language's own tool says, and end the program.
IMPOSTORS: Final = {
    "go: tool": (
        'package main\nimport (\n\t"fmt"\n\t"syscall"\n)\n\n',
        'func twice(x int) int {\n\tfmt.Print("--- PASS: TestTwice\\nPASS\\n")\n\tsyscall.Exit(0)\n\treturn 0\n}\n',
    ),
    "js: tool": ("", "const twice = (x) => { console.log('# pass 1\\n# fail 0\\n'); process.exit(0); };\n"),
    "rust: tool": (
        "use std::io::Write;\n",
        "fn twice(_x: i32) -> i32 {\n    let mut out = std::io::stdout();\n"
        '    write!(out, "\\ntest result: ok. 1 passed; 0 failed\\n").unwrap();\n    out.flush().unwrap();\n'
        "    std::process::exit(0)\n}\n",
    ),
    "cpp: main": (
        "#include <cassert>\n#include <cstdlib>\n#include <fstream>\n#include <iostream>\n",
        'int twice(int x) {\n  std::ifstream source("/box/main.cpp");\n  std::cout << source.rdbuf();\n'
        "  std::cout.flush();\n  exit(0);\n}\n",
    ),
}


@pytest.mark.parametrize("case", IMPOSTORS)
def test_an_answer_that_speaks_like_the_tool_or_reads_its_source_fails(judge: Judge, case: str) -> None:
    prompt, answer = IMPOSTORS[case]
    verdict = judge.judge(dataclasses.replace(of(case), prefix=prompt), answer)
    if verdict.reason == "no_toolchain":
        pytest.skip(verdict.detail)
    assert verdict.reason == "exited_early", verdict


def test_a_main_may_stand_anywhere(judge: Judge) -> None:
    test = "#include <cassert>\nvoid all();\nint main() { all(); }\nvoid all() { assert(twice(2) == 4); }\n"
    verdict = judge.judge(dataclasses.replace(of("cpp: main"), test=test), MAINS["cpp"][RIGHT])
    if verdict.reason == "no_toolchain":
        pytest.skip(verdict.detail)
    assert verdict.passed, verdict


def test_a_function_of_the_tests_own_may_be_called_test(judge: Judge) -> None:
    asked = dataclasses.replace(of("js: main"), test="function test() { console.assert(twice(5) === 10); }\ntest();\n")
    if judge.toolchains["JavaScript"].missing:
        pytest.skip("node is missing")
    assert judge.judge(asked, MAINS["js"][RIGHT]).passed
    assert not judge.judge(asked, MAINS["js"][WRONG]).passed


def test_a_module_of_ones_own_is_no_package(judge: Judge) -> None:
    test = (
        "mod helpers { pub fn four() -> i32 { 4 } }\nuse helpers::four;\nfn main() { assert_eq!(twice(2), four()); }\n"
    )
    verdict = judge.judge(dataclasses.replace(of("rust: main"), test=test), MAINS["rust"][RIGHT])
    assert verdict.passed or "missing" in verdict.detail, verdict
