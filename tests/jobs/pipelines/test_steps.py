"""Pipelines' files: what they mean, and that each fault is one line with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.pipelines.steps import STEP_JOBS, growing, read_steps
from model.errors import ConfigError


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> str:
        (tmp_path / "p.yaml").write_text(text)
        return str(tmp_path / "p.yaml")

    return write


STEPS = """\
output: out
common: {workers: 3, threshold: 0.8}
steps:
  corpus: {source: [a, b]}
  clean: {job: filter, input: corpus, workers: 1}
  unique: {job: dedup, input: [clean, ./clean, more.parquet], output: elsewhere}
  known: {job: index, input: unique}
  filled: {job: infill, input: unique, known_text: known}
"""


def test_a_steps_name_stands_for_its_output_in_every_option_with_a_path(written):
    corpus, clean, unique, known, filled = read_steps(written(STEPS))
    assert [step.job for step in (corpus, clean, unique, known, filled)] == [
        "corpus", "filter", "dedup", "index", "infill",
    ]  # fmt: skip
    assert (corpus.output, clean.output, unique.output) == ("out/corpus", "out/clean", "elsewhere")
    assert clean.options.input == ("out/corpus",) and clean.reads == ("corpus",)
    assert unique.options.input == ("out/clean", "./clean", "more.parquet") and unique.reads == ("clean",)
    assert filled.options.known_text == "out/known" and filled.reads == ("unique", "known")


def test_common_options_go_to_the_steps_that_have_them_unless_a_step_has_its_own(written):
    corpus, clean, unique, _, _ = read_steps(written(STEPS), output="/data/nightly")
    assert (corpus.options.workers, clean.options.workers) == (3, 1)
    assert unique.options.threshold == 0.8
    assert clean.output == "/data/nightly/clean"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("steps: {}", r"p.yaml:1: `steps` names no step"),
        ("output: o", r"p.yaml: `steps` is missing"),
        ("- a", r"p.yaml:1: the pipeline: expected lines of the form name: value"),
        ("ouput: o\nsteps: {}", r"p.yaml:1: unknown key ouput; did you mean output\?"),
        (
            "output: o\nsteps:\n  clean: {input: x}",
            r"p.yaml:3: step clean: no job is called clean; name one",
        ),
        (
            "output: o\nsteps:\n  shared: {job: publish, path: x, to: y}",
            r"p.yaml:3: step shared: codemill publish makes no dataset, so it can't be a step; run it by itself",
        ),
        ("output: o\nsteps:\n  retain: {output: x, editions: 1}", r"step retain: codemill retain makes no dataset"),
        ("output: o\nsteps:\n  a: {job: filtre, input: x}", r"step a: job filtre; did you mean filter\?"),
        ("output: o\nsteps:\n  a: {job: work, output: x}", r"step a: codemill work makes no dataset"),
        ("output: o\nsteps:\n  filter: {inptu: x}", r"p.yaml:3: unknown option inptu; did you mean input\?"),
        ("output: o\nsteps:\n  filter:\n    input: x\n    workers: many", r"p.yaml:5: workers: expected an integer"),
        ("output: o\nsteps:\n  filter:\n    input: x\n    workers: 0", r"p.yaml:4: step filter: --workers is 0"),
        ("output: o\nsteps:\n  filter: {}", r"p.yaml:3: step filter: missing --input"),
        ("output: o\nsteps:\n  corpus: {}", r"p.yaml:3: step corpus: source is missing"),
        ("steps:\n  filter: {input: x}", r"p.yaml:2: step filter: no `output`, neither here nor"),
        ("output: o\nsteps:\n  filter: {input: x}\n  filter: {input: y}", r"p.yaml:4: filter is given twice"),
        (
            "output: o\ncommon: {wrkers: 1}\nsteps:\n  filter: {input: x}",
            r"p.yaml:2: no step has an option wrkers; ",
        ),
        (
            "output: o\nsteps:\n  filter: {input: dedup}\n  dedup: {input: filter}",
            r"p.yaml:3: step filter reads dedup, ",
        ),
        (
            "output: o\nsteps:\n  filter: {input: filter}",
            r"p.yaml:3: step filter reads filter, which doesn't",
        ),
        (
            "steps:\n  filter: {input: x, output: o}\n  dedup: {input: x, output: ./o}",
            r"p.yaml:3: the steps filter and dedup write to one output",
        ),
        ("output: o\nsteps:\n  a/b: {job: filter, input: x}", r"step a/b: use letters, digits, - and _"),
        ("output: [o]\nsteps:\n  filter: {input: x}", r"p.yaml:1: output: expected text"),
        ("steps: [", r"p.yaml:1"),
    ],
)
def test_a_fault_is_one_line_with_its_place(written, text, line):
    with pytest.raises(ConfigError, match=line) as error:
        read_steps(written(text))
    assert "\n" not in str(error.value)


def test_a_step_that_cannot_grow_as_its_options_are_is_named(written):
    steps = read_steps(written("output: out\nsteps:\n  few: {job: filter, input: in.parquet, limit: 10}\n"))
    with pytest.raises(ConfigError, match=r"^step few: --grow takes in all of the input; remove --limit"):
        growing(steps)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.yaml can't be read: No such file"):
        read_steps(str(tmp_path / "absent.yaml"))


def test_outputs_of_a_home_a_file_url_and_a_trained_model_are_found(written, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    steps = "output: ~/o\nsteps:\n  t: {job: train, input: x, tokenizer: embedded}\n"
    train, infill = read_steps(written(steps + "  i: {job: infill, input: x, model: t}"))
    assert train.output == str(tmp_path / "o" / "t")
    assert infill.options.model == f"{train.output}/model" and infill.reads == ("t",)
    with pytest.raises(ConfigError, match="write to one output"):
        read_steps(written("steps:\n  filter: {input: x, output: /o}\n  dedup: {input: x, output: 'file:///o'}"))


def test_every_job_that_writes_an_output_can_be_a_step(written):
    assert {"corpus", "filter", "dedup", "pack", "infill", "index", "evaluate", "train"} <= set(STEP_JOBS)
    assert not {"pipeline", "work", "inspect", "publish", "forget", "retain"} & set(STEP_JOBS)
    assert Path(read_steps(written("output: o\nsteps:\n  dedup: {input: ~/x}"))[0].options.input[0]).is_absolute()
