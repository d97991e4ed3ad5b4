"""Canaries: planted secrets are nowhere in what a job leaves or prints, except where the policy lets them.

Each job runs as a user runs it, with a TMPDIR of its own. Its output is searched byte by byte, and Parquet and Arrow
files also cell by cell, since they are compressed.
"""

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

from transforms.scanning.validators.recipes import fill

ROOT = Path(__file__).parents[2]
PLACES = ("content", "rejected", "unreadable", "path", "repo", "note")
CANARIES = {place: fill("ghp_{crctoken}", random.Random(place)) for place in PLACES}
MAIL = fill("{lower:12}@gmail.com", random.Random(0))
SMALL = "--slots 4 --max_prompt_tokens 256 --workers 1"
NOWHERE = frozenset(CANARIES)

CODE = '''
def function_{number}(items, limit):
    """Adds the first items up to a limit.

    Args:
        items: The numbers.
        limit: How many of them.
    """
    total = {number}
    for item in items[:limit]:
        total += item * {number}
    return total


TOKEN = "{token}"  # ask {mail}
'''


def source(number: int, **more: str | None) -> dict[str, str | None]:
    content = CODE.format(number=number, token=CANARIES["content"], mail=MAIL)
    row = {"content": content, "path": f"module_{number}.py", "repo_name": "owner/repo", "language": "Python"}
    return {**row, "note": "plain", **more}


def sources() -> list[dict[str, str | None]]:
    return [
        source(0),
        source(1, path=f"keys/{CANARIES['path']}/module_1.py"),
        source(2, repo_name=f"owner/{CANARIES['repo']}", note=f"token: {CANARIES['note']}"),
        source(3, content=f"x = '{CANARIES['rejected']}'  # " + "word " * 9000),
        source(4, content=f"x = '\0{CANARIES['unreadable']}'", path=f"{CANARIES['path']}.py"),
        source(5, content="", path=f"{CANARIES['path']}/empty.py", repo_name=CANARIES["repo"]),
    ]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    pq.write_table(pa.Table.from_pylist(sources()), folder / "0.parquet", row_group_size=2)
    (folder / "1.parquet").write_bytes((folder / "0.parquet").read_bytes()[:-900])  # damaged
    return folder


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> str:
    """The default policy, with all columns redacted: no canary may be anywhere."""
    path = tmp_path_factory.mktemp("policy") / "columns.yaml"
    path.write_text('columns: {"*": redact}\n')
    return str(path)


def run(tmp_path: Path, *words: str, code: int = 0) -> str:
    """Runs a job; returns what it printed."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "jobs", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert list(scratch.iterdir()) == [], "temporary files are left"
    return done.stdout


def texts_of(path: Path) -> str:
    """All text in a file: its bytes, and the cells of its table if it is one."""
    text = path.read_bytes().decode("latin-1")
    if path.suffix == ".parquet":
        text += repr(pq.read_table(path).to_pylist())
    elif path.suffix == ".arrow":
        text += repr(pa.ipc.open_file(path).read_all().to_pylist())
    return text


def leaks(output: Path, printed: str) -> dict[str, set[str]]:
    """The places of the canaries that can be found, and where; attempts are not searched."""
    files = {str(path.relative_to(output)): path for path in output.rglob("*") if path.is_file()}
    found: dict[str, set[str]] = {}
    searched = {name: texts_of(path) for name, path in files.items() if not name.startswith("_job/attempts/")}
    assert searched
    for name, text in {**searched, "printed": printed, "names": repr(sorted(files))}.items():
        for place, canary in {**CANARIES, "mail": MAIL}.items():
            if canary in text:
                found.setdefault(place, set()).add(name.partition("/")[0])
    return found


def test_the_search_finds_a_canary_in_a_compressed_table(tmp_path):
    pq.write_table(pa.table({"note": [[{"a": CANARIES["note"]}]] * 9}), tmp_path / "x.parquet", compression="zstd")
    (tmp_path / "log.txt").write_text(MAIL)
    assert leaks(tmp_path, CANARIES["path"]) == {"note": {"x.parquet"}, "path": {"printed"}, "mail": {"log.txt"}}


@pytest.mark.parametrize("job", ["filter", "pack"])
def test_no_canary_is_left_where_the_policy_redacts_all_columns(job, corpus, policy, tmp_path):
    more = ["--context_length", "512"] if job == "pack" else []
    words = [job, "--input", str(corpus), "--output", str(tmp_path / "out"), "--policy", policy, "--workers", "1"]
    printed = run(tmp_path, *words, *more, code=3)
    assert leaks(tmp_path / "out", printed) == {}
    assert pq.read_table(tmp_path / "out" / "data").num_rows
    assert not (tmp_path / "out" / "_job" / "grouped").exists()


@pytest.mark.parametrize("job", ["filter", "pack"])
def test_by_default_only_columns_keep_what_is_reported(job, corpus, tmp_path):
    words = [job, "--input", str(corpus), "--output", str(tmp_path / "out"), "--workers", "1"]
    printed = run(tmp_path, *words, *(["--context_length", "512"] if job == "pack" else []), code=3)
    found = leaks(tmp_path / "out", printed)
    assert found.pop("path") == {"data", "rejected"}
    assert found.pop("repo") == {"data"} and (job == "pack" or found.pop("note") == {"data"})
    assert found == {}


@pytest.mark.parametrize(
    "words",
    [
        "dedup",
        "index",
        "train --tokenizer embedded --num_layers 1 --d_model 16 --d_ff 16 --num_heads 2 --head_dim 8 --length 64 "
        "--min_tokens 32 --batch_rows 2 --num_steps 2 --warmup_steps 1",
    ],
    ids=lambda words: words.split()[0],
)
def test_jobs_without_a_policy_keep_text_in_their_rows_only(words, corpus, tmp_path):
    job, *more = words.split()
    code = 0 if job == "train" else 3
    printed = run(tmp_path, job, "--input", str(corpus), "--output", str(tmp_path / "out"), *more, code=code)
    found = leaks(tmp_path / "out", printed)
    allowed = {"dedup": {"data", "rejected"}, "index": {"files.arrow"}, "train": set()}[job]
    assert set().union(*found.values()) <= allowed
    assert "unreadable" not in found and found.get("path", set()) <= allowed


def test_a_corpus_holds_text_in_its_rows_only(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for row in sources()[:4]:
        path = tree / str(row["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(row["content"]))
    (tree / "binary.py").write_bytes(b"\0\xff" + CANARIES["unreadable"].encode())
    printed = run(tmp_path, "corpus", str(tree), "--output", str(tmp_path / "out"))
    found = leaks(tmp_path / "out", printed)
    assert found == {place: {"data"} for place in ("content", "rejected", "path", "mail")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "infill --max_new_tokens 16 --rejected_answers",
        "docstring --max_new_tokens 32 --rejected_answers",
        "generate --what body --max_new_tokens 32 --rejected_answers",
        "annotate --task explain --any_model --max_new_tokens 32 --rejected_answers",
    ],
    ids=lambda words: words.split()[0],
)
def test_no_canary_is_left_by_a_generation_job(words, corpus, policy, tmp_path):
    job, *more = [*words.split(), *SMALL.split()]
    words = ["--input", str(corpus), "--output", str(tmp_path / "out"), "--policy", policy]
    printed = run(tmp_path, job, *words, *more, code=3)
    assert leaks(tmp_path / "out", printed) == {}
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["targets"]["chosen"]
