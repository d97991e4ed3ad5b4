from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from jobs.filter import Options, stages_of
from jobs.plan.job_file import SCHEMA_VERSION
from model.errors import ConfigError
from tests.jobs import uppercase
from transforms.filters.work import FilterStages
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.scanning.validators.recipes import fill


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    """Units and merges in this process."""
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


def secret(seed: int = 0) -> str:
    return fill("ghp_{crctoken}", random.Random(seed))


def write_corpus(path: Path, rows: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def row(
    content: str, path: str | None = "a.py", language: str = "Python", repo: str = "o/r", license: str = "MIT"
) -> dict[str, object]:
    return {"content": content, "path": path, "repo_name": repo, "language": language, "detected_licenses": [license]}


def run(corpus: Path, output: Path, *more: str) -> int:
    return cli.main(["filter", "--input", str(corpus), "--output", str(output), "--progress", "none", *more])


def kept(output: Path) -> list[dict[str, object]]:
    return uppercase.dataset(output)["data"]


def reasons(output: Path) -> list[tuple[str, str]]:
    return [(r["stage"], r["reason"]) for r in uppercase.dataset(output)["rejected"]]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("filter")
    (folder / "opt_out.txt").write_text("# asked for it\nGone/Repo\n")
    corpus = write_corpus(
        folder / "in.parquet",
        [
            row(f'TOKEN = "{secret()}"\n'),
            row("def f(x):\n    return x\n"),
            row("y = 1  # " + "word " * 400 + "\n", path="long.py"),
            row("y = 1\n", repo="gone/repo"),
            row("z = 1\n", license="GPL-3.0-only"),
            row("# Licensed under the Apache License, Version 2.0\nw = 1\n", license="GPL-3.0-only"),
        ],
    )
    patch = pytest.MonkeyPatch()
    patch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    patch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)
    with patch.context():
        more = ("--deny_licenses", "GPL-3.0-only", "--opt_out", str(folder / "opt_out.txt"))
        assert run(corpus, folder / "out", *more) == 0
    patch.undo()
    return folder / "out"


def test_a_secret_is_replaced_and_its_span_recorded(outcome):
    first = kept(outcome)[0]
    assert first["content"] == 'TOKEN = "<KEY_1>"\n'
    (finding,) = first["findings"]
    assert (finding["type"], finding["action"], finding["placeholder"]) == ("api_token", "redact", "<KEY_1>")
    assert finding["validated"]
    assert first["lineage"]["content_sha256"] != first["lineage"]["redacted_sha256"]


def test_unfit_rows_are_rejected_with_their_reasons(outcome):
    assert sorted(reasons(outcome)) == [
        ("license", "license_denied"),
        ("opt_out", "repository_opted_out"),
        ("quality", "line_too_long"),
    ]


def test_a_files_own_header_goes_before_its_repositorys_license(outcome):
    assert kept(outcome)[2]["licenses"] == ["Apache-2.0"]


def test_no_output_holds_the_secret(outcome):
    needle = secret().encode()
    files = [path for path in outcome.rglob("*") if path.is_file()]
    assert files and not any(needle in path.read_bytes() for path in files)


def test_the_funnel_counts_rows_and_bytes(outcome):
    counts = json.loads((outcome / "summary.json").read_text())["counts"]
    assert counts["found/api_token/redact"] == counts["rows_redacted"] == 1
    assert counts["redacted/api_token"] == counts["rows_with_redactions"] == 1
    assert counts["bytes_kept"] > 0 and counts["bytes_rejected"] > 2000


def test_the_same_run_twice_gives_the_same_rows(outcome, tmp_path):
    corpus = write_corpus(tmp_path / "in.parquet", [row(f'TOKEN = "{secret()}"\n')])
    assert run(corpus, tmp_path / "a") == run(corpus, tmp_path / "b") == 0
    assert kept(tmp_path / "a") == kept(tmp_path / "b")


def test_an_unknown_policy_type_is_one_line_and_nothing_is_written(tmp_path, capfd):
    (tmp_path / "p.yaml").write_text("actions:\n  emial: drop\n")
    corpus = write_corpus(tmp_path / "in.parquet", [row("a = 1\n")])
    assert run(corpus, tmp_path / "out", "--policy", str(tmp_path / "p.yaml")) == 2
    said = capfd.readouterr().err
    assert "unknown type 'emial'" in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_benchmarks_without_text_are_one_line_and_the_output_stays_free_for_others(tmp_path, capfd):
    corpus, output, own = write_corpus(tmp_path / "in.parquet", [row("x = 1\n")]), tmp_path / "out", tmp_path / "own"
    assert run(corpus, output, "--benchmarks", str(own)) == 2
    assert "own: expected a folder with files *.parquet, found none" in capfd.readouterr().err
    own.mkdir()
    pq.write_table(pa.table({"text": ["a text of its own"]}), own / "own.parquet")
    assert run(corpus, output, "--benchmarks", str(own)) == 0


def test_an_input_column_that_has_a_results_name_is_kept_under_another(tmp_path):
    rows = [{**row("a = 1\n"), "licenses": "theirs", "findings": 3}]
    del rows[0]["detected_licenses"]
    assert run(write_corpus(tmp_path / "in.parquet", rows), tmp_path / "out") == 0
    (made,) = kept(tmp_path / "out")
    assert (made["input_licenses"], made["licenses"]) == ("theirs", [])
    assert (made["input_findings"], made["findings"]) == (3, [])
    assert list(made)[-5:] == ["findings", "contamination", "licenses", "checks", "lineage"]


def test_what_a_filter_wrote_can_be_filtered_again_and_comes_out_the_same(outcome, tmp_path):
    assert run(outcome / "data", tmp_path / "again") == 0
    first, again = kept(outcome), kept(tmp_path / "again")
    assert [r["content"] for r in again] == [r["content"] for r in first]
    assert [r["input_licenses"] for r in again] == [r["licenses"] for r in first]


def test_a_dropped_row_names_the_same_stage_in_every_job_and_an_unknown_path_is_null(tmp_path):
    (tmp_path / "drop.yaml").write_text("extends: default\nactions:\n  api_token: drop\n")
    rows = [row(f'TOKEN = "{secret()}"\n', path=path) for path in ("a.py", "", None)]
    corpus = write_corpus(tmp_path / "in.parquet", rows)
    assert run(corpus, tmp_path / "out", "--policy", str(tmp_path / "drop.yaml")) == 0
    rejected = pq.read_table(tmp_path / "out/rejected").to_pylist()
    assert [r["path"] for r in rejected] == ["a.py", None, None]
    assert reasons(tmp_path / "out") == [("filter_input", "secret_in_input")] * 3
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    told = {"kind": "row", "stage": "filter_input", "reason": "secret_in_input", "count": 3}
    (reason,) = summary["rejected"]
    assert told.items() <= reason.items() and summary["counts"]["found/api_token/drop"] == 3
    assert reason["example"]["path"] == "a.py" and reason["example"]["detail"].startswith("by rule ")


def test_an_output_of_the_columns_before_is_refused_in_one_line(tmp_path, capfd):
    corpus = write_corpus(tmp_path / "in.parquet", [row("a = 1\n")])
    assert run(corpus, tmp_path / "out") == 0
    job = tmp_path / "out/_job/job.json"
    job.write_text(json.dumps(json.loads(job.read_text()) | {"schema_version": "1"}))
    (tmp_path / "out/COMPLETED").unlink()
    capfd.readouterr()
    assert run(corpus, tmp_path / "out") == 2
    said = capfd.readouterr().err
    assert f"schema version 1, this codemill writes version {SCHEMA_VERSION}" in said and said.count("\n") == 1


# --- the list of stages ----------------------------------------------------------------------------

OPTIONS: dict[str, Any] = {"input": ("in",), "output": "out"}


def source_row(content: str, path: str = "a.py") -> Row:
    sha256 = content_sha256(content)
    return Row(SourceRef("in.parquet", 0, 0), content, sha256, sha256, path)


def test_the_jobs_stages_run_the_cheap_ones_first_and_their_columns_keep_their_order():
    stages = FilterStages(stages_of(Options(**OPTIONS)))
    assert [stage.name for stage in stages.stages] == ["license", "quality", "quality", "contamination", "filter_input"]
    assert [field.name for field in stages.fields] == ["findings", "contamination", "licenses", "checks"]


def test_stages_that_are_switched_off_give_the_same_columns_and_let_all_through():
    off = Options(**OPTIONS, policy="none", quality=False, decontaminate=False, drop_generated=False)
    stages = FilterStages(stages_of(off))
    stages.open()
    assert stages.fields == FilterStages(stages_of(Options(**OPTIONS))).fields
    assert stages.version == "none"
    made = source_row("# Code generated by protoc. DO NOT EDIT.\n" + secret() + "word " * 500, "a_pb2.py")
    result = stages.filter(made)
    assert result.rejection is None and result.content == made.content
    assert set(result.columns) == {"findings", "contamination", "licenses", "checks"}


def test_stages_travel_to_the_pools_processes():
    stages = FilterStages(stages_of(Options(**OPTIONS)))
    copy = pickle.loads(pickle.dumps(stages))  # noqa: S301 - our own bytes
    copy.open()
    assert copy.fields == stages.fields and copy.version == stages.version
    assert copy.filter(source_row(f'T = "{secret()}"\n')).content == 'T = "<KEY_1>"\n'


def test_an_unknown_license_is_refused_before_anything_runs():
    with pytest.raises(ConfigError, match="is not an SPDX license identifier"):
        stages_of(Options(**OPTIONS, deny_licenses=("MITT",)))


def test_a_secret_in_a_path_is_reported_or_redacted_as_the_policy_says(tmp_path):
    rows = [row("x = 1\n", f"a/{secret()}/x.py"), row("x = 2\n", f"a/{secret(1)}/x.py"), row("", f"{secret()}.py")]
    corpus = write_corpus(tmp_path / "in.parquet", rows)
    assert run(corpus, tmp_path / "reported") == 0
    first = kept(tmp_path / "reported")[0]
    assert first["path"] == rows[0]["path"]
    assert [(finding["column"], finding["action"]) for finding in first["findings"]] == [("path", "keep")]
    counts = json.loads((tmp_path / "reported" / "summary.json").read_text())["counts"]
    assert counts["found_in/path/api_token/keep"] == 3 and "found/api_token/keep" not in counts
    (tmp_path / "policy.yaml").write_text("columns: {path: redact}\n")
    assert run(corpus, tmp_path / "redacted", "--policy", str(tmp_path / "policy.yaml")) == 0
    paths = [found["path"] for found in kept(tmp_path / "redacted")]
    assert len(set(paths)) == 2 and all(path.startswith("a/<KEY_") for path in paths)
    needles = [secret().encode(), secret(1).encode()]
    files = [path for path in (tmp_path / "redacted").rglob("*") if path.is_file()]
    assert not any(needle in path.read_bytes() for path in files for needle in needles)
