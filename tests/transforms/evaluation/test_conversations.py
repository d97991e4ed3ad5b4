"""Conversations whose last turn is code that passes tests, code that ends by itself, or a correction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model.errors import RecordError
from transforms.evaluation.benchmarks.own_tests import OWN_TESTS
from transforms.evaluation.conversations import conversation_of
from transforms.evaluation.judge import Judge
from transforms.tasks.chat import read_turns

FAULTY = "def double(x)\n    return 2 * x\n"
MENDED = "def double(x):\n    return 2 * x\n"
ASKED = [
    {"role": "user", "content": "Write a function that doubles."},
    {"role": "assistant", "content": f"Here:\n```python\n{FAULTY}```\n"},
    {"role": "user", "content": "It doesn't run. Please correct it."},
]
ROW: dict[str, Any] = {"task_id": "a", "language": "python", "messages": ASKED}
TESTED = {**ROW, "test": "assert double(4) == 8\n"}
RUN = {**ROW, "check": "run"}


def reason(judge: Judge, row: dict[str, Any], turn: str) -> tuple[str, str]:
    problem = OWN_TESTS.problem(row)
    verdict = judge.judge(problem, OWN_TESTS.code(turn, row))
    return verdict.reason, verdict.detail


def turn(code: str, fence: str = "python") -> str:
    return f"The colon was missing.\n\n```{fence}\n{code}```\nNow it runs.\n"


def test_a_correction_must_parse_and_differ_from_the_last_code_of_the_conversation(judge: Judge) -> None:
    assert reason(judge, ROW, turn(MENDED)) == ("passed", "")
    assert reason(judge, ROW, turn(FAULTY))[0] == "does_not_compile"
    sound = {**ROW, "messages": [{"role": "user", "content": f"Speed this up:\n```py\n{MENDED}```"}]}
    assert reason(judge, sound, turn(MENDED.replace("x\n", "x  \n\n"))) == (
        "wrong",
        "it is the code that was to be corrected",
    )
    assert reason(judge, sound, turn("def double(x):\n    return x + x\n")) == ("passed", "")
    assert reason(judge, ROW, "I am sorry, but I can't help with that.") == ("wrong", "the answer has no code")


@pytest.mark.parametrize(
    ("language", "fence"), [("python", "py"), ("c++", "cpp"), ("C#", "csharp"), ("C#", "c#"), ("shell", "bash")]
)
def test_the_code_that_is_corrected_is_the_last_in_the_rows_language(language: str, fence: str) -> None:
    said = [
        f"```{fence}\nfirst\n```\nand\n```{fence}\nlast\n```\n```json\n{{}}\n```\n",
        f"It ends with\n```\nError: 1\n```\n```{fence}\n\n```\n",
    ]
    row = {**ROW, "language": language, "messages": [{"role": "user", "content": "\n".join(said)}]}
    assert OWN_TESTS.problem(row).test == "last\n"
    unnamed = [{"role": "user", "content": "```\nlast\n```\n```json\n{}\n```\n"}]
    assert OWN_TESTS.problem({**row, "messages": unnamed}).test == "last\n"


def test_indentation_alone_can_be_a_correction(judge: Judge) -> None:
    row = {**ROW, "given_code": "if a:\n    b()\nc()\n"}
    assert reason(judge, row, turn("if a:\n    b()\n    c()\n")) == ("passed", "")
    assert reason(judge, row, turn("if a:\n    b()\nc()\n"))[0] == "wrong"


def test_a_correction_needs_a_parser_and_no_toolchain(judge: Judge) -> None:
    row = {"task_id": "a", "language": "typescript", "messages": ASKED[:1]}
    assert reason(judge, row, turn("let x: number = 1;\n", "ts")) == ("passed", "")
    assert reason(judge, row, turn("let x: = 1;\n", "ts"))[0] == "does_not_compile"
    undecided = {**row, "language": "c"}
    assert reason(judge, undecided, turn("int f() {\n#if A\n{\n#endif\n}\n", "c"))[0] in ("no_toolchain", "passed")


def test_code_of_the_last_turn_is_run_with_the_rows_test(judge: Judge) -> None:
    assert reason(judge, TESTED, turn(MENDED)) == ("passed", "")
    assert reason(judge, TESTED, turn(MENDED.replace("2", "3")))[0] == "wrong"
    assert reason(judge, TESTED, MENDED) == ("passed", "")


@pytest.mark.parametrize(
    ("language", "ends", "fails"),
    [
        ("python", "print('done')\n", "raise SystemExit(3)\n"),
        ("js", "console.log('done');\n", "throw new Error('no');\n"),
        ("c++", "int main() { return 0; }\n", "int main() { return 1; }\n"),
        (
            "java",
            "public class Any { public static void main(String[] a) { System.out.println(1); } }\n",
            "class A {}\nclass B { public static void main(String[] a) { throw new RuntimeException(); } }\n",
        ),
    ],
)
def test_a_program_must_end_with_exit_code_0(judge: Judge, language: str, ends: str, fails: str) -> None:
    row = {**RUN, "language": language}
    if judge.toolchains[OWN_TESTS.problem(row).language].missing:
        pytest.skip(f"{language} is not installed")
    assert reason(judge, row, turn(ends, "")) == ("passed", "")
    assert reason(judge, row, turn(fails, ""))[0] in ("exception", "crashed")


def test_a_model_turn_at_the_end_is_the_rows_own_answer() -> None:
    answered = [*ASKED, {"role": "model", "content": turn(MENDED)}]
    for messages in (answered, json.dumps(answered)):
        row = {**ROW, "messages": messages}
        assert OWN_TESTS.reference(row) == turn(MENDED)
        asked = conversation_of(row)
        assert asked is not None and [one.role for one in read_turns(asked)] == ["user", "model", "user"]
    assert OWN_TESTS.reference(ROW) is None
    assert OWN_TESTS.reference({**ROW, "messages": answered, "answer": "x"}) == "x"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"messages": "Hello"}, "bad_turns"),
        ({"messages": []}, "bad_turns"),
        ({"messages": ASKED[:2] + ASKED[1:2]}, "bad_turns"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "empty_instruction"),
        ({"check": "tests"}, "check is 'tests'; it can be test, run, correction"),
        ({"check": "test"}, "has no test"),
        ({"check": "run", "language": "typescript"}, "unknown_language"),
        ({"language": "no such language"}, "unknown_language"),
    ],
)
def test_a_conversation_that_can_not_be_checked_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        OWN_TESTS.problem({**ROW, **changes})
