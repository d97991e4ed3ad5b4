"""Code in the turns of chat models: which of it is tried, and in what place."""

from __future__ import annotations

import pytest

from transforms.evaluation.benchmarks.own_tests import problem
from transforms.evaluation.chat import code_of_turn, whole_code, with_lead
from transforms.evaluation.problems import Problem

SIGNATURES = {
    "C++": "/**\n * Give the double (of x).\n */\nint twice(int x) {",
    "C#": "class Solution {\n    // Give the double.\n    public int Twice(int x) {",
    "Go": "// Give the double, as twice(2) does.\nfunc twice(x int) int {",
    "Java": "class Solution {\n    public Integer twice(Integer x) {",
    "JavaScript": "/** Give the double. */\nfunction twice(x) {",
    "Kotlin": "fun twice(x: Int): Int {",
    "Python": 'def twice(x: int) -> int:\n    """Give the double."""',
    "Rust": "/// Give the double.\npub fn twice(x: i32) -> i32 {",
}
WHOLE = {
    "C++": "int twice(int x) {\n  return 2 * x;\n}\n",
    "C#": "using System;\npublic class Solution {\n    public int Twice(int x) { return 2 * x; }\n}\n",
    "Go": "func twice(x int) int {\n\treturn 2 * x\n}\n",
    "Java": "public class Solution {\n    public Integer twice(Integer x) { return 2 * x; }\n}\n",
    "JavaScript": "function twice(x) {\n  return 2 * x;\n}\n",
    "Kotlin": "fun twice(x: Int): Int {\n    return 2 * x\n}\n",
    "Python": "def twice(x: int) -> int:\n    return 2 * x\n",
    "Rust": "fn twice(x: i32) -> i32 {\n    2 * x\n}\n",
}


@pytest.mark.parametrize("language", SIGNATURES)
def test_a_whole_function_stands_for_itself_and_a_body_behind_its_lead(language: str) -> None:
    lead = SIGNATURES[language]
    assert whole_code(WHOLE[language], lead) == WHOLE[language]
    body = "\n    return 2 * x\n"
    assert whole_code(body, lead) == lead + body


@pytest.mark.parametrize(
    "lead", ["const twice = (x) => {\n", "const twice = function (x) {\n", "val twice: (Int) -> Int = {\n"]
)
def test_a_function_may_be_the_value_of_a_name(lead: str) -> None:
    whole = lead.replace("\n", " return 2 * x }\n")
    assert whole_code(whole, lead) == whole
    assert whole_code("  return 2 * x;\n}\n", lead).startswith(lead)


def test_another_function_is_not_the_one_that_is_asked_for() -> None:
    lead = "def twice(x):\n"
    assert whole_code("    def twice_again(y): return y\n", lead).startswith(lead)
    assert whole_code("    return untwice(x)\n", lead).startswith(lead)


def asked(prompt: str, language: str = "python") -> Problem:
    return problem({"task_id": "a", "language": language, "prompt": prompt, "test": "void main() {}"})


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [
        ("import math\n\ndef helper(x):\n    return x\n\ndef f(x):\n    '''Half.'''\n", 42),
        ("import math\n@math.wraps\nasync def f(x):\n", 12),
        ("def f(x):\n    return 1\n\nvalue = ", None),
        ("# Give the double.\n", None),
        ("", None),
    ],
)
def test_the_function_that_is_asked_for_is_told_from_what_stands_before_it(prompt: str, kept: int | None) -> None:
    found, lead = with_lead(asked(prompt), "")
    assert found.prefix + lead == prompt
    assert found.prefix == (prompt if kept is None else prompt[:kept])


def test_in_other_languages_the_lead_begins_at_the_last_line_at_the_margin() -> None:
    prompt = "import java.util.*;\n/** Doubles. */\nclass S {\n  int f(int x) {\n"
    found, lead = with_lead(asked(prompt, "java"), "")
    assert found.prefix == "import java.util.*;\n/** Doubles. */\n" and lead == "class S {\n  int f(int x) {\n"


def test_a_lead_that_answers_begin_with_already_stays() -> None:
    found, lead = with_lead(asked("def f(x):\n"), "def g(x):\n")
    assert (found.prefix, lead) == ("def f(x):\n", "def g(x):\n")


@pytest.mark.parametrize(
    ("written", "language", "code"),
    [
        ("```python\nx = 1\n```\nand\n```python\nx = 2\n```\n", "py", "x = 1\n"),
        ("```bash\npip\n```\n```python\nx = 1\n```\n", "Python", "x = 1\n"),
        ("```\nx = 1\n```", "Python", "x = 1\n"),
        ("```java\nclass A {}\n```\n", "Python", "class A {}\n"),
        ("x = 1\n", "Python", "x = 1\n"),
        ("Sure, here is what you want: nothing.", "Python", ""),
        ("echo this is prose", "bash", ""),
    ],
)
def test_the_code_of_a_turn_is_its_first_block_in_the_wanted_language(written: str, language: str, code: str) -> None:
    assert code_of_turn(written, language) == code
