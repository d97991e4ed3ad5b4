"""`codemill evaluate` over small problems of our own: verdicts, scores, resuming, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from model.errors import ConfigError
from transforms.sandbox.sandbox import Sandbox

QUIET = ["--progress", "none"]


@pytest.fixture(autouse=True)
def boxes() -> None:
    try:
        with Sandbox(slots=1):
            pass
    except ConfigError as error:
        pytest.skip(f"programs can't be boxed here: {error}")


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def checked(number: int) -> dict[str, Any]:
    """An item in HumanEval's layout."""
    return {
        "task_id": f"Own/{number}",
        "prompt": f"def times{number}(x):\n",
        "entry_point": f"times{number}",
        "canonical_solution": f"    return {number} * x\n",
        "test": f"def check(candidate):\n    assert candidate(7) == {7 * number}\n",
    }


@pytest.fixture
def items(tmp_path: Path) -> str:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.Table.from_pylist([checked(number) for number in range(2, 8)]), path)
    return str(path)


def evaluate(*words: str) -> int:
    return cli.main(["evaluate", *words, *QUIET])


def rows_of(output: Path) -> list[dict[str, Any]]:
    return pq.read_table(output / "data").to_pylist()


def scores_of(output: Path) -> dict[str, Any]:
    (one,) = json.loads((output / "scores.json").read_text())["scores"]
    return one


def test_a_benchmarks_own_solutions_pass(items: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    assert evaluate("--benchmark", "human_eval", "--data", items, "--reference", "--output", str(output)) == 0
    assert [row["passed"] for row in rows_of(output)] == [True] * 6
    assert "human_eval, Python: pass@1 100.0%" in capsys.readouterr().out


def test_a_forgotten_answer_leaves_the_joined_problems_too(items: str, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = ["--benchmark", "human_eval", "--data", items, "--reference", "--output", str(output)]
    assert evaluate(*command) == 0
    assert list((output / "_job" / "problems").rglob("*.parquet"))
    assert cli.main(["forget", str(output), "--content_hash", rows_of(output)[0]["lineage"]["content_sha256"]]) == 0
    assert evaluate(*command) == evaluate(*command, "--shard_mb", "7") == 0  # neither of which joins them again
    assert len(rows_of(output)) == 5
    assert not list((output / "_job").rglob("problems.parquet"))


def test_several_answers_of_a_problem_are_samples(items: str, tmp_path: Path) -> None:
    given = [
        {"task_id": f"Own/{number}", "answer": f"    return {number if good else 0} * x\n"}
        for number in range(2, 8)
        for good in (True, number < 4)
    ]
    output, answers = tmp_path / "out", lines(tmp_path / "answers.jsonl", given)
    assert evaluate("--benchmark", "human_eval", "--data", items, "--answers", answers, "--output", str(output)) == 0
    assert [row["sample"] for row in rows_of(output)] == [0, 1] * 6
    found = scores_of(output)
    assert found["pass_at"]["1"]["value"] == pytest.approx((2 * 1 + 4 * 0.5) / 6)
    assert found["pass_at"]["2"]["value"] == 1
    assert found["answers"] == {"passed": 8, "wrong": 4}


def test_problems_of_ones_own_hold_their_answers(tmp_path: Path) -> None:
    asked = {"prompt": "def f(x):\n", "test": "assert f(1) == 2", "language": "py"}
    tests = lines(
        tmp_path / "tests.jsonl",
        [
            {**asked, "task_id": "a", "answer": "    return 2 * x\n"},
            {**asked, "task_id": "b", "answer": "    return 'line\u2028inside'\n"},
            {**asked, "task_id": "c", "answer": "    while True: pass\n"},
        ],
    )
    output = tmp_path / "out"
    assert evaluate("--tests", tests, "--output", str(output)) == 0
    assert [row["executed"]["reason"] for row in rows_of(output)] == ["passed", "wrong", "timed_out"]
    assert [row["passed"] for row in rows_of(output)] == [True, False, False]


def test_a_row_of_json_lines_without_an_answer_is_a_problem_without_one(tmp_path: Path) -> None:
    asked = {"prompt": "def f(x):\n", "test": "assert f(1) == 2", "language": "py"}
    rows = [{**asked, "task_id": "a"}, {**asked, "task_id": "b", "answer": "    return 2 * x\n"}]
    output = tmp_path / "out"
    assert evaluate("--tests", lines(tmp_path / "tests.jsonl", rows), "--output", str(output)) == 0
    assert [row["task_id"] for row in rows_of(output)] == ["b"]
    assert scores_of(output)["problems_not_answered"] == 1


def test_mbpp_is_read_in_both_of_its_layouts(tmp_path: Path) -> None:
    ours = {
        "id": "12",
        "text": "",
        "testing_code": "assert f(1) == 2",
        "entry_fn_name": "f",
        "solution": "f = lambda x: 2",
    }
    hub = {
        "task_id": 12,
        "text": "",
        "test_list": ["assert f(1) == two"],
        "test_setup_code": "two = 2",
        "code": "f = int\n",
    }
    for name, row, passed in (("ours", ours, True), ("hub", hub, False)):
        data = lines(tmp_path / f"{name}.jsonl", [row, {**row, "id": "9", "task_id": 9}])
        output = tmp_path / name
        assert evaluate("--benchmark", "mbpp", "--data", data, "--reference", "--output", str(output)) == 0
        assert [(row["task_id"], row["passed"]) for row in rows_of(output)] == [("MBPP/12", passed)]


def test_what_can_not_be_run_here_counts_neither_way(tmp_path: Path) -> None:
    asked = {"task_id": "a", "language": "go", "prompt": "package main\n", "answer": "func f() {}\n"}
    test = 'import "github.com/stretchr/testify/assert"\n'
    output = tmp_path / "out"
    assert evaluate("--tests", lines(tmp_path / "t.jsonl", [{**asked, "test": test}]), "--output", str(output)) == 0
    assert rows_of(output)[0]["passed"] is None
    assert scores_of(output)["problems_run"] == 0


def test_the_same_command_again_changes_nothing_and_a_changed_file_is_refused(
    items: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    answers = lines(tmp_path / "a.jsonl", [{"task_id": "Own/2", "answer": "    return 2 * x\n"}])
    words = ["--benchmark", "human_eval", "--data", items, "--answers", answers, "--output", str(output)]
    assert evaluate(*words) == 0
    before = rows_of(output)
    assert evaluate(*words) == 0
    assert rows_of(output) == before
    lines(tmp_path / "a.jsonl", [{"task_id": "Own/2", "answer": "    return 3 * x\n"}])
    assert evaluate(*words) == cli.USER_ERROR
    assert "have changed since" in capsys.readouterr().err


def test_two_runs_are_compared_problem_by_problem(
    items: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = lines(tmp_path / "a.jsonl", [{"task_id": f"Own/{n}", "answer": "    return 0\n"} for n in range(2, 8)])
    data = ["--benchmark", "human_eval", "--data", items]
    assert evaluate(*data, "--reference", "--output", str(tmp_path / "a")) == 0
    assert evaluate(*data, "--answers", wrong, "--output", str(tmp_path / "b")) == 0
    capsys.readouterr()
    assert evaluate("--compare", str(tmp_path / "a"), "--compare", str(tmp_path / "b")) == 0
    said = capsys.readouterr().out
    assert "-100.0%" in said and "only the first solves 6, only the second 0" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "either --benchmark with --data, or --tests"),
        (["--benchmark", "humaneval", "--data", "ITEMS"], "not known; there are human_eval"),
        (["--benchmark", "human_eval"], "needs --data"),
        (
            ["--benchmark", "mbpp", "--data", "ITEMS", "--reference"],
            "testing_code, entry_fn_name; or task_id, text",
        ),
        (["--benchmark", "human_eval", "--data", "nowhere.jsonl"], "no such file"),
        (["--benchmark", "human_eval", "--data", "ITEMS"], "no column answer"),
        (["--tests", "ITEMS", "--reference"], "remove --data and --reference"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    items: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    given = [items if word == "ITEMS" else word for word in words]
    assert evaluate(*given, "--output", str(tmp_path / "out")) == cli.USER_ERROR
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"task_id": "Own/2"}\n', "needs the columns task_id"),
        ('{"task_id": "Own/2", "answer": "x"}\nnonsense\n', "line 2: not JSON"),
        ("[1]\n", "an object is needed, got list"),
        ('{"task_id": "Owm/2", "answer": "x"}\n', "belong to no problem: Owm/2"),
    ],
)
def test_answers_that_can_not_be_right_are_one_line(
    items: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "answers.jsonl").write_text(text)
    words = ["--benchmark", "human_eval", "--data", items, "--answers", str(tmp_path / "answers.jsonl")]
    assert evaluate(*words, "--output", str(tmp_path / "out")) == cli.USER_ERROR
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_problems_without_an_answer_are_told(items: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    answers = lines(tmp_path / "a.jsonl", [{"task_id": f"Own/{n}", "answer": f"    return {n} * x\n"} for n in (2, 3)])
    assert evaluate("--benchmark", "human_eval", "--data", items, "--answers", answers, "--output", str(output)) == 0
    assert scores_of(output)["problems_not_answered"] == 4
    said = capsys.readouterr().out
    assert "4 problems without an answer not counted; as failures they make pass@1 33.3%" in said


def test_an_answer_that_is_null_is_not_answered(tmp_path: Path) -> None:
    asked = {"language": "python", "prompt": "x = ", "test": "assert x == 5\n"}
    tests = [{**asked, "task_id": "a", "answer": "5\n"}, {**asked, "task_id": "b", "answer": None}]
    output = tmp_path / "out"
    assert evaluate("--tests", lines(tmp_path / "t.jsonl", tests), "--output", str(output)) == 0
    assert [row["passed"] for row in rows_of(output)] == [True]
    assert scores_of(output)["problems_not_answered"] == 1


def test_answers_beyond_the_limit_are_left_out(items: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    given = lines(
        tmp_path / "a.jsonl", [{"task_id": f"Own/{n}", "answer": f"    return {n} * x\n"} for n in range(2, 8)]
    )
    words = ["--benchmark", "human_eval", "--data", items, "--answers", given, "--limit", "2"]
    assert evaluate(*words, "--output", str(output)) == 0
    assert [row["task_id"] for row in rows_of(output)] == ["Own/2", "Own/3"]
    assert "4 ids left out, whose problems aren't asked here: Own/4, Own/5, Own/6, ..." in capsys.readouterr().err


def test_answers_to_what_is_not_scored_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"text": "", "testing_code": "assert f(1) == 1", "entry_fn_name": "f"}
    data = lines(tmp_path / "d.jsonl", [{**row, "id": n} for n in ("9", "12")])
    answers = lines(tmp_path / "a.jsonl", [{"id": "MBPP/9", "answer": "f = int"}, {"id": 12, "answer": "f = int"}])
    output = tmp_path / "out"
    assert evaluate("--benchmark", "mbpp", "--data", data, "--answers", answers, "--output", str(output)) == 0
    assert [row["task_id"] for row in rows_of(output)] == ["MBPP/12"]
    assert "1 id left out" in capsys.readouterr().err


def test_a_test_without_tests_counts_neither_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"task_id": "a", "language": "python", "prompt": "def f():\n", "answer": "    pass\n", "test": "x = 1\n"}
    output = tmp_path / "out"
    assert evaluate("--tests", lines(tmp_path / "t.jsonl", [asked]), "--output", str(output)) == 0
    assert rows_of(output)[0]["passed"] is None
    assert "1 answers could not be run here" in capsys.readouterr().out


OWN = {"task_id": "a", "language": "python", "prompt": "x = ", "test": "assert x == 5\n", "answer": "5"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps({**OWN, "answer": 5}), "the answer must be text, is int"),
        (json.dumps({**OWN, "test": 5}), "row 1: it is no problem of tests (TypeError: test must be text, is int)"),
        (json.dumps({**OWN, "test": None}), "no_test"),
        (json.dumps(OWN) + '\n{"task_id": "b"}', "row 2: it is no problem of tests (KeyError: 'language')"),
        (json.dumps(OWN).replace('"5"', '"\\ud800"'), "line 1: half of a surrogate pair"),
    ],
)
def test_rows_that_are_no_problems_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "t.jsonl").write_text(text + "\n")
    assert evaluate("--tests", str(tmp_path / "t.jsonl"), "--output", str(tmp_path / "out")) == cli.USER_ERROR
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_null_in_a_benchmarks_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = lines(tmp_path / "d.jsonl", [checked(2), {**checked(3), "test": None}])
    words = ["--benchmark", "human_eval", "--data", data, "--reference"]
    assert evaluate(*words, "--output", str(tmp_path / "out")) == cli.USER_ERROR
    assert "row 2: it is no problem of human_eval (TypeError: test must be text" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"not gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03abc"])
def test_a_damaged_archive_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes) -> None:
    (tmp_path / "t.jsonl.gz").write_bytes(data)
    assert evaluate("--tests", str(tmp_path / "t.jsonl.gz"), "--output", str(tmp_path / "out")) == cli.USER_ERROR
    error = capsys.readouterr().err
    assert "can't be unpacked" in error and error.count("\n") == 1


def test_a_span_that_is_empty_has_a_solution(tmp_path: Path) -> None:
    row = {**checked(2), "prompt": "def times2(x):\n    return 2 * x", "canonical_solution": "", "suffix": "\n"}
    output, data = tmp_path / "out", lines(tmp_path / "d.jsonl", [row])
    words = ["--benchmark", "human_eval_infilling_random_span", "--data", data, "--reference"]
    assert evaluate(*words, "--output", str(output)) == 0
    assert [row["passed"] for row in rows_of(output)] == [True]
    assert scores_of(output)["problems_not_answered"] == 0


def test_a_dry_run_leaves_out_problems_without_an_answer(
    items: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = lines(tmp_path / "a.jsonl", [{"task_id": "Own/2", "answer": "    return 2 * x\n"}])
    words = ["--benchmark", "human_eval", "--data", items, "--answers", answers, "--dry_run"]
    assert evaluate(*words, "--output", str(tmp_path / "out")) == 0
    assert "rows     1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--dry_run"], 0, "rows     6"),
        (["--limit", "0"], cli.USER_ERROR, "--limit"),
        (["--sandbox", "box"], cli.USER_ERROR, "--sandbox"),
        (["--languages", "Rust"], cli.USER_ERROR, "no problem"),
        (["--published", "nobody"], cli.USER_ERROR, "--published nobody is not known"),
    ],
)
def test_a_training_corpus_is_not_read_before_the_rest_is_known_to_run(
    items: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    said: str,
) -> None:
    def never(*given: object) -> None:
        raise AssertionError("the corpus was read")

    monkeypatch.setattr("jobs.evaluation.trained.trained_problems", never)
    given = ["--benchmark", "human_eval", "--data", items, "--reference", "--trained_on", "corpus"]
    assert evaluate(*given, *words, "--output", str(tmp_path / "out")) == code
    told = capsys.readouterr()
    assert said in told.out + told.err


def test_a_training_corpus_that_can_not_be_read_is_told_before_anything_is_written(
    items: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--benchmark", "human_eval", "--data", items, "--reference", "--trained_on", str(tmp_path / "nowhere")]
    assert evaluate(*given, "--output", str(tmp_path / "out")) == cli.USER_ERROR
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
