"""`codemill evaluate` for benchmarks with choices, with the embedded model, over questions of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import model
from jobs import cli
from jobs.evaluation.choices import Choices, choice_rows
from model.engine import Engine, EngineOptions
from model.engine.requests import ScoreRequest
from model.errors import ConfigError
from model.tokenizer import Tokenizer
from transforms.evaluation.language import CHOICE_BENCHMARKS
from transforms.evaluation.language.questions import Choice
from transforms.evaluation.language.tokens import encode_choice


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    cache = str(tmp_path_factory.mktemp("programs"))
    lengths = ["--max_prompt_tokens", "192", "--max_new_tokens", "16"]
    return ["evaluate", "--model", "embedded", *lengths, "--progress", "none", "--compile_cache", cache]


def table(path: Path, rows: list[dict[str, Any]]) -> str:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def asked(number: int) -> dict[str, Any]:
    """A question in ARC's layout."""
    choices = {"text": ["a return statement", "42", f"x = {number}"], "label": ["A", "B", "C"]}
    return {"id": f"own-{number}", "question": f"What is {number}?", "choices": choices, "answerKey": "ABC"[number % 3]}


def multiple(number: int, subject: str) -> dict[str, Any]:
    """A question in MMLU's layout."""
    return {
        "question": f"{number} + 1?",
        "subject": subject,
        "choices": [str(number + n) for n in range(4)],
        "answer": 1,
    }


def rows_of(output: Path) -> list[dict[str, Any]]:
    return pq.read_table(output / "data").to_pylist()


def test_the_likeliest_choice_is_the_answer_with_its_evidence(words, tmp_path, capsys):
    data = table(tmp_path / "arc.parquet", [asked(number) for number in range(12)])
    run = [*words, "--benchmark", "arc_challenge", "--data", data, "--output", str(tmp_path / "out")]
    assert cli.main([*run, "--published", "gemma-2b"]) == 0
    rows = rows_of(tmp_path / "out")
    assert [row["task_id"] for row in rows] == [f"own-{number}" for number in range(12)]
    for number, row in enumerate(rows):
        logprobs = [choice["logprob"] for choice in row["choices"]]
        texts = [choice["text"] for choice in row["choices"]]
        per_byte = [logprob / len(text) for logprob, text in zip(logprobs, texts, strict=True)]
        assert texts == asked(number)["choices"]["text"] and row["gold"] == number % 3
        assert row["answer"] == texts[int(np.argmax(logprobs))]
        assert row["passed"] == (int(np.argmax(logprobs)) == row["gold"])
        assert [(one["metric"], one["correct"]) for one in row["measured"]] == [
            ("acc", row["passed"]),
            ("acc_norm", int(np.argmax(per_byte)) == row["gold"]),
        ]
    (score,) = json.loads((tmp_path / "out" / "scores.json").read_text())["scores"]
    assert score["pass_at"]["1"]["value"] == pytest.approx(np.mean([row["passed"] for row in rows]))
    assert score["metrics"].keys() == {"acc", "acc_norm"} and score["published"]["share"] == pytest.approx(0.421)
    assert "acc_norm: mean" in capsys.readouterr().out
    assert cli.main(run) == 0
    assert rows_of(tmp_path / "out") == rows


def test_log_likelihoods_are_those_of_the_engine(words, tmp_path):
    data = table(tmp_path / "arc.parquet", [asked(1)])
    assert cli.main([*words, "--benchmark", "arc_challenge", "--data", data, "--output", str(tmp_path / "out")]) == 0
    (row,) = rows_of(tmp_path / "out")
    tokenizer = Tokenizer.load("embedded")
    options = EngineOptions(slots=2, prompt_buckets=(64, 192), max_new_tokens=16)
    with Engine(model.load("embedded"), options=options) as engine:
        for choice in row["choices"]:
            prompt, continuation = encode_choice(tokenizer, Choice(row["prompt"], f" {choice['text']}"))
            (future,) = engine.score([ScoreRequest(prompt=prompt, continuations=(continuation,))])
            assert choice["logprob"] == pytest.approx(float(np.sum(future.result()[0])), abs=1e-3)
            assert choice["tokens"] == len(continuation)


def test_examples_come_from_the_dev_split_of_the_same_subject(words, tmp_path, capsys):
    data = table(tmp_path / "test.parquet", [multiple(n, subject) for n in range(3) for subject in ("sums", "logs")])
    dev = table(tmp_path / "dev.parquet", [multiple(n, subject) for subject in ("logs", "sums") for n in range(10, 16)])
    run = [*words[:3], "--max_prompt_tokens", "640", *words[5:], "--benchmark", "mmlu", "--data", data]
    output = tmp_path / "out"
    assert cli.main([*run, "--output", str(output)]) == 2
    told = "mmlu has 5 examples before each question: give --shots_data, the data's dev split"
    assert told in capsys.readouterr().err
    assert cli.main([*run, "--shots_data", dev, "--output", str(output)]) == 0
    rows = rows_of(output)
    assert len(rows) == 6 and len({row["task_id"] for row in rows}) == 6
    for row, subject in zip(rows, ["sums", "logs"] * 3, strict=True):
        assert f"about {subject}." in row["prompt"] and row["prompt"].count("Answer: B") == 5
        assert row["prompt"].endswith("\nAnswer:")


@pytest.mark.parametrize("same", [False, True])
def test_any_benchmark_can_be_asked_with_examples_none_of_which_is_asked(same, tmp_path):
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(asked(number)) + "\n" for number in range(5)))
    examples = tmp_path / "shots.jsonl"
    examples.write_text("".join(json.dumps(asked(number)) + "\n" for number in (7, 8)))
    data = str(tmp_path / "data.jsonl")
    benchmark = CHOICE_BENCHMARKS["arc_challenge"].with_shots(2)
    found = choice_rows(Choices(benchmark=benchmark, data=data, shots_data=data if same else str(examples), limit=3))
    first = asked(3 if same else 7)
    gold = first["choices"]["text"]["ABC".index(first["answerKey"])]
    for number, row in enumerate(found):
        assert row["content"].startswith(f"Question: {first['question']}\nAnswer: {gold}\n\nQuestion: ")
        assert row["content"].endswith(f"\n\nQuestion: What is {number}?\nAnswer:") and row["content"].count("Q") == 3
    assert benchmark.version == "1/shots-2" and benchmark.with_shots(2) is benchmark


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--samples", "2", "--temperature", "1"], "--samples means nothing to arc_challenge"),
        (["--trained_on", "nowhere"], "--trained_on means nothing to arc_challenge"),
        (["--published", "nobody"], "--published nobody is not known"),
        (["--reference"], "--reference means nothing to arc_challenge"),
        (["--fim_format", "spm"], "--fim_format means nothing to arc_challenge"),
        (["--shots", "3"], "arc_challenge has 3 examples before each question: give --shots_data, the data's train"),
        (["--shots_data", "{data}"], "arc_challenge is asked without examples; give their number by --shots, or"),
        (["--shots", "1", "--shots_data", "{data}"], "arc_challenge needs 1 rows of its train split as examples"),
        (["--model", ""], "arc_challenge needs --model"),
    ],
)
def test_what_does_not_suit_choices_is_refused(words, tmp_path, capsys, more, line):
    data = table(tmp_path / "arc.parquet", [asked(1)])
    run = [*words, "--benchmark", "arc_challenge", "--data", data, "--output", str(tmp_path / "out")]
    assert cli.main([*run, *(word.format(data=data) for word in more)]) == 2
    assert line in capsys.readouterr().err


def test_other_columns_and_rows_that_are_no_questions_are_named(words, tmp_path, capsys):
    run = [*words, "--benchmark", "arc_challenge", "--output", str(tmp_path / "out"), "--data"]
    assert cli.main([*run, table(tmp_path / "a.parquet", [{"question": "?"}])]) == 2
    told = "arc_challenge needs the columns question, choices, answerKey; the file has question"
    assert told in capsys.readouterr().err
    assert cli.main([*run, table(tmp_path / "b.parquet", [asked(1), {**asked(2), "answerKey": "D"}])]) == 2
    assert "row 2: it is no question of arc_challenge (no_gold: " in capsys.readouterr().err


def choices_of(tmp_path: Path, name: str, rows: list[dict[str, Any]], shots: list[dict[str, Any]] | None) -> Choices:
    for file, written in (("data", rows), ("shots", shots or [])):
        (tmp_path / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")
    return Choices(
        benchmark=CHOICE_BENCHMARKS[name],
        data=str(tmp_path / "data.jsonl"),
        shots_data=None if shots is None else str(tmp_path / "shots.jsonl"),
        limit=None,
    )


SUBJECT = [multiple(number, "sums") for number in range(10, 15)]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"choices": None}, "missing_value: column choices is null"),
        ({"choices": ["a"]}, "wrong_number_of_choices"),
        ({"choices": [1, 2, 3, 4]}, "TypeError"),
        ({"question": 5}, "AttributeError"),
    ],
)
def test_a_row_that_is_no_example_is_named(tmp_path, bad, said):
    shots = [SUBJECT[0], {**SUBJECT[1], **bad}, *SUBJECT[2:]]
    with pytest.raises(ConfigError, match=r"--shots_data .*, row 2: it is no example of mmlu") as raised:
        choice_rows(choices_of(tmp_path, "mmlu", [multiple(1, "sums")], shots))
    assert said in str(raised.value)


def test_a_row_without_the_column_that_its_examples_go_by_is_named(tmp_path):
    rows = [multiple(1, "sums"), {name: value for name, value in multiple(2, "").items() if name != "subject"}]
    with pytest.raises(ConfigError, match=r"--data .*, row 2: it is no question of mmlu \(KeyError: 'subject'\)"):
        choice_rows(choices_of(tmp_path, "mmlu", rows, SUBJECT))


ENDINGS = {"activity_label": "Own", "ctx_a": "A", "ctx_b": "b", "endings": ["c", "d"], "label": "0"}


@pytest.mark.parametrize(
    ("name", "row", "bad", "reason"),
    [
        ("hellaswag", ENDINGS, {"endings": ["one"]}, "wrong_number_of_choices"),
        ("hellaswag", ENDINGS, {"endings": "two"}, "TypeError"),
        ("arc_challenge", asked(0), {"choices": {"text": ["a"], "label": ["A"]}}, "wrong_number_of_choices"),
        (
            "arc_challenge",
            asked(0),
            {"choices": {"text": ["a", "b"], "label": ["B", "C", "A"]}},
            "wrong_number_of_choices",
        ),
    ],
)
def test_a_row_with_another_number_of_choices_is_named(tmp_path, name, row, bad, reason):
    with pytest.raises(ConfigError, match=rf"row 2: it is no question of {name} \({reason}: "):
        choice_rows(choices_of(tmp_path, name, [row, {**row, **bad}], None))


def test_a_question_that_is_too_long_is_rejected_and_the_others_are_not(words, tmp_path, capsys):
    long = {**asked(1), "question": "What is this? " * 400}
    data = table(tmp_path / "arc.parquet", [asked(0), long, asked(2)])
    run = [*words, "--benchmark", "arc_challenge", "--data", data, "--output", str(tmp_path / "out")]
    assert cli.main(run) == 0
    assert [row["task_id"] for row in rows_of(tmp_path / "out")] == ["own-0", "own-2"]
    assert "1 answer missing" in capsys.readouterr().out
