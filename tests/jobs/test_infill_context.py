"""`codemill infill --context repo`: prompts show the repository's other files, whatever the order of the rows."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import infill
from jobs.execution.context import JobContext
from jobs.options import all_options
from model.errors import ConfigError
from transforms.rows.row import content_sha256

ROOT = Path(__file__).parents[2]
TAX = "RATES = {'DE': 0.19}\n\n\ndef rate_of(country):\n    return RATES.get(country, 0.2)\n"
MAIL = "# Ask jane.roe" + "@" + "corp-mail.dev before changing anything here.\nLIMIT = 12\n"
CART = (
    "from shop.limits import LIMIT\nfrom shop.tax import rate_of\n\n\ndef taxes(prices, country):\n"
    "    rate = rate_of(country)\n    return [rate * price for price in prices[:LIMIT]]\n"
)
FILES = {"shop/tax.py": TAX, "shop/limits.py": MAIL, "shop/cart.py": CART}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three repositories, of which one has opted out, with their rows mixed over two files."""
    folder = tmp_path_factory.mktemp("context") / "corpus"
    folder.mkdir()
    rows = [
        {"content": content, "path": path, "repo_name": repo_name, "language": "Python", "stars": number}
        for repo_name in ("org/a", "org/b", "gone/c")
        for number, (path, content) in enumerate(FILES.items())
    ]
    random.Random(1).shuffle(rows)
    for number, part in enumerate((rows[:4], rows[4:])):
        pq.write_table(pa.Table.from_pylist(part), folder / f"{number}.parquet")
    (folder.parent / "opt_out.txt").write_text("gone/c\n")
    return folder


def run(corpus: Path, output: Path, *flags: str, **environment: str) -> subprocess.CompletedProcess:
    words = [
        *(sys.executable, "-m", "jobs", "infill", "--input", str(corpus), "--output", str(output), "--context", "repo"),
        *(
            "--max_prompt_tokens",
            "400",
            "--context_tokens",
            "250",
            "--max_new_tokens",
            "4",
            "--require",
            "not_empty",
            "--unit_rows",
            "2",
        ),
        *("--opt_out", str(corpus.parent / "opt_out.txt"), "--span_kinds", "function_body", "--slots", "4"),
        *("--compile_cache", str(corpus.parent / "programs"), "--workers", "1", "--determinism", "exact", *flags),
    ]
    variables = {**os.environ, "JAX_PLATFORMS": "cpu", **environment}
    return subprocess.run(words, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def rows_of(output: Path) -> list[dict]:
    rows = [row for file in sorted((output / "data").glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    return [{**row, "lineage": {**row["lineage"], "engine": ""}} for row in rows]


@pytest.fixture(scope="module")
def done(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("done") / "out"
    finished = run(corpus, output)
    assert finished.returncode == 0, finished.stderr
    return output


def test_each_prompt_shows_what_its_file_imports_and_its_lineage_says_so(done: Path) -> None:
    rows = rows_of(done)
    assert {row["repo_name"] for row in rows} == {"org/a", "org/b"}
    by_file = {(row["repo_name"], row["path"]): row for row in rows}
    for repo_name in ("org/a", "org/b"):
        shown = by_file[repo_name, "shop/cart.py"]["lineage"]["context"]
        assert {file["path"]: file["content_sha256"] for file in shown} == {
            "shop/tax.py": content_sha256(TAX),
            "shop/limits.py": content_sha256(MAIL),
        }
        assert {file["role"] for file in shown} == {"copy"}
        assert by_file[repo_name, "shop/tax.py"]["lineage"]["context"] == []
    assert all(row["stars"] == list(FILES).index(row["path"]) for row in rows), "columns of the input stay"


def test_what_was_shown_is_counted_and_the_grouped_input_is_gone(done: Path) -> None:
    counts = json.loads((done / "summary.json").read_text())["counts"]
    assert (counts["context_copy"], counts["targets_with_context"]) == (4, 2)
    assert counts["context_tokens"] == sum(
        file["tokens"] + 1 for row in rows_of(done) for file in row["lineage"]["context"]
    )
    assert not (done / "_job" / "grouped").exists()


def test_a_job_that_is_killed_and_resumed_makes_the_same_rows(corpus: Path, done: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    killed = run(corpus, output, CODEMILL_FAILPOINT="plan.after_lock=kill")
    assert killed.returncode != 0
    assert (output / "_job" / "grouped").exists()
    resumed = run(corpus, output)
    assert resumed.returncode == 0, resumed.stderr
    assert rows_of(output) == rows_of(done)


@pytest.mark.slow
def test_a_dry_run_counts_the_context_and_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    found = run(corpus, tmp_path / "out", "--dry_run")
    assert found.returncode == 0, found.stderr
    assert "context  up to 250 tokens of a prompt are other files" in found.stdout
    assert not (tmp_path / "out").exists()


def options_of(**changes: object) -> infill.Options:
    return infill.Options(input=("in",), output="out", max_prompt_tokens=64, max_new_tokens=16, **changes)


def test_the_lineage_has_context_only_if_that_was_asked_for(tmp_path: Path) -> None:
    def lineage(**changes: object) -> list[str]:
        work = infill.build_work(all_options(options_of(**changes)))
        kind = work.output_schema(pa.schema({"content": pa.string()})).field("lineage").type
        return [field.name for field in kind]

    assert [*lineage(), "context"] == lineage(context="repo")
    assert JobContext(str(tmp_path)).find() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grow": True}, "so it needs the input as a whole; remove --grow"),
        ({"fused_steps": ("{}",)}, "as files that earlier steps have written; remove `fused`"),
    ],
)
def test_what_would_hide_other_files_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        options_of(context="repo", **changes)
