"""After `codemill forget` no file of a generating job's output has anything of a removed row: all files are read.

A scripted engine answers, so that each job has accepted and rejected answers about the row that goes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import cli
from model.tokenizer import Tokenizer
from tests.jobs import uppercase
from tests.jobs.forgetting.test_traces import LISTED, PATH, WORD, all_but, asked_by, forget, traces, write_input
from tests.transforms.generation.scripted import ScriptedEngine
from transforms.generation.engine import release_engines

NAMED = {"opt_out": "repository", "path": "path", "content_hash": "sha256"}
GOOD = "Gives the product of the first number and a constant, plus the second one."
CODE = f"    return {WORD}_0(first, second) + first\n"
BODY = "    return first\n"
# Flags, answers about the row that goes, and those about the others.
MAKES = {
    "infill": (["--require", "not_empty", "--spans_per_file", "4"], [CODE, "", "    pass\n"], BODY),
    "docstring": (["--kinds", "function"], [f"{GOOD} See {WORD}_0.", CODE], GOOD),
    "generate": (["--what", "body", "--no-only_documented", "--no-reject_copies"], [CODE, "    return (\n"], BODY),
    "annotate": (["--task", "explain", "--any_model"], [f"`{WORD}_0`: {GOOD} {GOOD}", "No."], f"{GOOD} {GOOD}"),
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The output of each job, over the same rows."""
    folder = tmp_path_factory.mktemp("generated")
    source, made = write_input(folder / "in"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
        patch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)
        tokenizer = Tokenizer.load("embedded")
        for job, (flags, answers, other) in MAKES.items():
            engine = ScriptedEngine(tokenizer, {WORD: answers, "": [other]})
            patch.setattr("transforms.generation.engine._make_engine", lambda _, engine=engine: engine)
            made[job] = folder / job
            words = [job, "--input", str(source), "--output", str(made[job]), *flags, "--rejected_answers"]
            assert cli.main([*words, "--progress", "none", "--unit_rows", "5"]) == 0
            release_engines()
    yield made


@pytest.mark.parametrize("by", NAMED)
@pytest.mark.parametrize("job", MAKES)
def test_no_file_of_a_generating_job_has_anything_of_a_removed_row(job, by, outputs, tmp_path) -> None:
    output = tmp_path / "out"
    shutil.copytree(outputs[job], output)
    before = {name.partition("/")[0] for name in traces(output, ["path"])}
    assert before >= {"data", "rejected", "report.html"}, "accepted and rejected answers name the row"
    assert forget(output, f"--{by}", *asked_by(by, tmp_path)) == 0
    assert traces(output, all_but()) == {LISTED: [NAMED[by]]}
    left = uppercase.dataset(output)
    assert len({row["path"] for row in left["data"]}) == 6 and PATH not in {row["path"] for row in left["rejected"]}
    assert not any(WORD in str(row) for rows in left.values() for row in rows), "no answer quotes it"
