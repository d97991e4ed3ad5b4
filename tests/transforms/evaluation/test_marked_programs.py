"""Programs with a place for the answer that report each test, in the layout of BabelCode's, in eight languages."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import pytest

from transforms.evaluation.benchmarks.babelcode import problem
from transforms.evaluation.judge import Judge
from transforms.evaluation.problems import Problem, Verdict

SHARED = Path(__file__).parents[4] / "shared" / "benchmarks" / "babelcode_human_eval.parquet"

# language -> (program, right answer, wrong answer, an answer that fails at the second test)
PROGRAMS: Final = {
    "C++": (
        "#include <iostream>\n#include <string>\n#include <stdexcept>\nusing namespace std;\n// SOLUTION\n"
        "PLACEHOLDER_CODE_BODY\n\n// TESTS\nstring driver(int x, int expected) {\n"
        '  try { return PLACEHOLDER_FN_NAME(x) == expected ? "PASSED" : "FAILED"; }\n'
        '  catch (const std::exception& e) { return "ERROR"; }\n}\n\nint main() {\n  string result = "";\n'
        '  result = driver(2, 4);\n  cout << "TEST-" << 0 << "..." << result << "\\n";\n'
        '  result = driver(5, 10);\n  cout << "TEST-" << 1 << "..." << result << "\\n";\n  return 0;\n}\n',
        "int twice(int x) {\n  return 2 * x;\n}",
        "int twice(int x) {\n  return 2 + x;\n}",
        'int twice(int x) {\n  if (x == 5) throw std::runtime_error("no");\n  return 2 * x;\n}',
    ),
    "CSharp": (
        "using System;\nusing System.Collections.Generic;\n// SOLUTION\nPLACEHOLDER_CODE_BODY\n\n// TESTS\n"
        "namespace Tests {\n  class Runner {\n    string driver(int x, int expected) {\n      try {\n"
        "        PLACEHOLDER_CLS_NAME solution = new PLACEHOLDER_CLS_NAME();\n"
        '        return solution.PLACEHOLDER_FN_NAME(x) == expected ? "PASSED" : "FAILED";\n'
        "      } catch (Exception e) { return e.GetType().FullName; }\n    }\n"
        "    static void Main(string[] args) {\n      Runner runner = new Runner();\n"
        '      Console.WriteLine(string.Format("TEST-0...{0}", runner.driver(2, 4)));\n'
        '      Console.WriteLine(string.Format("TEST-1...{0}", runner.driver(5, 10)));\n    }\n  }\n}\n',
        "class Solution {\n  public int twice(int x) {\n    return 2 * x;\n  }\n}",
        "class Solution {\n  public int twice(int x) {\n    return 2 + x;\n  }\n}",
        'class Solution {\n  public int twice(int x) {\n    if (x == 5) throw new Exception("no");\n    return 2 * x;\n'
        "  }\n}",
    ),
    "Go": (
        'package main\n\nimport (\n    "fmt"\n    "sort"\n)\n// SOLUTION\nPLACEHOLDER_CODE_BODY\n\n// TESTS\n'
        "func driver(x int, expected int) string {\n    if PLACEHOLDER_FN_NAME(x) == expected {\n"
        '        return "PASSED"\n    }\n    return "FAILED"\n}\n\nfunc main() {\n    _ = sort.Ints\n    result := ""\n'
        '    result = driver(2, 4)\n    fmt.Printf("TEST-0...%s\\n", result)\n'
        '    result = driver(5, 10)\n    fmt.Printf("TEST-1...%s\\n", result)\n}\n',
        "func twice(x int) int {\n\treturn 2 * x\n}",
        "func twice(x int) int {\n\treturn 2 + x\n}",
        'func twice(x int) int {\n\tif x == 5 {\n\t\tpanic("no")\n\t}\n\treturn 2 * x\n}',
    ),
    "Java": (
        "import java.util.*;\n// TESTS\nclass QuestionTrial {\n    public static String tried(int x, int expected) {\n"
        "        try {\n            Driver driver = new Driver();\n"
        '            return driver.run(x, expected) ? "PASSED" : "FAILED";\n'
        "        } catch (Exception e) { return e.getClass().getSimpleName(); }\n    }\n"
        "    public static void main(String[] args) {\n"
        '        System.out.println(String.format("%s%s", "TEST-0...", tried(2, 4)));\n'
        '        System.out.println(String.format("%s%s", "TEST-1...", tried(5, 10)));\n    }\n}\n\n'
        "class Driver {\n    public boolean run(int x, int expected) {\n"
        "        PLACEHOLDER_CLS_NAME solution = new PLACEHOLDER_CLS_NAME();\n"
        "        return solution.PLACEHOLDER_FN_NAME(x) == expected;\n    }\n}\n// SOLUTION\nPLACEHOLDER_CODE_BODY\n",
        "public class Solution {\n    public int twice(int x) {\n        return 2 * x;\n    }\n}",
        "class Solution {\n    public int twice(int x) {\n        return 2 + x;\n    }\n}",
        "class Solution {\n    public int twice(int x) {\n        if (x == 5) throw new RuntimeException();\n"
        "        return 2 * x;\n    }\n}",
    ),
    "Javascript": (
        "// SOLUTION\nPLACEHOLDER_CODE_BODY\n\n// TESTS\nfunction driver(x, expected) {\n"
        "  try { return JSON.stringify(PLACEHOLDER_FN_NAME(x)) === JSON.stringify(expected) ? 'PASSED' : 'FAILED'; }\n"
        "  catch (error) { return error.name; }\n}\n\nfunction main() {\n  let result = '';\n"
        "  result = driver(2, 4);\n  console.log(`TEST-0...${result}`);\n"
        "  result = driver(5, 10);\n  console.log(`TEST-1...${result}`);\n  process.exit(0);\n};\n\n"
        "if (require.main === module) {\n  main();\n}\n",
        "function twice(x) {\n  return 2 * x;\n}",
        "function twice(x) {\n  return 2 + x;\n}",
        "function twice(x) {\n  if (x === 5) throw new TypeError('no');\n  return 2 * x;\n}",
    ),
    "Kotlin": (
        "package main\n\nimport kotlin.text.*\nimport kotlin.math.*\n\n// SOLUTION\nPLACEHOLDER_CODE_BODY\n\n// TESTS\n"
        "fun driver(x: Int, expected: Int): String {\n  try {\n"
        '    return if (PLACEHOLDER_FN_NAME(x) == expected) "PASSED" else "FAILED"\n'
        "  } catch (e: Exception) { return e::class.simpleName as String }\n}\n\nfun main() {\n"
        '  var result: String = ""\n  result = driver(2, 4)\n  println("TEST-0...${result}")\n'
        '  result = driver(5, 10)\n  println("TEST-1...${result}")\n}\n\nmain()\n',
        "fun twice(x: Int): Int {\n    return 2 * x\n}",
        "fun twice(x: Int): Int {\n    return 2 + x\n}",
        "fun twice(x: Int): Int {\n    if (x == 5) throw IllegalStateException()\n    return 2 * x\n}",
    ),
    "Python": (
        "import sys\nfrom typing import List\n\n# SOLUTION\nPLACEHOLDER_CODE_BODY\n\n# TESTS\n"
        "def driver(x, expected):\n    try:\n"
        '        return "PASSED" if PLACEHOLDER_FN_NAME(\n            x) == expected else "FAILED"\n'
        "    except Exception as error:\n        return type(error).__name__\n\n"
        'if __name__ == "__main__":\n    result = driver(2, 4)\n    print(f"TEST-0...{result}")\n'
        '    result = driver(5, 10)\n    print(f"TEST-1...{result}")\n    sys.exit(0)\n',
        "def twice(x):\n    return 2 * x",
        "def twice(x):\n    return 2 + x",
        "def twice(x):\n    return 2 * x if x != 5 else [][1]",
    ),
    "Rust": (
        "use std::collections::HashMap;\nuse std::cmp::*;\nuse std::fmt::*;\n\n// SOLUTION\nPLACEHOLDER_CODE_BODY\n\n"
        "// TESTS\npub fn driver(x: i32, expected: i32) -> String {\n    if PLACEHOLDER_FN_NAME(x) == expected {\n"
        '        return "PASSED".to_string();\n    };\n    return "FAILED".to_string();\n}\n\nfn main() {\n'
        '    println!("TEST-0...{}", driver(\n      2,\n      4\n    ));\n'
        '    println!("TEST-1...{}", driver(5, 10));\n}\n',
        "pub fn twice(x: i32) -> i32 {\n    2 * x\n}",
        "pub fn twice(x: i32) -> i32 {\n    2 + x\n}",
        'pub fn twice(x: i32) -> i32 {\n    if x == 5 { panic!("no") }\n    2 * x\n}',
    ),
}
# What answers print in hope: the markers, then an end.
PRINTED: Final = "TEST-0...PASSED\\nTEST-1...PASSED\\n"
PRINTS: Final = {
    "C++": f'int twice(int x) {{\n  cout << "{PRINTED}" << flush;\n  exit(0);\n}}',
    "CSharp": "class Solution {\n  public int twice(int x) {\n"
    f'    Console.Write("{PRINTED}");\n    Environment.Exit(0); return 0;\n  }}\n}}',
    "Go": f'func twice(x int) int {{\n\tfmt.Print("{PRINTED}")\n\treturn 0\n}}',
    "Java": "class Solution {\n    public int twice(int x) {\n"
    f'        System.out.print("{PRINTED}");\n        System.exit(0); return 0;\n    }}\n}}',
    "Javascript": f'function twice(x) {{\n  console.log("{PRINTED}");\n  process.exit(0);\n}}',
    "Kotlin": f'fun twice(x: Int): Int {{\n    print("{PRINTED}")\n    kotlin.system.exitProcess(0)\n}}',
    "Python": f"def twice(x):\n    print({PRINTED!r}.replace('\\\\n', '\\n'))\n    sys.exit(0)",
    "Rust": f'pub fn twice(x: i32) -> i32 {{\n    print!("{PRINTED}");\n    std::process::exit(0)\n}}',
}


def of(language: str) -> Problem:
    return problem(
        {
            "qid": "0",
            "language": language,
            "test_code": PROGRAMS[language][0],
            "test_case_ids": ["0", "1"],
            "entry_fn_name": "twice",
            "entry_cls_name": "Solution",
        }
    )


def judged(judge: Judge, asked: Problem, answer: str) -> Verdict:
    verdict = judge.judge(asked, answer)
    if verdict.reason == "no_toolchain":
        pytest.skip(verdict.detail)
    return verdict


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_right_answer_passes_each_test(judge: Judge, language: str) -> None:
    verdict = judged(judge, of(language), PROGRAMS[language][1])
    assert verdict.passed, verdict
    assert verdict.stdout == "TEST-0...PASSED\nTEST-1...PASSED\n"


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_wrong_answer_is_told_with_its_first_test(judge: Judge, language: str) -> None:
    verdict = judged(judge, of(language), PROGRAMS[language][2])
    assert (verdict.reason, verdict.detail) == ("wrong", "test 1: FAILED")


@pytest.mark.parametrize("language", PROGRAMS)
def test_an_answer_that_throws_is_an_exception(judge: Judge, language: str) -> None:
    verdict = judged(judge, of(language), PROGRAMS[language][3])
    assert verdict.reason == "exception", verdict


@pytest.mark.parametrize("language", PROGRAMS)
def test_an_answer_that_prints_markers_and_ends_fails(judge: Judge, language: str) -> None:
    verdict = judged(judge, of(language), PRINTS[language])
    assert not verdict.passed
    assert verdict.reason != "does_not_compile", verdict


def test_answers_of_our_own_pass_the_benchmarks_own_program(judge: Judge) -> None:
    """One item of the real data, in all languages: the layouts above are its."""
    if not SHARED.exists():
        pytest.skip("the benchmark's file is not beside the project")
    rows = [row for row in pq.read_table(SHARED).to_pylist() if row["title"] == "HumanEval/53"]
    assert len(rows) == len(PROGRAMS)
    of_two = "int x, int y) {\n  return x + y;\n}"
    answers = {
        "C++": f"int NAME({of_two}",
        "CSharp": f"class Solution {{\npublic int NAME({of_two}\n}}",
        "Go": "func NAME(x int, y int) int {\n\treturn x + y\n}",
        "Java": f"class Solution {{\npublic int NAME({of_two}\n}}",
        "Javascript": "function NAME(x, y) {\n  return x + y;\n}",
        "Kotlin": "fun NAME(x: Int, y: Int): Int {\n    return x + y\n}",
        "Python": "def NAME(x, y):\n    return x + y",
        "Rust": "pub fn NAME(x: i32, y: i32) -> i32 {\n    x + y\n}",
    }
    for row in rows:
        asked = problem(row)
        answer = answers[row["language"]].replace("NAME", row["entry_fn_name"])
        verdict = judge.judge(asked, answer)
        assert verdict.passed or verdict.reason == "no_toolchain", (row["language"], verdict)
        assert not judge.judge(asked, answer.replace("x + y", "x - y")).passed


def test_markers_of_a_test_that_printed_twice_must_have_passed_twice(judge: Judge) -> None:
    asked = of("Python")
    twice = dataclasses.replace(asked, test=asked.test.replace("sys.exit(0)", "print('TEST-1...FAILED')"))
    assert not judge.judge(twice, PROGRAMS["Python"][1]).passed
