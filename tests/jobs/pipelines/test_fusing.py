"""Fused steps: the same rows as behind files, an exact ledger, and whatever may happen to a job in between."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import cli
from jobs.execution.attempt import UnitRunner
from jobs.fusing.results import ResultsInJob
from tests.jobs import uppercase
from transforms.filters.work import FilterWork

ROOT = Path(__file__).parents[3]
STEPS = """\
output: {out}
common: {{progress: none, workers: 1{common}}}
steps:
  clean: {{{fused}job: filter, input: {corpus}{first}}}
  unique: {{job: dedup, input: clean{last}}}
"""
CHAINS = (
    ("filter",),
    ("dedup",),
    ("filter, policy: none", "dedup, keep: longest"),
    ("dedup, threshold: 0.9", "filter, drop_vendored: true"),
)
LASTS = ("filter, require_syntax: true", "dedup")
PLACES = ("source_uri", "source_row_group", "source_row")
SCHEMA = pa.schema(
    [("content", pa.large_string()), ("path", pa.string()), ("repo_name", pa.string()), ("stars", pa.int32())]
)


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    """Units and merges in this process."""
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


def function(number: int) -> str:
    lines = "".join(f"    total += values[{i}] * {number + i}\n" for i in range(number, number + 12))
    return f"def f{number}(values):\n    total = 0\n{lines}    return total\n"


def row(content: str | None, path: str = "a.py", repo: str = "org/one") -> dict[str, Any]:
    return {"content": content, "path": path, "repo_name": repo, "stars": 3}


ROWS = (
    *(row(function(number), f"f{number}.py") for number in range(4)),
    row(function(2), "copy.py", "org/two"),  # an exact duplicate
    row(function(3) + "# that is all\n", "near.py", "org/two"),
    row("# ann@corp-mail.dev wrote this\n" + function(3), "mail.py"),  # redacted, and then a near duplicate
    row("x = 1  # " + "word " * 400, "long.py"),
    row(None, "null.py"),
    row("def broken(:\n    return 1\n", "broken.py", "out/gone"),
    row(function(9), "vendor/lib.py", "out/gone"),
    row(function(10), "ann@corp-mail.dev/x.py"),
)


def write(path: Path, groups: list[list[dict[str, Any]]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for group in groups:
            writer.write_table(pa.Table.from_pylist(group, SCHEMA))
    return path


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Two files of two row groups each; a unit has four rows at most."""
    rows = list(ROWS)
    write(tmp_path / "in" / "0.parquet", [rows[:5], rows[5:7]])
    write(tmp_path / "in" / "1.parquet", [rows[7:8], rows[8:]])
    return tmp_path / "in"


def pipeline(corpus: Path, out: str, *, fused: bool = True, first: str = "", last: str = "", common: str = "") -> Path:
    """The file of a pipeline: a filter and dedup."""
    path = corpus.parent / f"{out}.yaml"
    text = STEPS.format(
        out=corpus.parent / out,
        corpus=corpus,
        fused="fused: true, " if fused else "",
        first=first and f", {first}",
        last=last and f", {last}",
        common=common and f", {common}",
    )
    path.write_text(text)
    return path


def run(path: Path, *more: str) -> int:
    return cli.main(["pipeline", str(path), *more])


def output(path: Path, step: str = "unique") -> Path:
    return path.parent / path.stem / step


def without_places(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what names a file, of lineages that aren't the first step's."""
    found = []
    for one in rows:
        lineages = {name: value for name, value in one.items() if name.endswith("lineage")}
        first = "input_lineage" if "input_lineage" in one else "lineage"  # that of the first step keeps its first name
        changed = {
            name: {part: value for part, value in lineage.items() if part not in PLACES}
            for name, lineage in lineages.items()
            if name != first
        }
        found.append({**one, **changed})
    return found


def reasons(*folders: Path) -> Counter[tuple[str, str, str]]:
    """Stage, reason and content of the rejected rows of jobs."""
    return Counter(
        (one["stage"], one["reason"], one["content_sha256"])
        for folder in folders
        for one in uppercase.dataset(folder)["rejected"]
    )


def chain_of(folder: Path, corpus: Path, steps: list[str], *, fused: bool, unit_rows: int) -> Path:
    text = f"output: {folder}\ncommon: {{progress: none, workers: 1, unit_rows: {unit_rows}}}\nsteps:\n"
    before = str(corpus)
    for number, step in enumerate(steps):
        word = "fused: true, " if fused and number < len(steps) - 1 else ""
        text += f"  s{number}: {{{word}job: {step}, input: {before}}}\n"
        before = f"s{number}"
    path = folder.with_suffix(".yaml")
    path.write_text(text)
    return path


groups = st.lists(st.sampled_from(ROWS), min_size=1, max_size=6)
corpora = st.lists(st.lists(groups, min_size=1, max_size=2), min_size=1, max_size=3)


@given(corpora, st.sampled_from(CHAINS), st.sampled_from(LASTS), st.integers(1, 9))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fused_steps_lead_to_the_rows_and_records_of_separate_ones(tmp_path_factory, files, chain, last, unit_rows):
    """However the corpus is cut; only the places in lineages of later steps are others: those of the first input."""
    if last == "dedup" and any(step.startswith("dedup") for step in chain):
        last = LASTS[0]
    folder = tmp_path_factory.mktemp("chain")
    for number, groups in enumerate(files):
        write(folder / "in" / f"{number}.parquet", groups)
    steps = [*chain, last]
    names = [f"s{number}" for number in range(len(steps))]
    outcomes = []
    for fused in (False, True):
        path = chain_of(folder / f"out{fused}", folder / "in", steps, fused=fused, unit_rows=unit_rows)
        outcomes.append((run(path), path.with_suffix("")))
    (code, apart), (fused_code, together) = outcomes
    if code == 2:  # no row is left for a later step
        return
    assert fused_code == code
    kept = uppercase.dataset(together / names[-1])["data"]
    assert without_places(kept) == without_places(uppercase.dataset(apart / names[-1])["data"])
    assert reasons(together / names[-1]) == reasons(*(apart / name for name in names))
    summary = uppercase.summary(together / names[-1])
    total = sum(len(group) for groups in files for group in groups)
    assert summary["rows"]["planned"] == total == summary["rows"]["kept"] + summary["rows"]["rejected"]
    for step, name in zip(summary["fused_steps"], names, strict=False):
        of_its_own = uppercase.summary(apart / name)
        assert step["rows"] == {
            "in": of_its_own["rows"]["planned"],
            "kept": of_its_own["rows"]["kept"],
            "rejected": of_its_own["rows"]["rejected"],
        }
        assert {**step["counts"]} == {k: v for k, v in of_its_own["counts"].items() if k in step["counts"]}
    shutil.rmtree(folder)


def test_all_lineages_name_rows_of_the_first_input_and_the_schema_is_the_same(corpus):
    apart, together = pipeline(corpus, "apart", fused=False), pipeline(corpus, "together")
    assert run(apart) == run(together) == 0
    one, other = (next((output(path) / "data").iterdir()) for path in (apart, together))
    assert pq.read_schema(one).equals(pq.read_schema(other))
    for kept in pq.read_table(other).to_pylist():
        file, group, number = (kept["lineage"][name] for name in PLACES)
        source = pq.ParquetFile(corpus / file).read_row_group(group).slice(number, 1).to_pylist()[0]
        assert kept["stars"] == source["stars"] and kept["input_lineage"]["source_uri"] == file
        assert [kept["input_lineage"][name] for name in PLACES] == [file, group, number]


def test_nothing_is_written_but_the_last_output_and_no_text_stays_in_its_records(corpus):
    together = pipeline(corpus, "together")
    assert run(together) == 0
    assert [folder.name for folder in together.with_suffix("").iterdir()] == ["unique"]
    assert not (output(together) / "_job" / "fused").exists()
    steps = uppercase.summary(output(together))["fused_steps"]
    assert [(step["name"], step["job"]) for step in steps] == [("clean", "filter")]
    assert (
        steps[0]["options"]["policy"] == "default" and "codemill filter" in (output(together) / "README.md").read_text()
    )


def test_a_filter_runs_once_over_each_row_though_dedup_sees_all_rows_first(corpus, monkeypatch):
    seen: Counter[tuple[str, int, int]] = Counter()
    run_filter = FilterWork.run

    def counted(self, unit, table, rows):
        seen.update(unit.place(number) for number in rows)
        return run_filter(self, unit, table, rows)

    monkeypatch.setattr(FilterWork, "run", counted)
    assert run(pipeline(corpus, "together")) == 0
    assert set(seen.values()) == {1} and len(seen) == len(ROWS)


def test_results_that_are_lost_or_of_other_rows_are_made_again(corpus, monkeypatch):
    whole, lost = pipeline(corpus, "whole"), pipeline(corpus, "lost")
    assert run(whole) == 0
    keep = ResultsInJob.keep

    def half(self, step, unit, table, rows, result):
        if unit.unit_id.startswith("000000"):
            keep(self, step, unit, table.slice(0, 1), rows[:1], result) if len(rows) == 1 else None
        else:
            keep(self, step, unit, table, rows, result)

    monkeypatch.setattr(ResultsInJob, "keep", half)
    assert run(lost) == 0
    assert uppercase.dataset(output(lost)) == uppercase.dataset(output(whole))


@pytest.mark.parametrize("units", [0, 1])
def test_a_run_that_was_interrupted_goes_on_where_it_was(corpus, monkeypatch, units):
    more = {"common": "unit_rows: 4"}
    whole, stopped = pipeline(corpus, "whole", **more), pipeline(corpus, "stopped", **more)
    assert run(whole) == 0
    run_unit, done = UnitRunner.run, []

    def stops(self, unit, **how):
        if len(done) == units:
            raise KeyboardInterrupt
        done.append(unit)
        return run_unit(self, unit, **how)

    with monkeypatch.context() as patch:
        patch.setattr(UnitRunner, "run", stops)
        assert run(stopped) == 130
    assert run(stopped) == 0
    assert uppercase.dataset(output(stopped)) == uppercase.dataset(output(whole))


KILLED = """
import sys
import jobs.finalize.merge
from jobs import cli
from jobs.execution import supervisor
from tests.jobs import uppercase
uppercase.stay_here()
supervisor.run_units = uppercase.inline_units_of_any_job
jobs.finalize.merge.merge_all = uppercase.inline_merges
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("at", ["fused.after_result:2", "commit.after_kept:2", "finalize.before_completed"])
def test_a_run_that_was_killed_goes_on_where_it_was(corpus, at):
    """In the pass that dedup makes first, in a unit, and at the end."""
    whole, killed = (pipeline(corpus, name, common="unit_rows: 4") for name in ("whole", "killed"))
    assert run(whole) == 0
    env = {**os.environ, "CODEMILL_FAILPOINT": f"{at}=kill", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-W", "ignore", "-c", KILLED, "pipeline", str(killed)]
    assert subprocess.run(words, cwd=ROOT, env=env, capture_output=True).returncode == -signal.SIGKILL
    assert run(killed) == 0
    assert uppercase.dataset(output(killed)) == uppercase.dataset(output(whole))
    assert not (output(killed) / "_job" / "fused").exists()


def test_units_that_failed_are_retried_with_the_fused_steps(corpus):
    """The filter alone decides, so what is retried must be what a run without the failure had."""
    whole, retried = (pipeline(corpus, name, common="unit_rows: 2") for name in ("whole", "retried"))
    for path in (whole, retried):
        path.write_text(path.read_text().replace("job: dedup", "job: filter, policy: none"))
    assert run(whole) == 0
    file = corpus / "1.parquet"
    data, times = file.read_bytes(), file.stat()
    run_units = uppercase.inline_units_of_any_job
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.execution.supervisor.run_units", lambda *given: (file.unlink(), run_units(*given))[1])
        assert run(retried) == 3
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert uppercase.dataset(output(retried))["data"] != uppercase.dataset(output(whole))["data"]
    retried.write_text(retried.read_text().replace("policy: none,", "policy: none, retry_failed: true,"))
    assert run(retried) == 0
    assert uppercase.dataset(output(retried)) == uppercase.dataset(output(whole))


def test_rows_that_opted_out_come_first_and_entries_are_reckoned_up_over_all_steps(corpus, capsys):
    (corpus.parent / "gone.txt").write_text("out/gone\n")
    lists = {"common": f"opt_out: [{corpus.parent / 'gone.txt'}]"}
    apart = pipeline(corpus, "apart", fused=False, **lists)
    together = pipeline(corpus, "together", last="strict_opt_out: true", **lists)
    assert run(apart) == run(together) == 0
    assert without_places(uppercase.dataset(output(together))["data"]) == without_places(
        uppercase.dataset(output(apart))["data"]
    )
    assert reasons(output(together)) == reasons(output(apart, "clean"), output(apart))
    assert "2 rows left out by 1 entry" in capsys.readouterr().err


def test_a_fused_filter_grows_with_the_job_around_it(corpus):
    grows = pipeline(corpus, "grows")
    grows.write_text(grows.read_text().replace("job: dedup", "job: filter, policy: none"))
    assert run(grows, "--grow") == 0
    before = {json.dumps(one) for one in uppercase.dataset(output(grows))["data"]}
    write(corpus / "2.parquet", [[row(function(30), "new.py"), row("y = 1  # " + "word " * 400, "long.py")]])
    assert run(grows, "--grow") == 0
    after = {json.dumps(one) for one in uppercase.dataset(output(grows))["data"]}
    assert before < after and len(after) == len(before) + 1
    summary = uppercase.summary(output(grows))
    assert summary["fused_steps"][0]["rows"]["kept"] == summary["rows"]["kept"]


def test_dedup_with_a_fused_filter_grows_to_the_rows_of_separate_steps(corpus):
    apart, together = pipeline(corpus, "apart", fused=False), pipeline(corpus, "together")
    assert run(apart, "--grow") == run(together, "--grow") == 0
    known = row(function(0), "copy.py")
    write(corpus / "2.parquet", [[row(function(30), "new.py"), known, row("y = 1  # " + "word " * 400, "long.py")]])
    assert run(apart, "--grow") == run(together, "--grow") == 0
    one, other = (
        Counter(json.dumps(row, sort_keys=True) for row in without_places(uppercase.dataset(output(path))["data"]))
        for path in (apart, together)
    )
    assert one == other and len(one) > 1
    assert reasons(output(together)) == reasons(output(apart), output(apart, "clean"))


def test_news_of_the_input_do_not_speak_of_growing_where_dedup_is_fused(corpus, capsys):
    path = chain_of(corpus.parent / "out", corpus, ["dedup", "filter"], fused=True, unit_rows=4)
    assert run(path) == 0
    write(corpus / "2.parquet", [[row(function(30), "new.py")]])
    assert run(path, "--grow") == 4
    told = capsys.readouterr().err
    assert "1 file is new" in told and "choose another --output" in told and "--grow takes it in" not in told


def test_the_least_yield_counts_rows_that_reach_the_last_step(corpus):
    low = pipeline(corpus, "low", last="min_yield: 0.6")
    assert run(low) == 0
    summary = uppercase.summary(output(low))
    assert summary["rows"]["kept"] < 0.6 * summary["rows"]["planned"]
    assert run(pipeline(corpus, "lower", last="min_yield: 0.9")) == 5


def test_a_step_that_raises_for_a_row_costs_that_row_alone(corpus, monkeypatch):
    run_filter = FilterWork.run

    def raises(self, unit, table, rows):
        if any(path == "f1.py" for path in table.column("path").to_pylist()):
            raise KeyError("f1")
        return run_filter(self, unit, table, rows)

    monkeypatch.setattr(FilterWork, "run", raises)
    together = pipeline(corpus, "together")
    assert run(together) == 3  # one of twelve is more than a hundredth
    stages = Counter((one["stage"], one["reason"]) for one in uppercase.dataset(output(together))["rejected"])
    assert stages["run", "stage_error"] == 1
    assert uppercase.summary(output(together))["rows"]["kept"] == 6


def test_a_changed_option_of_a_fused_step_is_another_job(corpus, capsys):
    assert run(pipeline(corpus, "together")) == 0
    assert run(pipeline(corpus, "together", first="policy: none")) == 2
    assert (
        "the steps that run inside this one (`fused`), or an option of one of them changed" in capsys.readouterr().err
    )


def test_rows_that_fused_steps_rejected_are_not_retried_without_them(corpus, capsys):
    together = pipeline(corpus, "together")
    assert run(together) == 0
    again = ["filter", "--retry_rejected", str(output(together)), "--output", str(corpus.parent / "again")]
    assert cli.main(again) == 2
    assert (
        "some of its rows were rejected by fused steps (clean), which this job doesn't have" in capsys.readouterr().err
    )


def test_a_fused_step_is_shown_and_chosen_with_the_one_in_which_it_runs(corpus, capsys):
    together = pipeline(corpus, "together")
    assert run(together, "--dry_run") == 0
    told = capsys.readouterr()
    assert "clean: codemill filter, inside unique\n" in told.err and "7 kept, 1 rejected" in told.out
    assert run(together, "--only", "clean") == 2
    assert "step clean runs inside step unique; pass --only that" in capsys.readouterr().err
    assert run(together, "--from_step", "clean") == 0 and output(together).exists()
    assert uppercase.summary(output(together))["pipeline"]["steps"][0]["runs_inside"] == "unique"


REFUSED = (
    (
        "pack",
        "input: IN",
        "job: dedup, input: one",
        "step one: codemill pack can't be fused with the next step; filter",
    ),
    (
        "filter",
        "input: IN",
        "job: dedup, input: IN",
        "step one: it is fused with the step that reads it, but none does",
    ),
    (
        "filter",
        "input: IN",
        "job: pack, input: one",
        "two \\(codemill pack\\) needs its rows as files",
    ),
    (
        "filter",
        "input: IN",
        "job: dedup, input: [one, IN]",
        "step two has to read it, and nothing else, as its input",
    ),
    (
        "filter",
        "input: IN, shard_mb: 9",
        "job: dedup, input: one",
        "shard_mb has no effect in a step that is fused",
    ),
    (
        "filter",
        "input: IN, output: x",
        "job: dedup, input: one",
        "output has no effect in a step that is fused; give",
    ),
    (
        "filter",
        "input: IN",
        "job: dedup, input: one, limit: 3",
        "step two: limit counts rows that come through one",
    ),
    (
        "filter",
        "input: IN, path_column: p",
        "job: dedup, input: one",
        "step two: path_column has to be that of one",
    ),
    (
        "filter",
        "input: IN",
        "job: dedup, input: one, opt_out: a",
        "step two: opt_out has to be that of one, with which",
    ),
    (
        "dedup",
        "input: IN",
        "job: dedup, input: one",
        "one and two have to see all rows each, so only one",
    ),
    (
        "dedup",
        "input: IN",
        "job: filter, input: one, grow: true",
        "step two: it can't grow with one fused, which keeps no",
    ),
    (
        "filter",
        "retry_rejected: o",
        "job: dedup, input: one",
        "step one: --retry_rejected can't be fused with the next",
    ),
    (
        "filter",
        "input: IN, limit: 3",
        "job: filter, input: one, grow: true",
        "step two: --grow takes in all of the",
    ),
    (
        "filter",
        "input: IN, stages: [no.such:Stage]",
        "job: dedup, input: one",
        "step one: .*no.such",
    ),
)


@pytest.mark.parametrize(("job", "first", "second", "line"), REFUSED)
def test_what_cannot_be_fused_is_refused_with_one_line_and_its_place(corpus, job, first, second, line, capsys):
    text = f"output: {corpus.parent}/o\nsteps:\n  one: {{fused: true, job: {job}, {first}}}\n  two: {{{second}}}\n"
    path = corpus.parent / "p.yaml"
    path.write_text(text.replace("IN", str(corpus)))
    assert run(path, "--dry_run") == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and "p.yaml:" in told
    assert re.search(line, told), told


def test_a_step_that_others_read_as_well_and_a_word_that_is_no_truth_value_are_refused(corpus, capsys):
    path = corpus.parent / "p.yaml"
    head = f"output: {corpus.parent}/o\nsteps:\n  one: {{fused: true, job: filter, input: {corpus}}}\n"
    path.write_text(head + "  two: {job: dedup, input: one}\n  three: {job: filter, input: one}\n")
    assert run(path) == 2
    assert "step one: 2 steps read it (two, three), so it has to be written" in capsys.readouterr().err
    path.write_text(head.replace("true", "often") + "  two: {job: dedup, input: one}\n")
    assert run(path) == 2
    assert "step one: fused: expected true or false" in capsys.readouterr().err
