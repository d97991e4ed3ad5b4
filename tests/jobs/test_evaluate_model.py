"""`codemill evaluate --model` with the embedded model, over small problems of our own in the hub's layouts."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from model.errors import ConfigError
from model.storage import SHIPPED
from tests.jobs.execution.test_vocabulary import FIM_NAMES, vocabulary
from transforms.evaluation.texts import formulas
from transforms.sandbox.sandbox import Sandbox

# Each compiles what its engine runs, which takes minutes where all cores are busy.
pytestmark = pytest.mark.timeout(900)
SMALL = ["--model", "embedded", "--max_prompt_tokens", "192", "--max_new_tokens", "16", "--progress", "none"]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is compiled for one test serves the others."""
    return str(tmp_path_factory.mktemp("programs"))


@pytest.fixture(autouse=True)
def boxes(programs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SMALL", [*SMALL, "--compile_cache", programs])
    try:
        with Sandbox(slots=1):
            pass
    except ConfigError as error:
        pytest.skip(f"programs can't be boxed here: {error}")


def table(path: Path, rows: list[dict[str, Any]]) -> str:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def checked(number: int) -> dict[str, Any]:
    """An item in HumanEval's layout."""
    return {
        "task_id": f"Own/{number}",
        "prompt": f"def times{number}(x):\n    ",
        "entry_point": f"times{number}",
        "canonical_solution": f"    return {number} * x\n",
        "test": f"def check(candidate):\n    assert candidate(7) == {7 * number}\n",
    }


def filled(number: int) -> dict[str, Any]:
    """An item in the layout of HumanEval's infilling: the line left out is a line that anything may replace."""
    prompt = f"def times{number}(x):\n    product = {number} * x\n"
    return {**checked(number), "prompt": prompt, "suffix": "    return product\n", "canonical_solution": "    # line\n"}


def evaluate(*words: str) -> int:
    return cli.main(["evaluate", *SMALL, *words])


def rows_of(output: Path) -> list[dict[str, Any]]:
    return pq.read_table(output / "data").to_pylist()


def told(output: Path) -> list[tuple[Any, ...]]:
    """What two runs of the same job must have in common: all but times."""
    names = ("task_id", "sample", "prompt", "answer", "generated", "ended_by", "passed")
    return [(*(row[name] for name in names), row["executed"]["reason"]) for row in rows_of(output)]


def test_a_model_is_asked_and_its_answers_are_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path / "items.parquet", [filled(number) for number in range(2, 6)])
    output = tmp_path / "out"
    words = ["--benchmark", "human_eval_infilling_single_line", "--data", data, "--output", str(output)]
    assert evaluate(*words) == 0
    rows = rows_of(output)
    assert [row["task_id"] for row in rows] == [f"Own/{number}" for number in range(2, 6)]
    for row in rows:
        lineage = row["lineage"]
        assert row["answer"].count("\n") == 1
        assert (lineage["model"], lineage["prompt_format"], lineage["protocol_version"]) == (
            "embedded",
            "psm",
            "1/shots-0",
        )
        assert lineage["completion_tokens"] > 0 and lineage["finish_reason"] in ("stop", "length")
        assert row["passed"] == (row["executed"]["reason"] == "passed")
    said = capsys.readouterr().out
    assert "human_eval_infilling_single_line, Python: pass@1" in said
    summary = json.loads((output / "summary.json").read_text())
    assert summary["counts"]["tokens_out"] > 0 and summary["checkpoint_sha256"]
    assert "`embedded`" in (output / "README.md").read_text()


def test_a_model_without_infilling_tokens_fills_in_without_seeing_the_suffix(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(SHIPPED["embedded"] / name, plain)
    (plain / "tokenizer.model").write_bytes(vocabulary(rename=FIM_NAMES))
    data = table(tmp_path / "items.parquet", [filled(number) for number in range(2, 4)])
    words = ["--benchmark", "human_eval_infilling_multi_line", "--data", data, "--output", str(tmp_path / "out")]
    assert evaluate(*words, "--model", str(plain)) == 0
    for row in rows_of(tmp_path / "out"):
        assert row["lineage"]["prompt_format"] == "prefix"
        assert row["suffix"] not in row["answer"]


def test_samples_of_a_problem_are_rows_with_seeds_of_their_own(tmp_path: Path) -> None:
    data = table(tmp_path / "items.parquet", [checked(number) for number in range(2, 4)])
    output = tmp_path / "out"
    words = ["--benchmark", "human_eval", "--data", data, "--output", str(output)]
    assert evaluate(*words, "--samples", "3", "--temperature", "1") == 0
    rows = rows_of(output)
    assert [row["sample"] for row in rows] == [0, 1, 2] * 2
    assert len({row["lineage"]["seed"] for row in rows}) == 6
    assert len({row["generated"] for row in rows}) > 2
    (scores,) = json.loads((output / "scores.json").read_text())["scores"]
    assert set(scores["pass_at"]) == {"1", "3"}


def kill_after_two_commits(words: list[str], output: Path) -> None:
    """Starts an evaluation and kills it once two units are committed."""
    command = [sys.executable, "-m", "jobs", "evaluate", *SMALL, *words]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 240
    while process.poll() is None and len(list((output / "_job" / "commits").glob("[0-9]*.json"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_evaluation_goes_on_to_the_same_rows(tmp_path: Path) -> None:
    data = table(tmp_path / "items.parquet", [filled(number) for number in range(2, 14)])
    words = [
        "--benchmark",
        "human_eval_infilling_multi_line",
        "--data",
        data,
        "--determinism",
        "exact",
        "--unit_rows",
        "2",
    ]
    words += ["--max_units_in_flight", "1"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    commits = killed / "_job" / "commits"
    kill_after_two_commits([*words, "--output", str(killed)], killed)
    before = {path.name: path.read_bytes() for path in commits.glob("[0-9]*.json")}
    assert 0 < len(before) < 6 and not (killed / "COMPLETED").exists()
    assert evaluate(*words, "--output", str(killed)) == 0
    assert before.items() <= {path.name: path.read_bytes() for path in commits.glob("[0-9]*.json")}.items()
    assert evaluate(*words, "--output", str(whole)) == 0
    assert told(killed) == told(whole)
    assert (killed / "scores.json").read_bytes() == (whole / "scores.json").read_bytes()


def own(number: int) -> dict[str, Any]:
    """A problem of one's own."""
    return {
        "task_id": f"own/{number}",
        "language": "python",
        "prompt": f"def times{number}(x):\n    ",
        "test": f"assert times{number}(7) == {7 * number}\n",
    }


def test_problems_of_ones_own_are_asked_of_a_model_and_filled_in_where_they_have_a_suffix(tmp_path: Path) -> None:
    hole = {**own(3), "prompt": "def times3(x):\n    product = 3 * x\n", "suffix": "    return product\n"}
    answered = {**own(4), "answer": "return 4 * x\n"}
    data = table(
        tmp_path / "own.parquet", [{"suffix": None, "answer": None, **one} for one in (own(2), hole, answered)]
    )
    output = tmp_path / "out"
    assert evaluate("--tests", data, "--output", str(output)) == 0
    rows = rows_of(output)
    assert [row["lineage"]["prompt_format"] for row in rows] == ["plain", "psm", "plain"]
    assert [row["prompt"] for row in rows] == [own(2)["prompt"], hole["prompt"], own(4)["prompt"]]
    assert rows[1]["suffix"] == hole["suffix"] and rows[2]["answer"] != "return 4 * x\n"
    assert all(row["lineage"]["protocol_version"] == "1/shots-0" and row["benchmark"] == "tests" for row in rows)
    assert all(row["passed"] == (row["executed"]["reason"] == "passed") for row in rows)


def spoken(number: int, **more: Any) -> dict[str, Any]:
    """A conversation of two turns of the user's; without a test it asks for a correction."""
    faulty = f"def times{number}(x)\n    return {number} * x\n"
    turns = [
        {"role": "user", "content": f"Multiply by {number}."},
        {"role": "assistant", "content": f"```python\n{faulty}```"},
        {"role": "user", "content": "Correct the code."},
    ]
    return {"task_id": f"talk/{number}", "language": "python", "messages": json.dumps(turns), "test": None, **more}


def test_a_killed_evaluation_of_conversations_goes_on_to_the_same_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = {"test": "assert times2(7) == 14\n"}
    data = table(tmp_path / "talks.parquet", [spoken(2, **tested), *(spoken(number) for number in range(3, 9))])
    words = ["--tests", data, "--prompt", "chat", "--determinism", "exact", "--unit_rows", "1"]
    words += ["--max_units_in_flight", "1"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    kill_after_two_commits([*words, "--output", str(killed)], killed)
    assert evaluate(*words, "--output", str(killed)) == 0
    assert evaluate(*words, "--output", str(whole)) == 0
    assert told(killed) == told(whole)
    assert (killed / "scores.json").read_bytes() == (whole / "scores.json").read_bytes()
    rows = rows_of(whole)
    assert [row["lineage"]["prompt_format"] for row in rows] == ["chat"] * 7
    assert {row["lineage"]["protocol_version"] for row in rows} == {"1/shots-0/chat"}
    assert all(row["executed"]["reason"] in ("does_not_compile", "wrong", "passed", "exception") for row in rows)
    assert [json.loads(row["prompt"])[-1]["content"] for row in rows] == ["Correct the code."] * 7
    assert "tests, Python: pass@1" in capsys.readouterr().out


def test_a_base_model_is_asked_for_no_conversation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path / "talks.parquet", [spoken(2)])
    assert evaluate("--tests", data, "--output", str(tmp_path / "out")) == cli.USER_ERROR
    error = capsys.readouterr().err
    assert "row 1: conversations need an instruction-tuned model" in error and "--prompt chat" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_an_instruction_tuned_model_is_asked_in_turns_and_the_form_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = table(tmp_path / "items.parquet", [checked(2)])
    words = ["--benchmark", "human_eval", "--data", data]
    monkeypatch.setattr("jobs.execution.generation.wants_chat", lambda model: True)
    assert evaluate(*words, "--output", str(tmp_path / "chat")) == 0
    assert evaluate(*words, "--output", str(tmp_path / "base"), "--prompt", "base") == 0
    (chat,), (base,) = rows_of(tmp_path / "chat"), rows_of(tmp_path / "base")
    assert chat["prompt"].startswith("Complete the following Python function")
    assert chat["prompt"].endswith("```python\ndef times2(x):\n```")
    assert (chat["lineage"]["prompt_format"], chat["lineage"]["protocol_version"]) == ("chat", "1/shots-0/chat")
    assert (base["prompt"], base["lineage"]["prompt_format"]) == (checked(2)["prompt"], "plain")
    said = capsys.readouterr().err
    for name, version in (("chat", "1/shots-0/chat"), ("base", "1/shots-0")):
        assert f"the model is asked in {name} form, protocol {version}\n" in said
        assert json.loads((tmp_path / name / "_job" / "job.json").read_text())["options"]["prompt"] == name
        assert f"| `--prompt` | {name} |" in (tmp_path / name / "README.md").read_text()


def test_standard_output_is_the_summary_alone_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = table(tmp_path / "items.parquet", [checked(2)])
    words = ["--benchmark", "human_eval", "--data", data, "--summary", "-"]
    assert evaluate(*words, "--output", str(tmp_path / "out")) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["job"] == "evaluate"
    assert "the model is asked in base form" in told.err


def test_a_prompt_that_does_not_fit_is_rejected_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = {**checked(9), "prompt": "# words and words\n" * 200 + checked(9)["prompt"]}
    data = table(tmp_path / "items.parquet", [checked(2), long])
    output = tmp_path / "out"
    assert evaluate("--benchmark", "human_eval", "--data", data, "--output", str(output)) == 0
    (rejected,) = pq.read_table(output / "rejected").to_pylist()
    assert (rejected["stage"], rejected["reason"]) == ("targets", "prompt_too_long")
    assert len(rows_of(output)) == 1
    assert "1 answer missing (prompt_too_long)" in capsys.readouterr().out


def test_babelcode_is_asked_in_the_languages_that_are_named(tmp_path: Path) -> None:
    def item(language: str, signature: str, program: str) -> dict[str, Any]:
        return {
            "qid": "1",
            "language": language,
            "signature_with_docstring": signature,
            "test_code": program,
            "test_case_ids": ["0"],
            "entry_fn_name": "one",
            "entry_cls_name": "Solution",
        }

    python = item("Python", "def one():\n    return 1\n", "PLACEHOLDER_CODE_BODY\nprint('TEST-0...PASSED')\n")
    javascript = item("Javascript", "function one() {", "PLACEHOLDER_CODE_BODY\nconsole.log('TEST-0...PASSED')\n")
    rust = item("Rust", "fn one() {", "PLACEHOLDER_CODE_BODY\nfn main() {}\n")
    data = table(tmp_path / "items.parquet", [python, javascript, rust])
    output = tmp_path / "out"
    words = ["--benchmark", "babelcode_human_eval", "--data", data, "--output", str(output), "--languages", "py,js"]
    assert evaluate(*words) == 0
    assert [(row["task_id"], row["language"]) for row in rows_of(output)] == [
        ("1/Python", "Python"),
        ("1/JavaScript", "JavaScript"),
    ]
    assert all(row["answer"].startswith(row["prompt"]) for row in rows_of(output))


def task(number: int) -> dict[str, Any]:
    """An item in MBPP's layout."""
    return {
        "id": str(number),
        "text": f"Multiply by {number}.",
        "testing_code": f"assert times(1) == {number}\nassert times(2) == {2 * number}",
        "solution": f"def times(x):\r\n    return {number} * x",
        "entry_fn_name": "times",
    }


def test_mbpp_shows_its_own_tasks_as_examples(tmp_path: Path) -> None:
    data = table(tmp_path / "items.parquet", [task(number) for number in (2, 3, 4, 11, 511)])
    output = tmp_path / "out"
    words = ["--benchmark", "mbpp", "--data", data, "--output", str(output), "--shots", "3"]
    words += ["--max_prompt_tokens", "512"]
    assert evaluate(*words) == 0
    (row,) = rows_of(output)
    assert row["task_id"] == "MBPP/11" and row["lineage"]["protocol_version"] == "1/shots-3"
    assert row["prompt"].count("[BEGIN]") == 4 and row["prompt"].count("[DONE]") == 3
    assert row["prompt"].endswith("Multiply by 11.\nassert times(1) == 11\nassert times(2) == 22\n[BEGIN]\n")
    assert "\r" not in row["prompt"]


def test_mbpp_without_examples_is_asked_by_a_docstring(tmp_path: Path) -> None:
    data = table(tmp_path / "items.parquet", [task(11)])
    assert evaluate("--benchmark", "mbpp", "--data", data, "--output", str(tmp_path / "out")) == 0
    (row,) = rows_of(tmp_path / "out")
    assert row["prompt"] == '"""\nMultiply by 11.\nassert times(1) == 11\n"""\n'


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path / "items.parquet", [checked(number) for number in range(2, 5)])
    words = ["--benchmark", "human_eval", "--data", data, "--output", str(tmp_path / "out"), "--dry_run"]
    assert evaluate(*words) == 0
    assert "rows     3" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--reference"], "give one of them"),
        (["--model", "", "--reference", "--prompt", "chat"], "--prompt says how a model is asked"),
        (["--shots", "3"], "human_eval is asked without examples"),
        (["--model", "nowhere"], "nowhere"),
        (["--languages", "cobol"], "the sandbox runs no cobol"),
        (["--languages", "rust"], "has no problem there in Rust"),
        (["--samples", "2"], "needs sampling"),
        (["--max_prompt_tokens", "2000"], "context length is 1024"),
        (["--protocol", "nowhere.toml"], "--protocol nowhere.toml can't be read"),
        (["--model", "", "--shots", "2"], "--shots says how a model is asked"),
        (["--model", "", "--reference", "--temperature", "1"], "--temperature says how a model is asked"),
        (["--model", "", "--reference", "--temperature", "1", "--samples", "2"], "--samples says how a model is asked"),
        (["--model", "", "--reference", "--fim_format", "spm"], "--fim_format says how a model is asked"),
        (["--shots_data", "DATA"], "--shots_data: with 0 shots no example is shown"),
    ],
)
def test_what_does_not_suit_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    data = table(tmp_path / "items.parquet", [checked(2)])
    given = ["--benchmark", "human_eval", "--data", data, "--output", str(tmp_path / "out")]
    words = [data if word == "DATA" else word for word in words]
    assert cli.main(["evaluate", *SMALL, *given, *words]) == cli.USER_ERROR
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_protocol_that_has_changed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path / "items.parquet", [checked(2)])
    own = tmp_path / "own.toml"
    text = 'version = "1"\nsource = "mine"\nform = "continue"\nanswer_tokens = 9\nprompt_tokens = 90\n'
    text += 'shots = 0\nstops = ["x"]\n'
    own.write_text(text)
    words = ["--benchmark", "human_eval", "--data", data, "--output", str(tmp_path / "out"), "--protocol", str(own)]
    assert evaluate(*words) == 0
    (row,) = rows_of(tmp_path / "out")
    assert row["lineage"]["protocol_version"].startswith("sha256-") and "x" not in row["answer"]
    own.write_text(text.replace('"x"', '"y"'))
    assert evaluate(*words) == cli.USER_ERROR
    assert "have changed since" in capsys.readouterr().err


def sum_of(number: int) -> dict[str, Any]:
    """An item in GSM8K's layout."""
    return {"question": f"What is {number} and {number}?", "answer": f"They are {2 * number}.\n#### {2 * number}"}


def test_mathematics_is_asked_with_examples_and_read_by_two_metrics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = table(tmp_path / "test.parquet", [sum_of(number) for number in range(10, 13)])
    train = table(tmp_path / "train.parquet", [sum_of(number) for number in range(1, 9)])
    output = tmp_path / "out"
    words = ["--benchmark", "gsm8k", "--data", data, "--shots_data", train, "--output", str(output)]
    assert evaluate(*words, "--max_prompt_tokens", "512", "--samples", "2", "--temperature", "1") == 0
    rows = rows_of(output)
    assert [row["sample"] for row in rows] == [0, 1] * 3
    for row in rows:
        assert row["prompt"].count("Question:") == 6 and row["prompt"].endswith("Answer:")
        assert "#### 10\n\nQuestion: What is 1" in row["prompt"]
        assert row["executed"] is None and row["lineage"]["sandbox"] == ""
        assert [one["metric"] for one in row["measured"]] == ["strict", "flexible"]
        assert row["passed"] == row["measured"][0]["correct"]
    (scores,) = json.loads((output / "scores.json").read_text())["scores"]
    assert set(scores["metrics"]) == {"strict", "flexible"}
    assert set(scores["metrics"]["flexible"]) == {"mean", "maj@2"}
    assert "gsm8k, English: flexible: mean" in capsys.readouterr().out


def question(number: int) -> dict[str, Any]:
    """An item in TriviaQA's layout."""
    answer = {"value": f"Town {number}", "aliases": [f"town-{number}"], "normalized_aliases": []}
    return {"question": f"Which town has number {number}?", "question_id": f"own_{number}", "answer": answer}


def competition(number: int) -> dict[str, Any]:
    """An item in MATH's layout."""
    solution = f"It is $\\boxed{{\\frac{{{number}}}{{2}}}}$."
    return {"problem": f"Halve {number}.", "level": "Level 1", "type": "Algebra", "solution": solution}


@pytest.mark.parametrize(("name", "item", "shots"), [("trivia_qa", question, 5), ("math", competition, 4)])
def test_each_benchmark_of_texts_runs_from_its_layout(
    tmp_path: Path, name: str, item: Any, shots: int, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "math":
        pytest.importorskip("math_verify", reason="the extra codemill[math] isn't installed")
    data = table(tmp_path / "test.parquet", [item(number) for number in (21, 22)])
    train = table(tmp_path / "train.parquet", [item(number) for number in range(1, 9)])
    words = ["--benchmark", name, "--data", data, "--output", str(tmp_path / "out"), "--max_prompt_tokens", "512"]
    assert evaluate(*words) == cli.USER_ERROR
    assert f"{name} with --shots {shots} needs --shots_data" in capsys.readouterr().err
    assert evaluate(*words, "--shots_data", train) == 0
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 2 and all(row["prompt"].endswith(":") for row in rows)
    # Right or not: the model can copy an answer from the examples.
    assert [row["passed"] for row in rows] == [row["measured"][0]["correct"] for row in rows]
    wrong = table(tmp_path / "wrong.parquet", [{"text": "a"}])
    words[3], words[5] = wrong, str(tmp_path / "other")
    assert evaluate(*words, "--shots_data", train) == cli.USER_ERROR
    assert f"{name} needs the columns" in capsys.readouterr().err


def test_mathematics_without_its_package_is_one_line_before_the_model_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    formulas.check_comparing.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if "math" in name else find(name, *rest))
    data = table(tmp_path / "test.parquet", [competition(21)])
    words = ["--benchmark", "math", "--data", data, "--output", str(tmp_path / "out"), "--shots", "0"]
    monkeypatch.setattr("model.checkpoint.read_config", None)
    assert evaluate(*words) == cli.USER_ERROR
    error = capsys.readouterr().err
    assert "pip install 'codemill[math]'" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_problems_of_a_training_corpus_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def item(number: int, words: str) -> dict[str, Any]:
        found = checked(number)
        return {**found, "prompt": f"def times{number}(x):\n    # {words}\n"}

    known = "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa"
    data = table(tmp_path / "items.parquet", [item(2, known), item(3, known[::-1]), checked(4)])
    (tmp_path / "corpus").mkdir()
    corpus = table(tmp_path / "corpus" / "a.parquet", [{"content": "nothing"}, {"content": f"// {known.upper()} //"}])
    words = ["--benchmark", "human_eval", "--data", data, "--model", "", "--reference"]
    assert evaluate(*words, "--output", str(tmp_path / "out"), "--trained_on", str(tmp_path / "corpus")) == 0
    (scores,) = json.loads((tmp_path / "out" / "scores.json").read_text())["scores"]
    assert scores["trained_on"]["problems"] == ["Own/2"]
    assert scores["trained_on"]["inside"]["problems"] == 1 and scores["trained_on"]["outside"]["problems"] == 2
    said = capsys.readouterr().out
    assert "1 problems stand in the training corpus" in said and "without them 100.0%" in said
    report = (tmp_path / "out" / "report.html").read_text()
    assert "pass@1 100.0%" in report and corpus not in report
    assert "## Results" in (tmp_path / "out" / "README.md").read_text()


def test_published_figures_stand_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = table(tmp_path / "items.parquet", [checked(number) for number in range(2, 5)])
    words = ["--benchmark", "human_eval", "--data", data, "--model", "", "--reference", "--output", str(tmp_path / "o")]
    assert evaluate(*words, "--published", "codegemma-9b") == cli.USER_ERROR
    assert "there are codegemma-2b" in capsys.readouterr().err
    assert evaluate(*words, "--published", "codegemma-2b") == 0
    said = capsys.readouterr().out
    assert "published for codegemma-2b: 31.1%, ours +68.9%" in said and "ours is over 3 of 164 problems" in said
    (scores,) = json.loads((tmp_path / "o" / "scores.json").read_text())["scores"]
    assert scores["published"]["low"] < scores["published"]["difference"] < scores["published"]["high"] + 1e-9
