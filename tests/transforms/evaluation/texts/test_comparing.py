from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.evaluation.benchmarks import BENCHMARKS
from transforms.evaluation.texts.comparing import TextGrader, measure
from transforms.evaluation.texts.problem import TextProblem, distinct_ids
from transforms.evaluation.texts.reading import last_box, last_number, short_form, strict_number

SHARED = Path(__file__).parents[5] / "shared" / "benchmarks"


def verdicts(problem: TextProblem, answer: str) -> dict[str, bool | None]:
    return {one.metric: one.correct for one in measure(problem, answer)}


def test_a_number_is_read_strictly_and_flexibly() -> None:
    problem = TextProblem(problem_id="a", kind="number", gold=("1007",))
    assert verdicts(problem, "It is 1,007 in all.\n#### 1,007") == {"strict": True, "flexible": True}
    assert verdicts(problem, "It is $1,007.00.") == {"strict": False, "flexible": True}
    assert verdicts(problem, "#### 1007\nQuestion 8") == {"strict": True, "flexible": False}
    assert verdicts(problem, "none") == {"strict": False, "flexible": False}


def test_any_alias_is_right_whatever_its_case_and_punctuation() -> None:
    problem = TextProblem(problem_id="a", kind="short", gold=("The Blue Street", "Blue St."))
    assert verdicts(problem, " blue st") == {"exact_match": True}
    assert verdicts(problem, " Blue Road") == verdicts(problem, "") == {"exact_match": False}


def test_the_last_box_counts() -> None:
    pytest.importorskip("math_verify", reason="the extra codemill[math] isn't installed")
    problem = TextProblem(problem_id="a", kind="formula", gold=(r"\frac{1}{2}",))
    assert verdicts(problem, r"first \boxed{3}, then \boxed{0.5}") == {"equivalent": True}
    assert verdicts(problem, r"\boxed{0.5} and \boxed{3}") == {"equivalent": False}
    assert verdicts(problem, r"\boxed{0.5") == verdicts(problem, "0.5") == {"equivalent": False}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"so $\boxed 2$.", "2"),
        (r"$\boxed -12.5$", "-12.5"),
        (r"\boxed 1,200 of them", "1,200"),
        (r"\boxed x", "x"),
        (r"$\fbox \pi$", r"\pi"),
        (r"\boxed{1} and \boxed 3", "3"),
        (r"\boxed 3 and \boxed {1}", "1"),
        (r"\boxed{1} is the \boxed answer", "1"),
        (r"\boxed{1} is a \boxedtext{2}, see \boxed.", "1"),
        (r"\boxed{1} and \boxed \frac{1}{2}", "1"),
        (r"\boxed{1} and \boxed{2", None),
    ],
)
def test_a_box_may_lack_its_braces(text: str, found: str | None) -> None:
    assert last_box(text) == found


def test_the_first_metric_is_what_passes() -> None:
    problem = TextProblem(problem_id="a", kind="number", gold=("7",))
    graded = TextGrader().submit(problem.text(), "7")()
    assert graded.passed is False and graded.verdict is None and len(graded.measured) == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [("7 of 8", "8"), ("-3.50", "-3.50"), ("a-7", "-7"), ("$.50", ".50"), ("8.", "8"), ("", None), ("1,2,3", "123")],
)
def test_the_last_number_of_a_text_is_found(text: str, found: str | None) -> None:
    assert last_number(text) == found


def test_numbers_of_no_sense_are_none() -> None:
    assert strict_number("#### ,.,.") is None
    assert strict_number("#### " + "9" * 10_000) is None
    assert last_number("9" * 10_000) is None


# What a pattern with nested repetition, or a search from each bracket, would take hours for.
@pytest.mark.parametrize(
    ("text", "box", "number", "strict"),
    [
        ("{" * 200_000, None, None, None),
        (r"\boxed{" * 30_000, None, None, None),
        (r"\boxed{" * 30_000 + "7" + "}" * 30_000, "7", "7", None),
        (r"\boxed" * 30_000, r"\boxed", None, None),  # a box around a command
        ("\\boxed" + " " * 200_000 + "7", "7", "7", None),
        ("1," * 200_000, None, None, None),
        ("1," * 200_000 + " 7", None, "7", None),
        ("#### " * 50_000 + "7", None, "7", "7"),
        ("-$" * 200_000 + "7", None, "-7", None),
    ],
    ids=range(9),
)
def test_long_texts_are_read_to_their_end(text: str, box: str | None, number: str | None, strict: str | None) -> None:
    assert (last_box(text), last_number(text), strict_number(text)) == (box, number, strict)
    assert len(short_form(text)) <= len(text)


@given(st.lists(st.sampled_from(["", "a", "0", "1", "a/0", "a/1", "a/0/0", "1/1"]), max_size=8))
def test_no_two_rows_have_one_id(ids: list[str]) -> None:
    found = distinct_ids(ids)
    assert len(set(found)) == len(found) == len(ids)
    assert all(one == other for one, other in zip(ids, found, strict=True) if one and ids.count(one) == 1)


@pytest.mark.parametrize(
    ("name", "file", "rows"),
    [
        ("gsm8k", "gsm8k_main_test", 1_319),
        ("gsm8k", "gsm8k_main_train_first200", 200),
        ("trivia_qa", "trivia_qa_rc.wikipedia.nocontext_validation", 7_993),
    ],
)
def test_the_datas_own_answers_are_right(name: str, file: str, rows: int) -> None:
    path = SHARED / f"{file}.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    benchmark, count = BENCHMARKS[name], 0
    for row in pq.read_table(path).to_pylist():
        problem = benchmark.problem(row)
        assert isinstance(problem, TextProblem)
        assert all(one.correct for one in measure(problem, benchmark.reference(row))), row
        assert not any(one.correct for one in measure(problem, "qqq"))
        count += 1
    assert count == rows


SOLUTION = r"Half of it is $\boxed{\frac{7}{2}}$."
# The hub's copies as remembered, with values as they have them: a level may be a text, a number or unknown.
MATH_ROWS = (
    {"problem": "Halve 7.", "level": "Level 5", "type": "Prealgebra", "solution": SOLUTION},
    {"problem": "Halve 7.", "level": "Level ?", "type": "Counting & Probability", "solution": SOLUTION},
    {
        "problem": "Halve 7.",
        "solution": SOLUTION,
        "answer": r"\frac{7}{2}",
        "subject": "Algebra",
        "level": 1,
        "unique_id": "test/algebra/1.json",
    },
)


@pytest.mark.parametrize("row", MATH_ROWS, ids=["level", "unknown level", "answer beside"])
def test_math_is_read_from_each_of_its_layouts(row: dict[str, object]) -> None:
    benchmark = BENCHMARKS["math"]
    benchmark.check_columns(list(row))
    problem = benchmark.problem(row)
    assert isinstance(problem, TextProblem) and problem.gold == (r"\frac{7}{2}",)
    assert benchmark.reference(row) == SOLUTION
    assert benchmark.asking is not None and benchmark.asking.prompt(row) == "Problem:\nHalve 7.\n\nSolution:"


def test_another_layout_of_math_is_one_line_with_both() -> None:
    with pytest.raises(ConfigError, match=r"problem, level, type, solution; or problem, solution, answer, subject, le"):
        BENCHMARKS["math"].check_columns(["question", "answer"])
