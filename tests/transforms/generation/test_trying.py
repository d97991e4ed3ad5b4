"""Rows whose answers are run, from the table to the output, with an engine that answers from a script."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.engine.settings import EngineSpec
from model.errors import ConfigError
from tests.transforms.generation.scripted import ScriptedEngine
from transforms.generation.engine import release_engines, use_engine
from transforms.generation.work import GenerationWork
from transforms.rows.columns import ColumnOverrides, RowLimits
from transforms.sandbox.bubblewrap import Bubblewrap
from transforms.scanning import ContentFilter
from transforms.tasks.annotate import AnnotateTask
from transforms.tasks.base import Task
from transforms.tasks.generate import GenerateTask
from transforms.tasks.task_file import load_annotation
from transforms.verification.repository_tests import Corpus, RepositoryTests
from transforms.work import Unit, UnitResult

SPEC = EngineSpec(model="none", max_prompt_tokens=4096, max_new_tokens=512)
FILE = "def plus(x):\n    return x + 1\n\n\ndef {}(x):\n    return x * 2 + 3\n"
Runner = Callable[..., UnitResult]


@pytest.fixture
def run(small_tokenizer: Any) -> Iterator[Runner]:
    opened = []

    def runs(task: Task, script: Mapping[str, Sequence[str]], columns: Mapping[str, Any], **more: Any) -> UnitResult:
        use_engine(SPEC, ScriptedEngine(small_tokenizer, script))
        work = GenerationWork(
            task=task,
            engine=SPEC,
            columns=ColumnOverrides(),
            limits=RowLimits(max_content_bytes=100_000),
            checkpoint_sha256="c0ffee",
            **{"row_workers": 0, **more},
        )
        try:
            work.open()
        except ConfigError as error:
            pytest.skip(f"programs can't be boxed here: {error}")
        opened.append(work)
        table = pa.table(dict(columns))
        unit = Unit(
            unit_id="0", uri="a.parquet", version="1", row_group=0, row_start=0, row_count=table.num_rows, num_bytes=1
        )
        result = work.run(unit, table, list(range(table.num_rows)))
        assert result.kept.schema == work.output_schema(table.schema)
        assert work.heartbeat()["rows_done"] > 0
        return result

    yield runs
    for work in opened:
        work.close()
    release_engines()


@pytest.fixture
def unit_tests(small_vocabulary: str) -> AnnotateTask:
    spec = load_annotation("unit-tests")
    return AnnotateTask(tokenizer=small_vocabulary, spec=spec, verify="run", mutants=4, program_timeout_s=2.0)


def fenced(code: str) -> str:
    return f"```python\n{code}\n```\n"


def fates(result: UnitResult) -> dict[str, str]:
    rejected = {one["target"].split(":")[1]: one["reason"] for one in result.rejected.to_pylist() if one["target"]}
    return {**{one["symbol_name"]: "accepted" for one in result.kept.to_pylist()}, **rejected}


@pytest.mark.parametrize("row_workers", [0, 1])
def test_only_tests_that_can_fail_become_rows_and_the_ledgers_balance(
    run: Runner, unit_tests: AnnotateTask, row_workers: int
) -> None:
    script = {
        "def plus": [fenced("from shapes import plus\n\ndef test_it():\n    assert plus(1) == 2")],
        "def wrong": [fenced("def test_it():\n    assert wrong(1) == 6")],
        "def idle": [fenced("def test_it():\n    assert callable(idle)")],
    }
    contents = [FILE.format("wrong"), FILE.format("idle")]
    columns = {"content": contents, "path": ["shapes.py"] * 2, "language": ["Python"] * 2}
    result = run(unit_tests, script, columns, row_workers=row_workers, content_filter=ContentFilter("default"))
    assert fates(result) == {"plus": "accepted", "wrong": "tests_fail", "idle": "no_mutant_killed"}
    assert {one["stage"] for one in result.rejected.to_pylist() if one["target"]} == {"verify"}
    counts = result.counts
    assert (counts["targets"], counts["targets_accepted"], counts["rows_kept"]) == (4, 2, 2)
    assert counts["checks/tests_pass/true"] == 2
    row = result.kept.to_pylist()[0]
    assert row["checks"]["mutants_killed"]["killed"] >= 1
    assert row["checks"]["executed"]["reason"] == "passed"
    said = json.loads(row["lineage"]["verification"])
    assert said["sandbox"].startswith("bubblewrap") and said["toolchain"].startswith("Python 3")


def test_tests_of_a_method_may_import_its_class_from_a_module_of_their_own(
    run: Runner, unit_tests: AnnotateTask
) -> None:
    code = "class Shape:\n    def area(self):\n        return 2\n"
    script = {"def area": [fenced("from geometry import Shape\n\ndef test_it():\n    assert Shape().area() == 2")]}
    task = dataclasses.replace(unit_tests, spec=dataclasses.replace(unit_tests.spec, targets=("method",)))
    result = run(task, script, {"content": [code], "path": ["a.py"], "language": ["Python"]})
    assert fates(result)["Shape.area"] == "accepted"


def test_rows_are_the_same_twice_but_for_their_times(run: Runner, unit_tests: AnnotateTask) -> None:
    script = {"def plus": [fenced("def test_it():\n    assert plus(1) == 2\n    assert plus(-1) == 0")]}
    columns = {"content": [FILE.split("\n\n\n")[0] + "\n"], "language": ["Python"]}

    def without_times(result: UnitResult) -> list[Any]:
        rows = result.kept.to_pylist()
        for row in rows:
            row["checks"]["executed"]["wall_s"] = 0
        return rows

    first, second = (without_times(run(unit_tests, script, columns)) for _ in range(2))
    assert first == second and len(first) == 1


def test_without_verification_the_schema_and_the_rows_are_as_before(run: Runner, unit_tests: AnnotateTask) -> None:
    task = dataclasses.replace(unit_tests, verify="parse")
    script = {"def plus": [fenced("def test_it():\n    assert plus(1) == 7")]}
    result = run(task, script, {"content": [FILE.split("\n\n\n")[0] + "\n"], "language": ["Python"]})
    row = result.kept.to_pylist()[0]
    assert "verification" not in row["lineage"] and "tests_pass" not in row["checks"]


def test_a_secret_that_a_program_puts_together_is_not_kept_as_evidence(run: Runner, unit_tests: AnnotateTask) -> None:
    key = "AKIA" + "Q3EGRIFYD2NXKXOP"
    code = f"def test_it():\n    assert plus(1) == 2\n    raise AssertionError('{key[:8]}' + '{key[8:]}')\n"
    result = run(
        unit_tests, {"def plus": [fenced(code)]}, {"content": [FILE.split("\n\n\n")[0]], "language": ["Python"]}
    )
    assert key not in json.dumps(result.rejected.to_pylist(), default=str)


def test_without_a_box_one_line_says_what_to_do_before_any_model_is_loaded(
    unit_tests: AnnotateTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Bubblewrap:
        raise ConfigError("programs are run in bubblewrap, which isn't there; install it")

    def no_engine(spec: EngineSpec) -> None:
        raise AssertionError("the model must not be loaded")

    monkeypatch.setattr(Bubblewrap, "find", none)
    monkeypatch.setattr("transforms.generation.work.acquire_engine", no_engine)
    work = GenerationWork(
        task=unit_tests,
        engine=SPEC,
        columns=ColumnOverrides(),
        limits=RowLimits(max_content_bytes=100),
        checkpoint_sha256="",
        row_workers=0,
    )
    with pytest.raises(ConfigError, match=r"^programs are run in bubblewrap.*or leave answers unverified by --verify"):
        work.open()


BODY = 'def half(x):\n    """Gives half of x."""\n    return x / 2\n'


@pytest.fixture
def bodies(small_vocabulary: str) -> GenerateTask:
    return GenerateTask(tokenizer=small_vocabulary, verify="run", program_timeout_s=2.0, temperature=0.5)


def test_a_body_must_pass_the_tests_that_its_row_brings_and_define_what_it_uses(
    run: Runner, bodies: GenerateTask
) -> None:
    script = {
        "def half": ["return x * 0.5"],
        "def third": ["return x / 4"],
        "def fifth": ["return helper(x)"],
        "def tenth": ["return x * 0.1"],  # its tests need a package that isn't there
        "def quarter": ["return 0"],  # its tests are about something else
        "def double": ["return x * 2"],  # its tests don't pass on the original either
    }
    columns = {
        "content": [BODY.replace("half", word.split()[1]) for word in script],
        "language": ["Python"] * 6,
        "tests": [
            "assert half(4) == 2",
            "assert third(6) == 3",
            None,
            "import nowhere\nnowhere.check(tenth)",
            "assert callable(quarter)",
            "assert double(4) == 7",
        ],
    }
    result = run(bodies, script, columns)
    rows = {row["symbol_name"]: row["checks"] for row in result.kept.to_pylist()}
    found = {name: (row["compiles"], row["tests_pass"]) for name, row in rows.items()}
    unknown = (True, None)
    assert found == {"half": (True, True), "tenth": unknown, "quarter": unknown, "double": unknown}
    assert rows["half"]["executed"]["exit"] == 0
    reasons = [one["reason"] for one in result.rejected.to_pylist() if one["target"]]
    assert sorted(reasons) == ["does_not_compile", "tests_fail"]


def test_of_several_samples_those_that_pass_are_kept(run: Runner, bodies: GenerateTask) -> None:
    script = {"def half": ["return x * 2", "return x * 0.5", "return 1"]}
    tests = [["assert half(4) == 2", "assert half(2) == 1"]]
    columns = {"content": [BODY], "language": ["Python"], "tests": tests}
    result = run(bodies, script, columns, samples=3, keep=3)
    assert [row["generated_code"].strip() for row in result.kept.to_pylist()] == ["return x * 0.5"]
    assert result.counts["samples/tests_fail"] == 2


def test_compiling_alone_runs_nothing(run: Runner, bodies: GenerateTask) -> None:
    task = dataclasses.replace(bodies, verify="compile")
    columns = {"content": [BODY], "language": ["Python"], "tests": [["assert half(4) == 7"]]}
    result = run(task, {"def half": ["return x * 0.5"]}, columns)
    assert result.kept.to_pylist()[0]["checks"]["compiles"] is True
    assert result.counts["targets_accepted"] == 1


SQUARES = "def squares(numbers: list[int]) -> list[int]:\n    return [x * x for x in numbers]\n"
GO_SQUARES = (
    "func Squares(numbers []int) []int {\n\tvar out []int\n\tfor _, x := range numbers {\n"
    "\t\tout = append(out, x*x)\n\t}\n\treturn out\n}"
)


def asked(vocabulary: str, name: str, **params: str) -> AnnotateTask:
    return AnnotateTask(tokenizer=vocabulary, spec=load_annotation(name, params), verify="run", program_timeout_s=2.0)


def test_a_translation_that_does_something_else_is_rejected(run: Runner, small_vocabulary: str) -> None:
    wrong = GO_SQUARES.replace("x*x", "x+x")
    script = {"def squares": [f"```go\n{code}\n```" for code in (GO_SQUARES, wrong, GO_SQUARES.replace("x*x", "y"))]}
    columns = {"content": [SQUARES, SQUARES + "\n", SQUARES + "\n\n"], "language": ["Python"] * 3}
    result = run(asked(small_vocabulary, "translate"), script, columns)
    [row] = result.kept.to_pylist()
    assert row["checks"]["behaves_alike"] is True and row["checks"]["inputs_compared"] >= 4
    assert json.loads(row["lineage"]["verification"])["toolchain"].startswith("go version")
    rejected = [one["reason"] for one in result.rejected.to_pylist() if one["target"]]
    assert rejected == ["behaves_differently", "does_not_compile"]


def test_the_solution_of_an_exercise_must_compile_and_is_compared(run: Runner, small_vocabulary: str) -> None:
    def exercise(solution: str) -> str:
        task = "Write a function that squares each number of a list, e.g. [2] gives [4]."
        return json.dumps({"title": "Squares", "task": task, "solution": solution})

    solutions = (
        SQUARES.replace("x * x", "x ** 2"),
        SQUARES.replace("x * x", "x"),
        SQUARES.replace("x * x", "power(x)"),
    )
    columns = {"content": [SQUARES, SQUARES + "\n", SQUARES + "\n\n"], "language": ["Python"] * 3}
    result = run(asked(small_vocabulary, "exercise"), {"def squares": list(map(exercise, solutions))}, columns)
    assert [row["checks"]["behaves_alike"] for row in result.kept.to_pylist()] == [True, False]
    assert [one["reason"] for one in result.rejected.to_pylist() if one["target"]] == ["does_not_compile"]


def test_samples_are_ranked_by_what_they_do_where_that_is_known(run: Runner, bodies: GenerateTask) -> None:
    code = 'def half(n: int) -> float:\n    """Gives half of n."""\n    return n / 2\n'
    script = {
        "def half": ["return n * 3 - 1 + 0", "return 0.5 * n", "result = n\n    result = result / 2\n    return result"]
    }
    result = run(bodies, script, {"content": [code], "language": ["Python"]}, samples=3, keep=1)
    [row] = result.kept.to_pylist()
    assert row["generated_code"] != "return n * 3 - 1 + 0"
    assert row["lineage"]["behavior_agreement"] >= 0.5


def corpus_at(path: Path) -> Corpus:
    return Corpus("here", (str(path),), open_corpus)


def open_corpus(path: str) -> IO[bytes]:
    return open(path, "rb")


THIRD = "from b.half import third\nassert third(4) == 2\n"


def test_tests_are_found_in_the_rows_repository(run: Runner, bodies: GenerateTask, tmp_path: Path) -> None:
    corpus = {
        "path": ["src/a/half.py", "src/b/half.py", "tests/a/test_half.py", "tests/b/test_half.py", "half_test.py"],
        "repo_name": ["own"] * 4 + ["other"],
        "content": ["", "", "from src.a.half import half\nassert half(4) == 2\n", THIRD, "0/0"],
    }
    pq.write_table(pa.table(corpus), tmp_path / "corpus.parquet")
    columns = {
        "content": [BODY, BODY.replace("half", "third"), BODY + "\n"],
        "language": ["Python"] * 3,
        "path": ["src/a/half.py", "src/b/half.py", "src/c/other.py"],
        "repo_name": ["own"] * 3,
    }
    script = {"def half": ["return x * 0.5"], "def third": ["return x * 0.7"]}
    result = run(bodies, script, columns, tests=corpus_at(tmp_path / "corpus.parquet"))
    found = {row["path"]: row["checks"]["tests_pass"] for row in result.kept.to_pylist()}
    assert found == {"src/a/half.py": True, "src/c/other.py": None}
    assert [one["reason"] for one in result.rejected.to_pylist() if one["target"]] == ["tests_fail"]


@pytest.mark.parametrize("bad", ["nothing", "no paths", "no contents", "no Parquet file"])
def test_a_corpus_of_tests_that_is_none_is_one_line(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "a.parquet"
    if bad == "no Parquet file":
        path.write_text("junk")
    elif bad != "nothing":
        pq.write_table(pa.table({"content" if bad == "no paths" else "path": ["x"]}), path)
    with pytest.raises(ConfigError, match=r"^--tests [^\n]+$"):
        RepositoryTests(corpus_at(path))


def test_tests_may_be_bytes_and_those_that_are_no_text_are_none(tmp_path: Path) -> None:
    columns = {"path": ["a.py", "test_a.py", "b.py", "test_b.py"], "content": [b"", b"assert 1", b"", b"\xff"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    tests = RepositoryTests(corpus_at(tmp_path / "a.parquet"))
    assert (tests.of("", "a.py"), tests.of("", "b.py")) == ("assert 1", None)


def test_an_answer_for_which_no_trial_can_be_made_is_rejected(
    run: Runner, unit_tests: AnnotateTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object, **more: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("transforms.tasks.annotate.generated_tests_trial", fails)
    script = {"def plus": [fenced("def test_it():\n    assert plus(1) == 2")]}
    result = run(unit_tests, script, {"content": [FILE.split("\n\n\n")[0]], "language": ["Python"]})
    rejected = [(one["stage"], one["reason"]) for one in result.rejected.to_pylist() if one["target"]]
    assert rejected == [("verify", "stage_error")]
