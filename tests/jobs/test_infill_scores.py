"""`codemill infill --score_original`: the reference forward pass's log-probabilities in the rows, resumed or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import infill
from jobs.options import all_options
from tests.golden.make_original_scores import FILES, GOLDEN, MAX_NEW_TOKENS, MAX_PROMPT_TOKENS, SPANS

ROOT = Path(__file__).parents[2]
COLUMNS = ["original_logprob", "original_tokens"]


def run(corpus: Path, output: Path, *flags: str, **environment: str) -> subprocess.CompletedProcess:
    words = [
        *(sys.executable, "-m", "jobs", "infill", "--input", str(corpus), "--output", str(output)),
        *("--spans_per_file", str(SPANS), "--max_prompt_tokens", str(MAX_PROMPT_TOKENS)),
        *("--max_new_tokens", str(MAX_NEW_TOKENS), "--require", "not_empty", "--unit_rows", "1", "--slots", "4"),
        *("--compile_cache", str(corpus.parent / "programs"), "--workers", "1", *flags),
    ]
    variables = {**os.environ, "JAX_PLATFORMS": "cpu", **environment}
    return subprocess.run(words, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scores") / "corpus.parquet"
    columns = {"content": list(FILES.values()), "path": list(FILES), "language": ["Python"] * len(FILES)}
    pq.write_table(pa.table(columns), path)
    return path


def scores_of(output: Path) -> dict[str, tuple[float, int]]:
    rows = [row for file in sorted((output / "data").glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    found = {f"{r['path']}:{r['lineage']['target']}": (r["original_logprob"], r["original_tokens"]) for r in rows}
    assert len(found) == len(rows) > SPANS
    return found


@pytest.mark.parametrize("determinism", ["fast", "exact"])
def test_rows_have_the_golden_scores_also_after_a_workers_death(corpus: Path, tmp_path: Path, determinism: str) -> None:
    done = run(
        *(corpus, tmp_path / "out", "--score_original", "--determinism", determinism),
        CODEMILL_FAILPOINT="commit.after_kept:2=kill",
    )
    assert done.returncode == 0, done.stderr
    assert "the worker died (SIGKILL)" in done.stderr
    golden = json.loads(GOLDEN.read_text())
    for target, (logprob, tokens) in scores_of(tmp_path / "out").items():
        assert tokens == golden[target]["original_tokens"]
        assert logprob == pytest.approx(golden[target]["original_logprob"], abs=1e-3)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["counts"]["original_tokens"] == sum(tokens for _, tokens in scores_of(tmp_path / "out").values())


def schema_of(**changes: object) -> list[str]:
    options = infill.Options(input=("in",), output="out", max_prompt_tokens=64, max_new_tokens=16, **changes)
    return infill.build_work(all_options(options)).output_schema(pa.schema({"content": pa.string()})).names


def test_the_columns_are_there_only_if_asked_for() -> None:
    without, scored = schema_of(), schema_of(score_original=True)
    assert [name for name in scored if name not in without] == COLUMNS
    assert [name for name in scored if name in without] == without
