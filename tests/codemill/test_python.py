"""The Python face: it is light, its examples run, and stages and tasks of one's own are treated as shipped ones."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import codemill
from jobs.cli import DONE, USER_ERROR, main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
JOBS, STAGE, TASK, PIPELINE = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
COMMAND, TASK_COMMAND = re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
CODE = "def function(items, limit):\n    total = 0\n    for item in items[:limit]:\n        total += item\n"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A current folder with a project of a long and a short file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "long.py").write_text(CODE)
    (tmp_path / "project" / "short.py").write_text("x = 1\n")
    return tmp_path


def python(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def corpus(folder: Path) -> None:
    codemill.run("corpus", source=folder / "project", output=folder / "corpus")


# --- the face ----------------------------------------------------------------------------------------


def test_importing_it_imports_neither_jax_nor_beam_nor_arrow():
    heavy = "import sys, codemill; print(sorted({'jax', 'apache_beam', 'pyarrow', 'numpy'} & set(sys.modules)))"
    assert python(ROOT, "-c", heavy).strip() == "[]"


@pytest.mark.parametrize("name", codemill.__all__)
def test_every_name_is_there_and_in_the_documentation(name):
    assert getattr(codemill, name) is not None
    assert f"`{name}" in TEXT


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = codemill.nothing


@pytest.mark.parametrize(
    ("job", "options", "why"),
    [
        ("filtr", {}, "unknown job filtr; did you mean filter"),
        ("filter", {"inptu": "x"}, "filter has no option inptu; did you mean input"),
        ("corpus", {"source": "x"}, "corpus needs output"),
        ("corpus", {"source": "/no/such", "output": "out"}, "no such file or folder"),
        (5, {}, "unknown job 5"),
        ("filter", {"input": 5, "output": "out"}, "input is 5, expected text"),
        ("filter", {"input": b"in", "output": "out"}, "input is b'in', expected text"),
        ("filter", {"input": ["in", None], "output": "out"}, "input is None, expected text"),
        ("filter", {"input": "in", "output": None}, "output is None, expected text"),
        ("filter", {"input": "in", "output": "out", "workers": "two"}, "workers is 'two', expected an integer"),
        ("filter", {"input": "in", "output": "out", "workers": 1.5}, "workers is 1.5, expected an integer"),
        ("filter", {"input": "in", "output": "out", "quiet": "no"}, "quiet is 'no', expected true or false"),
        ("filter", {"input": "in", "output": "out", "seed": True}, "seed is True, expected an integer"),
    ],
)
def test_a_mistake_is_a_config_error(folder, job, options, why):
    with pytest.raises(codemill.ConfigError, match=why):
        codemill.run(job, **options)


def test_a_summary_is_that_of_the_output_and_a_second_call_finds_it(folder, capfd):
    first = codemill.run("corpus", source=folder / "project", output=folder / "corpus")
    assert dict(first) == json.loads((folder / "corpus" / "summary.json").read_text())
    assert first.exit_code == 0 and first["rows_kept"] == 2 and len(first) == len(dict(first))
    assert dict(codemill.run("corpus", source=[folder / "project"], output=str(folder / "corpus"))) == dict(first)
    assert capfd.readouterr().out == "" and "exit_code=0" in repr(first)


# --- the examples ------------------------------------------------------------------------------------


def test_the_example_of_jobs_runs(folder):
    (folder / "jobs_example.py").write_text(JOBS)
    assert python(folder, "jobs_example.py").strip() == "0 2 of 2"


def test_the_example_of_a_stage_runs_and_its_rejects_are_as_all_others(folder):
    (folder / "short.py").write_text(STAGE)
    corpus(folder)
    words = COMMAND.split()[1:]
    assert main([*words, "--workers", "1", "--quiet", "--no-quality"]) == DONE
    (row,) = pq.read_table(folder / "clean" / "data").to_pylist()
    assert (row["path"], row["num_chars"]) == ("long.py", len(CODE))
    assert re.search(r"/stages-[0-9a-f]{16}$", row["lineage"]["filter_version"])
    (rejected,) = pq.read_table(folder / "clean" / "rejected").to_pylist()
    assert (rejected["stage"], rejected["reason"]) == ("short", "too_short")
    assert rejected["detail"] == "fewer than 40 characters"


def annotate(*more: str) -> list[str]:
    """The example's words, with the embedded model and few tokens."""
    words = TASK_COMMAND.replace("\\\n", "").split()[1:]
    words[words.index("--model") + 1] = "embedded"
    small = ["--any_model", "--slots", "2", "--max_prompt_tokens", "128", "--max_new_tokens", "24"]
    return [*words, *small, "--workers", "1", "--quiet", *more]


@pytest.mark.timeout(600)
def test_the_example_of_a_task_runs_in_row_processes_and_a_changed_one_is_not_resumed(folder, capfd):
    (folder / "sentence.py").write_text(TASK)
    corpus(folder)
    assert main(annotate()) == DONE
    rows = pq.read_table(folder / "sentences" / "data").to_pylist()
    rejected = pq.read_table(folder / "sentences" / "rejected").to_pylist()
    asked = [row for row in rejected if row["target"]]
    assert rows and len(rows) + len(asked) == 2, asked
    assert {row["path"] for row in rows} <= {"long.py", "short.py"}
    version = f"sentence-{hashlib.sha256(TASK.encode()).hexdigest()[:16]}"
    for row in rows:
        assert row["num_words"] == len(row["answer"].split()) and "\n" not in row["answer"]
        assert (row["lineage"]["task"], row["lineage"]["template_version"]) == ("sentence", version)
        assert row["prompt_text"].startswith("Say in one sentence") and row["checks"]["not_empty"]
    assert main(annotate()) == DONE
    (folder / "sentence.py").write_text(TASK + "\n# changed\n")
    capfd.readouterr()
    assert main(annotate()) == USER_ERROR
    assert "the code of --task" in one_line(capfd)


@pytest.mark.timeout(600)
def test_the_example_of_a_pipeline_runs(folder):
    (folder / "pipeline_example.py").write_text(PIPELINE)
    assert python(folder, "pipeline_example.py").split() in (["length"], ["stop"], ["eos"], ["limit"])


# --- stages of one's own -----------------------------------------------------------------------------


def one_line(capfd) -> str:
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said, said
    return said


def test_a_changed_stage_is_not_resumed(folder, capfd):
    (folder / "short.py").write_text(STAGE)
    corpus(folder)
    words = [*COMMAND.split()[1:], "--workers", "1", "--quiet", "--no-quality"]
    assert main(words) == DONE
    assert main(words) == DONE
    (folder / "short.py").write_text(STAGE + "\n# changed\n")
    capfd.readouterr()
    assert main(words) == USER_ERROR
    assert "the code of --stages" in one_line(capfd)


def test_a_module_of_the_current_folder_is_found_and_so_is_an_entry_point(folder, monkeypatch):
    (folder / "my_stages.py").write_text(STAGE)
    info = folder / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[codemill.filters]\nshort = my_stages:Short\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    corpus(folder)
    kept = {}
    for name in ("my_stages:Short", "short"):
        if name == "short":
            monkeypatch.syspath_prepend(str(folder))
            monkeypatch.setenv("PYTHONPATH", str(folder))
        output = folder / name.partition(":")[0]
        done = codemill.run("filter", input=folder / "corpus", output=output, stages=name, workers=1, quality=False)
        kept[name] = done["rows"]["kept"]
    assert kept == {"my_stages:Short": 1, "short": 1}


@pytest.mark.parametrize(
    ("stages", "values", "why"),
    [
        ("short.py:Shrt", [], "has no class Shrt"),
        ("nothing.py:Short", [], "no such file nothing.py"),
        ("nothing_here:Short", [], "can't import nothing_here"),
        ("unknown-name", [], "expected MODULE:CLASS, FILE.py:CLASS or the name of an entry point"),
        ("json:JSONDecoder", [], "JSONDecoder isn't derived from codemill.FilterStage"),
        ("broken.py:Short", [], "can't be imported: ZeroDivisionError"),
        ("short.py:Short", ["Short.min_char=3"], "no field min_char; did you mean min_chars"),
        ("short.py:Short", ["Short.min_chars=few"], "expected a whole number"),
        ("short.py:Short", ["Long.min_chars=3"], "expected CLASS.FIELD=VALUE; the classes of --stages are Short"),
        ("short.py:Short", ["Short.min_chars"], "expected NAME=VALUE"),
        ("taken.py:Short", [], "gives the column findings, which another stage gives"),
        ("nameless.py:Short", [], "Short needs a name"),
    ],
)
def test_a_mistake_in_a_stage_is_one_line(folder, capfd, stages, values, why):
    (folder / "short.py").write_text(STAGE)
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "taken.py").write_text(STAGE.replace('"num_chars", pa', '"findings", pa'))
    (folder / "nameless.py").write_text(STAGE.replace('name = "short"', 'name = ""'))
    corpus(folder)
    capfd.readouterr()
    given = [word for value in values for word in ("--stage_values", value)]
    assert main(["filter", "--input", "corpus", "--output", "clean", "--stages", stages, *given]) == USER_ERROR
    assert why in one_line(capfd)
    assert not (folder / "clean").exists()


# --- tasks of one's own ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "more", "why"),
    [
        ("sentence.py:Sentense", [], "has no class Sentense"),
        ("sentence.py", [], "expected MODULE:CLASS, FILE.py:CLASS or the name of an entry point"),
        ("nothing.py:Sentence", [], "no such file nothing.py"),
        ("nothing_here:Sentence", [], "can't import nothing_here"),
        ("unknown-name", [], "built-in tasks are"),
        ("json:JSONDecoder", [], "JSONDecoder isn't derived from codemill.Task"),
        ("broken.py:Sentence", [], "can't be imported: ZeroDivisionError"),
        ("sentence.py:Sentence", ["--set", "max_word=3"], "no field max_word; did you mean max_words"),
        ("sentence.py:Sentence", ["--set", "max_words=few"], "expected a whole number"),
        ("sentence.py:Sentence", ["--set", "max_words"], "expected NAME=VALUE"),
        ("sentence.py:Sentence", ["--set", "temperature=1"], "no field temperature; Sentence has max_words, max_chars"),
        ("sentence.py:Sentence", ["--verify", "run"], "--verify run is of task files"),
        ("taken.py:Sentence", [], "gives the column answer, which codemill gives"),
        ("nameless.py:Sentence", [], "Sentence needs a name"),
        ("half.py:Sentence", [], "abstract"),
    ],
)
def test_a_mistake_in_a_task_is_one_line(folder, capfd, task, more, why):
    (folder / "sentence.py").write_text(TASK)
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "taken.py").write_text(TASK.replace('"num_words", pa', '"answer", pa'))
    (folder / "nameless.py").write_text(TASK.replace('name = "sentence"', 'name = ""'))
    (folder / "half.py").write_text(TASK.replace("def read(", "def reed("))
    corpus(folder)
    capfd.readouterr()
    words = ["annotate", "--task", task, "--input", "corpus", "--output", "out", "--model", "embedded", "--any_model"]
    assert main([*words, *more]) == USER_ERROR
    assert why in one_line(capfd)
    assert not (folder / "out").exists()
