"""Questions of every benchmark: of small ones of our own against a golden, and of the published data where it is."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.evaluation.asking import Questions, asked_rows
from jobs.evaluation.prepare import Sources
from jobs.evaluation.trained import trained_problems
from model.errors import ConfigError
from transforms.evaluation.asker import Asker
from transforms.evaluation.benchmarks import BENCHMARKS
from transforms.evaluation.protocol import protocol_of
from transforms.evaluation.question import Question
from transforms.evaluation.texts.problem import TextProblem
from transforms.evaluation.work import problem_of
from transforms.rows.row import Row, SourceRef

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "evaluation"
SHARED = ROOT.parent / "shared" / "benchmarks"


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_questions", GOLDEN / "make_questions.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def asked(name: str, data: Path, *, shots: int = 0, shots_data: Path | None = None) -> Questions:
    benchmark = BENCHMARKS[name]
    assert benchmark.asking is not None
    return Questions(
        sources=Sources(benchmark=benchmark, data=str(data), answers=None, reference=False, limit=None),
        benchmark=benchmark,
        asking=benchmark.asking,
        protocol=protocol_of(benchmark.asking.protocol),
        shots=shots,
        shots_data=None if shots_data is None else str(shots_data),
        samples=1,
    )


def test_every_benchmark_is_in_the_golden(golden: ModuleType) -> None:
    assert set(golden.DATA) == {*BENCHMARKS, "tests"}


def test_models_are_asked_as_the_golden_says(golden: ModuleType) -> None:
    """Another prompt, or another end, needs another version of the protocol, and a new golden."""
    assert golden.all_questions() == json.loads((GOLDEN / "questions.json").read_text(encoding="utf-8"))


def test_too_few_examples_are_told() -> None:
    with pytest.raises(ConfigError, match="has 2 examples"):
        asked_rows(asked("gsm8k", GOLDEN / "gsm8k.jsonl", shots=5, shots_data=GOLDEN / "gsm8k.jsonl"))


def changed(tmp_path: Path, name: str, number: int, **values: Any) -> Path:
    """A golden's rows with values of one of them changed."""
    rows = [json.loads(line) for line in (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    rows[number].update(values)
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


BAD_CELLS: list[tuple[str, dict[str, Any], str]] = [
    ("mbpp", {"text": None}, "problem of mbpp"),  # id 11, the prompt
    ("babelcode_mbpp", {"signature_with_docstring": None}, "problem of babelcode_mbpp"),
    ("babelcode_mbpp", {"signature_with_docstring": 5}, "problem of babelcode_mbpp"),
    ("gsm8k", {"question": 5}, "problem of gsm8k"),
    ("trivia_qa", {"question": None}, "problem of trivia_qa"),
    ("trivia_qa", {"answer": {"value": 5}}, "problem of trivia_qa"),
    ("human_eval", {"prompt": None}, "problem of human_eval"),
    ("human_eval_infilling_multi_line", {"suffix": None}, "problem of human_eval_infilling_multi_line"),
]


@pytest.mark.parametrize(("name", "values", "what"), BAD_CELLS)
def test_a_value_that_makes_no_question_is_one_line(
    tmp_path: Path, name: str, values: dict[str, Any], what: str
) -> None:
    number = 3 if name == "mbpp" else 1
    path = changed(tmp_path, name, number, **values)
    with pytest.raises(ConfigError) as raised:
        asked_rows(asked(name, path))
    assert str(raised.value).startswith(f"--data {path}, row {number + 1}: it is no {what} (")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mbpp", {"id": None}),
        ("mbpp", {"text": None}),
        ("mbpp", {"solution": None}),
        ("gsm8k", {"answer": None}),
        ("trivia_qa", {"answer": None}),
        ("trivia_qa", {"answer": {"value": None}}),
    ],
)
def test_a_value_that_makes_no_example_is_one_line(tmp_path: Path, name: str, values: dict[str, Any]) -> None:
    path = changed(tmp_path, name, 1, **values)
    own = name == "mbpp"
    questions = asked(
        name, path if own else GOLDEN / f"{name}.jsonl", shots=3 if own else 2, shots_data=None if own else path
    )
    with pytest.raises(ConfigError) as raised:
        asked_rows(questions)
    flag = "--data" if own else "--shots_data"
    assert str(raised.value).startswith(f"{flag} {path}, row 2: it is no example of {name} (")


def test_examples_of_another_layout_are_one_line() -> None:
    with pytest.raises(ConfigError, match="mbpp needs the columns"):
        asked_rows(asked("mbpp", GOLDEN / "gsm8k.jsonl", shots=3))


def test_rows_are_numbered_as_they_were_read(tmp_path: Path) -> None:
    # The first three of its rows aren't scored.
    with pytest.raises(ConfigError, match="row 5: it is no problem of mbpp"):
        asked_rows(asked("mbpp", changed(tmp_path, "mbpp", 4, testing_code=5)))


def test_only_the_first_row_is_held_to_the_layout(tmp_path: Path) -> None:
    path = changed(tmp_path, "mbpp", 1)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    del rows[1]["entry_fn_name"]  # of a row that isn't scored
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert len(asked_rows(asked("mbpp", path))) == 2


def test_a_search_for_a_problem_without_its_text_is_one_line(tmp_path: Path) -> None:
    path = changed(tmp_path, "mbpp", 3, text=None)
    with pytest.raises(ConfigError, match="row 4: it is no problem of mbpp"):
        trained_problems(asked("mbpp", path).sources, ["nowhere.parquet"], None)


@pytest.mark.parametrize("name", ["gsm8k", "math"])
def test_equal_questions_are_two_problems(tmp_path: Path, name: str) -> None:
    text = (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8")
    path = tmp_path / "data.jsonl"
    path.write_text(text + text.splitlines()[0] + "\n", encoding="utf-8")
    alone = [row["task_id"] for row in asked_rows(asked(name, GOLDEN / f"{name}.jsonl"))]
    rows = asked_rows(asked(name, path))
    assert [row["task_id"] for row in rows] == [f"{alone[0]}/0", alone[1], f"{alone[0]}/2"]
    assert [TextProblem.of(row["problem"]).problem_id for row in rows] == [row["task_id"] for row in rows]


PUBLISHED = [
    ("human_eval", "human_eval", 164, 0),
    ("human_eval_infilling_single_line", "human_eval_infilling_single_line", 1_033, 0),
    ("human_eval_infilling_multi_line", "human_eval_infilling_multi_line", 5_815, 0),
    ("human_eval_infilling_random_span", "human_eval_infilling_random_span", 1_640, 0),
    ("mbpp", "mbpp", 500, 0),
    ("mbpp", "mbpp", 500, 3),
    ("babelcode_human_eval", "babelcode_human_eval", 1_288, 0),
    ("gsm8k", "gsm8k_main_test", 1_319, 8),
]


@pytest.mark.parametrize(("name", "file", "count", "shots"), PUBLISHED)
def test_the_published_data_are_asked_whole(name: str, file: str, count: int, shots: int) -> None:
    path = SHARED / f"{file}.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    train = SHARED / "gsm8k_main_train_first200.parquet" if name == "gsm8k" else None
    rows = asked_rows(asked(name, path, shots=shots, shots_data=train))
    assert len(rows) == count
    assert len({row["task_id"] for row in rows}) == count
    asker = Asker(tokenizer="embedded", max_prompt_tokens=4096, max_new_tokens=256)
    for row in rows[:: max(1, count // 50)]:
        source = Row(SourceRef(path.name, 0, 0), row["content"], "", "")
        assert len(asker.request(source, Question.of(row["question"])).request.prompt) > 5


@pytest.mark.parametrize("kind", ["single_line", "multi_line", "random_span"])
def test_prompt_original_and_suffix_are_the_program_that_is_run(kind: str) -> None:
    path = SHARED / f"human_eval_infilling_{kind}.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    name = f"human_eval_infilling_{kind}"
    for given, row in zip(pq.read_table(path).to_pylist(), asked_rows(asked(name, path)), strict=True):
        question, problem = Question.of(row["question"]), problem_of(row["problem"])
        middle = given["canonical_solution"]
        assert row["content"] + middle + question.suffix == problem.code(middle)
        assert not question.is_line or (middle.endswith("\n") and middle.count("\n") == 1)


def test_a_conversation_is_looked_for_in_a_corpus_by_the_texts_of_its_turns(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(40)]
    turns = [
        {"role": "user", "content": f"Say {' '.join(words[:20])}\n{' '.join(words[20:])}"},
        {"role": "model", "content": "```python\nx = 1\n```"},
        {"role": "user", "content": "Correct it."},
    ]
    row = {"task_id": "a", "language": "python", "messages": turns}
    data = tmp_path / "talks.jsonl"
    data.write_text(json.dumps(row) + "\n" + json.dumps({**row, "task_id": "b", "messages": turns[2:]}) + "\n")
    corpus = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"content": [" ".join(words)]}), corpus)
    sources = Sources(benchmark=None, data=str(data), answers=None, reference=False, limit=None)
    assert trained_problems(sources, [str(corpus)], None) == {"a"}
