"""Functions are called with the same generated inputs: translations, exercises, samples of one answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.settings import VerifySettings
from transforms.tasks.trials import Place, comparison_trial, trial_of_code
from transforms.verification.behavior import CompareCalls
from transforms.verification.calls import Function, results_of
from transforms.verification.evidence import Evidence
from transforms.verification.inputs import MOST_INPUTS, draw_inputs
from transforms.verification.trials import Trial
from transforms.verification.verifier import Verifier

SETTINGS = VerifySettings(verify="run", program_timeout_s=2.0)
JAVASCRIPT = "function sumOfSquares(xs) { return xs.reduce((t, x) => t + (x > 0 ? x * x : 0), 0); }"
PYTHON = "def sum_of_squares(numbers: list[int]) -> int:\n    return sum(x * x for x in numbers if x > 0)\n"
TEXT = "def shout(text: str, n: int) -> str:\n    return text.upper() + '!' * n\n"
GO = (
    "func SumOfSquares(numbers []int) int {\n\ttotal := 0\n\tfor _, x := range numbers {\n\t\tif x > 0 {\n"
    "\t\t\ttotal += x * x\n\t\t}\n\t}\n\treturn total\n}\n"
)
GO_TEXT = (
    'package main\n\nimport (\n\t"errors"\n\t"strings"\n)\n\nfunc shout(text string, n int) (string, error) {\n'
    '\tif n < 0 {\n\t\treturn "", errors.New("n")\n\t}\n'
    '\treturn strings.ToUpper(text) + strings.Repeat("!", n), nil\n}\n\n'
    "func main() {}\n"
)
MAX = "\nfunc max0(n int) int {\n\tif n < 0 {\n\t\treturn 0\n\t}\n\treturn n\n}\n"


def compare(
    verifier: Verifier, content: str, answer: str, language: str, *, must_agree: bool = True, own: str = "python"
) -> Evidence | None:
    sha = content_sha256(content)
    row = Row(SourceRef("corpus.parquet", 0, 0), content, sha, sha, path="", language=own)
    name = content.split("(")[0].split()[-1]
    trial = comparison_trial(
        row,
        answer,
        language,
        span=(0, len(content.encode())),
        name=name,
        settings=SETTINGS,
        seed=1,
        must_agree=must_agree,
    )
    return None if trial is None else verifier.submit(trial).result()


@pytest.mark.parametrize(
    ("content", "answer", "language", "alike"),
    [
        (PYTHON, GO, "Go", True),
        (PYTHON, GO.replace("x > 0", "x > 1"), "Go", False),
        (PYTHON, JAVASCRIPT, "JavaScript", True),
        (PYTHON, "export const sumOfSquares = (xs) => xs.length;", "JavaScript", False),
        (PYTHON, "def sum_of_squares(xs):\n    while True: pass\n", "Python", False),
        (PYTHON, "def sum_of_squares(xs):\n    raise ValueError\n", "Python", False),
        (TEXT, GO_TEXT, "Go", False),  # for a negative n one fails and the other doesn't
        (TEXT, GO_TEXT.replace("n < 0", "false").replace('"!", n', '"!", max0(n)') + MAX, "Go", True),
        (TEXT, "def shout(text, n)\n  text\nend\n", "Ruby", None),
    ],
)
def test_a_translation_must_give_the_same_results(
    verifier: Verifier, content: str, answer: str, language: str, alike: bool | None
) -> None:
    found = compare(verifier, content, answer, language)
    assert found is not None
    assert found.checks["behaves_alike"] is alike
    assert (found.fault is not None) == (alike is False)
    assert alike is not True or found.checks["inputs_compared"] >= 4


def test_a_translation_from_javascript_is_compared_too(verifier: Verifier) -> None:
    content = "export function half(n) {\n  return n / 2;\n}\n"
    found = compare(verifier, content, "def half(n):\n    return n / 2\n", "Python", own="javascript")
    assert found is not None and found.checks["behaves_alike"] is True
    found = compare(verifier, content, "def half(n):\n    return n // 2\n", "Python", own="javascript")
    assert found is not None and found.checks["behaves_alike"] is False


@pytest.mark.parametrize(
    "content",
    [
        "import random\ndef f(n: int):\n    return random.random()\n",  # another result each time
        "def f(n: int):\n    return object()\n",  # nothing that could be compared
        "def f(n: int):\n    return 7\n",  # whatever is given
        "def f(x):\n    return x.area()\n",  # nothing tells what it takes
    ],
)
def test_what_can_not_be_compared_is_no_fault(verifier: Verifier, content: str) -> None:
    found = compare(verifier, content, "def f(n):\n    return n\n", "Python")
    if found is not None:
        assert found.checks["behaves_alike"] is None and found.fault is None


@pytest.mark.parametrize(("count", "differs"), [(3, None), (4, False)])
def test_fewer_than_four_inputs_tell_nothing_even_where_they_differ(
    verifier: Verifier, count: int, differs: bool | None
) -> None:
    original = Function(language="Python", code="def f(n):\n    return n\n", name="f")
    answer = Function(language="Python", code="def f(n):\n    return n * n\n", name="f")
    inputs = tuple(f"[{number}]" for number in range(1, count + 1))
    trial = CompareCalls(original=original, answer=answer, inputs=inputs, wall_s=2.0)
    found = verifier.submit(trial).result()
    assert found.checks["behaves_alike"] is differs and (found.fault is None) is (differs is None)


def test_results_that_the_answer_does_not_give_are_not_compared(verifier: Verifier) -> None:
    original = Function(language="Python", code="def f(n):\n    return n\n", name="f")
    code = "def f(n):\n    return object() if n > 2 else -n\n"
    inputs = tuple(f"[{number}]" for number in range(9))
    answer = Function(language="Python", code=code, name="f")
    found = verifier.submit(CompareCalls(original=original, answer=answer, inputs=inputs, wall_s=2.0)).result()
    assert found.checks == {"behaves_alike": None, "inputs_compared": 3} and found.fault is None


def test_what_all_samples_share_is_run_once(verifier: Verifier) -> None:
    place = Place(language="Python", before="def double(n: int):\n    ", kept="return 2 * n", start=0, name="double")

    def programs(trial: Trial | None) -> int:
        before = verifier.programs_done
        assert trial is not None and verifier.submit(trial).result().fault is None
        return verifier.programs_done - before

    def tested(body: str) -> Trial:
        return trial_of_code(place, body + "\n", path="", tests="assert double(4) == 8\n", settings=SETTINGS)

    def compared(body: str) -> Trial:
        original = Function(language="Python", code="def f(n):\n    return 3 * n\n", name="f")
        answer = Function(language="Python", code=f"def f(n):\n    {body}\n", name="f")
        return CompareCalls(original=original, answer=answer, inputs=("[1]", "[2]", "[3]", "[4]"), wall_s=2.0)

    assert list(map(programs, map(tested, ("return n + n", "return n * 2", "return n - -n")))) == [2, 1, 1]
    assert list(map(programs, map(compared, ("return n + n + n", "return n * 3")))) == [2, 1]


def test_only_the_last_results_are_kept(verifier: Verifier) -> None:
    found = [verifier.once(("test", number), lambda number=number: [number]) for number in range(600)]
    assert verifier.once(("test", 599), list) is found[599]
    assert verifier.once(("test", 0), list) == []
    assert len(verifier._kept) <= 256


def test_functions_that_can_not_be_called_by_themselves_are_left_alone(verifier: Verifier) -> None:
    for content in ("def f(*numbers):\n    return 1\n", "def f(n):\n    yield n\n", "async def f(n):\n    return n\n"):
        assert compare(verifier, content, "def f(n):\n    return n\n", "Python") is None


def test_an_exercise_may_differ_from_what_inspired_it(verifier: Verifier) -> None:
    found = compare(verifier, PYTHON, "def sum_of_squares(xs):\n    return 0\n", "Python", must_agree=False)
    assert found is not None and found.checks["behaves_alike"] is False and found.fault is None


def test_samples_that_do_the_same_in_other_words_have_equal_outputs(verifier: Verifier) -> None:
    def outputs(body: str) -> tuple[str, ...] | None:
        place = Place(language="Python", before="def double(n: int):\n    ", kept="pass", start=0, name="double")
        trial = trial_of_code(place, body + "\n", path="", tests=None, settings=SETTINGS, seed=3)
        return verifier.submit(trial).result().outputs

    one, same, other = map(outputs, ("return n + n", "print(n); return 2 * n", "return n * n"))
    assert one is not None and one == same != other


def test_what_a_program_prints_itself_is_not_taken_for_a_result() -> None:
    assert results_of("x 0 1\nnonce 0 2.0\n nonce 1 3\nnonce 1 [1.0, 0.1000000000001]\nnonce 7 1\n", "nonce", 3) == (
        "2",
        "[1, 0.1]",
        None,
    )


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("15511210043330985984000000", "1.5511210043330986e+25", True),  # 25!, in Python and in JavaScript
        ("1.152921504606847e+18", "1152921504606847000", True),
        ("3.0000000000000004", "3", True),
        ("999999999999999", "999999999999998", False),
        ("1e+25", "2e+25", False),
        ("true", "1", False),
    ],
)
def test_a_number_is_the_same_in_whatever_form_a_language_prints_it(one: str, other: str, is_same: bool) -> None:
    left, right = (results_of(f"nonce 0 {text}\n", "nonce", 1)[0] for text in (one, other))
    assert None not in (left, right) and (left == right) is is_same


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("def f(x: float):\n    return x * 2.0 ** 60\n", "function f(x) { return x * 2 ** 60; }"),
        (
            "def f(x: float):\n    return [x / 3, float('inf'), -float('inf'), float('nan')]\n",
            "function f(x) { return [x / 3, Infinity, -Infinity, NaN]; }",
        ),
    ],
)
def test_large_and_infinite_results_are_the_same_in_python_and_javascript(
    verifier: Verifier, content: str, answer: str
) -> None:
    found = compare(verifier, content, answer, "JavaScript")
    assert found is not None and found.checks["behaves_alike"] is True
    found = compare(verifier, content, answer.replace("return", "x += 1; return"), "JavaScript")
    assert found is not None and found.checks["behaves_alike"] is False


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["n", "text", "items", "what"]),
            st.sampled_from(["", "int", "str | None", "list[str]", "dict[str, int]", "Shape", "Optional[float]"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 2**32),
)
def test_inputs_follow_from_the_seed_are_distinct_and_have_all_parameters(
    parameters: list[tuple[str, str]], seed: int
) -> None:
    drawn = draw_inputs(parameters, seed)
    assert drawn == draw_inputs(parameters, seed)
    assert 1 <= len(drawn) == len(set(drawn)) <= MOST_INPUTS
    assert all(len(json.loads(one)) == len(parameters) for one in drawn)
    if parameters[0][1] == "list[str]":
        assert all(isinstance(word, str) for one in drawn for word in json.loads(one)[0])
