"""After `codemill forget` no file of an output has the path, the text or a hash of a removed row: all are read."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from tests.jobs import uppercase
from transforms.corpus.rows import git_blob_id
from transforms.growth.identity import HASH_BYTES

REPOSITORY, PATH, WORD = "gone/zqowner", "src/zqpath.py", "zqword"
JOB_FLAGS = ["--progress", "none", "--unit_rows", "5"]
MAKES = {
    "filter": ["--no-quality", "--policy", "none", "--no-decontaminate"],
    "dedup": [],
    "pack": ["--context_length", "512"],
}
LISTED = "_job/forgotten.json"  # what was asked for, so that it never comes back


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


def code(word: str) -> str:
    return "".join(
        f"def {word}_{line}(first, second):\n    return first * {line} + second - {line}\n" for line in range(9)
    )


SECRET = code(WORD)
TWIN = SECRET.replace(f"{WORD}_8", "other_8")  # a near duplicate of it
TRACES = {
    "repository": REPOSITORY.encode(),
    "path": PATH.encode(),
    "text": f"def {WORD}_0".encode(),
    "sha256": hashlib.sha256(SECRET.encode()).hexdigest().encode(),
    "hash": repr(hashlib.sha256(SECRET.encode()).digest()[:HASH_BYTES]).encode(),
    "blob": git_blob_id(SECRET.encode()).encode(),
}


def write(path: Path, *rows: tuple[str, str, str]) -> Path:
    """An input file of repositories, paths and contents."""
    repositories, paths, contents = zip(*rows, strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {"content": contents, "path": paths, "repo_name": repositories}
    table["blob_id"] = [git_blob_id(content.encode()) for content in contents]
    pq.write_table(pa.table(table), path, row_group_size=4)
    return path


def write_input(folder: Path) -> Path:
    others = [("kept/a", f"src/{number}.py", code(f"plain{number}")) for number in range(6)]
    write(folder / "a.parquet", (REPOSITORY, PATH, SECRET), *others)
    return folder


def run(job: str, source: Path, output: Path, *more: str) -> int:
    flags = ["--input", str(source), "--output", str(output)]
    return cli.main([job, *flags, *([] if job == "index" else JOB_FLAGS), *MAKES.get(job, []), *more])


def forget(*words: str | Path) -> int:
    return cli.main(["forget", *map(str, words)])


def asked_by(option: str, folder: Path) -> list[str | Path]:
    """What an option of `forget` gets that names the row."""
    (folder / "list.txt").write_text(f"{REPOSITORY}\n")
    asked: dict[str, list[str | Path]] = {
        "opt_out": [folder / "list.txt"],
        "path": [PATH],
        "content_hash": [hashlib.sha256(SECRET.encode()).hexdigest()],
    }
    return asked[option]


def traces(output: Path, names: list[str]) -> dict[str, list[str]]:
    """The files that have them, in their bytes or in the values of Parquet's columns and of Arrow's metadata."""
    found: dict[str, list[str]] = {}
    for path in sorted(one for one in output.rglob("*") if one.is_file()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            data += repr(table.to_pylist()).encode() + repr(table.schema.metadata).encode()
        if has := [name for name in names if TRACES[name] in data]:
            found[path.relative_to(output).as_posix()] = has
    return found


def all_but(*names: str) -> list[str]:
    return [name for name in TRACES if name not in names]


@pytest.mark.parametrize("job", ["filter", "dedup", "pack", "index"])
@pytest.mark.parametrize("by", ["opt_out", "path", "content_hash"])
def test_no_file_of_an_output_has_anything_of_a_removed_row(job, by, tmp_path):
    output = tmp_path / "out"
    assert run(job, write_input(tmp_path / "in"), output) == 0
    assert len(traces(output, all_but())) >= 1
    assert forget(output, f"--{by}", *asked_by(by, tmp_path)) == 0
    left = traces(output, all_but())
    named = {"opt_out": "repository", "path": "path", "content_hash": "sha256"}[by]
    if job == "index":
        left = {name: has for name, has in left.items() if name != "forgotten.json"}
    else:
        assert left.pop(LISTED) == [named]
    assert left == {}


def test_duplicates_of_a_removed_row_no_longer_name_it(tmp_path):
    """They are of other repositories and stay rejected; what they say of the kept row is where it was read."""
    write_input(tmp_path / "in")
    write(tmp_path / "in/b.parquet", ("kept/b", "src/twin.py", TWIN), ("kept/b", "src/same.py", SECRET))
    output = tmp_path / "out"
    assert run("dedup", tmp_path / "in", output, "--grow") == 0
    write(tmp_path / "in/c.parquet", ("kept/c", "src/late.py", TWIN), ("kept/c", "src/new.py", code("new")))
    assert run("dedup", tmp_path / "in", output, "--grow") == 0
    before = traces(output, ["path"])
    assert {name.partition("/")[0] for name in before} >= {"data", "rejected", "_job", "summary.json", "report.html"}
    (tmp_path / "list.txt").write_text(f"{REPOSITORY}\n")
    assert forget(output, "--opt_out", tmp_path / "list.txt") == 0
    assert traces(output, ["path", "text", "repository", "blob"]) == {LISTED: ["repository"]}
    records = {row["path"]: row for row in uppercase.dataset(output)["rejected"]}
    assert set(records) == {"src/twin.py", "src/same.py", "src/late.py"}
    assert all(row["detail"].startswith("of row 0 in row group 0 of a.parquet: ") for row in records.values())
    summary = uppercase.summary(output)
    assert {one["reason"]: one["count"] for one in summary["rejected"]} == {"exact_duplicate": 1, "near_duplicate": 2}
    first = [(row["name"], row["row_group"], row["row"]) for row in _representatives(output)]
    assert len(first) == 6 and ("a.parquet", 0, 0) not in first
    write(
        tmp_path / "in/d.parquet", ("kept/d", "src/again.py", code("plain0")), ("kept/d", "src/more.py", code("more"))
    )
    assert run("dedup", tmp_path / "in", output, "--grow") == 0
    assert [row["path"] for row in uppercase.dataset(output)["data"]].count("src/more.py") == 1
    (late,) = [row for row in uppercase.dataset(output)["rejected"] if row["path"] == "src/again.py"]
    assert late["detail"].startswith("of src/0.py, row ")
    assert traces(output, ["path", "text", "blob"]) == {}


def _representatives(output: Path) -> list[dict[str, Any]]:
    paths = [path for path in output.rglob("representatives.parquet") if "editions" not in path.parts]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


FUSED = {
    "filter in dedup": ("filter, quality: false, policy: none, decontaminate: false", "dedup"),
    "dedup in filter": ("dedup", "filter, quality: false, policy: none, decontaminate: false"),
}


@pytest.mark.parametrize("by", ["opt_out", "path", "content_hash"])
@pytest.mark.parametrize("steps", FUSED.values(), ids=FUSED)
def test_no_file_of_a_job_with_fused_steps_has_anything_of_a_removed_row(steps, by, tmp_path):
    write_input(tmp_path / "in")
    write(tmp_path / "in/b.parquet", ("kept/b", "src/twin.py", TWIN), ("kept/b", "src/empty.py", ""))
    first, last = steps
    (tmp_path / "pipeline.yaml").write_text(
        f"output: {tmp_path}/out\n"
        "common: {progress: none, unit_rows: 5}\n"
        "steps:\n"
        f"  first: {{job: {first}, input: {tmp_path}/in, fused: true}}\n"
        f"  last: {{job: {last}, input: first}}\n"
    )
    assert cli.main(["pipeline", str(tmp_path / "pipeline.yaml")]) == 0
    output = tmp_path / "out/last"
    before = traces(output, ["path"])
    assert {name.partition("/")[0] for name in before} >= {"data", "rejected"}, "a record names the row"
    assert forget(output, f"--{by}", *asked_by(by, tmp_path)) == 0
    named = {"opt_out": "repository", "path": "path", "content_hash": "sha256"}[by]
    assert traces(output, all_but()) == {LISTED: [named]}
    assert [row["path"] for row in uppercase.dataset(output)["rejected"]] == ["src/twin.py", "src/empty.py"]


ASKS = {
    "infill": [],
    "docstring": ["--max_symbols", "2"],
    "generate": ["--what", "file"],
    "annotate": ["--task", "explain", "--any_model", "--max_targets", "2"],
}


@pytest.fixture(scope="module", params=ASKS)
def answered(request, tmp_path_factory) -> Path:
    """The output of a job that runs the embedded model, with what it answered in its rows or in records."""
    folder = tmp_path_factory.mktemp(request.param)
    flags = ["--model", "embedded", "--max_new_tokens", "8", "--max_prompt_tokens", "512", "--rejected_answers"]
    words = [*flags, "--policy", "none", "--limit", "4", *ASKS[request.param]]
    assert run(request.param, write_input(folder / "in"), folder / "out", *words) == 0
    return folder / "out"


@pytest.mark.slow
@pytest.mark.parametrize("by", ["opt_out", "path", "content_hash"])
def test_no_file_of_what_a_model_answered_has_anything_of_a_removed_row(by, answered, tmp_path):
    output = Path(shutil.copytree(answered, tmp_path / "out"))
    before = traces(output, ["path"])
    assert {name.partition("/")[0] for name in before} & {"data", "rejected"}
    assert forget(output, f"--{by}", *asked_by(by, tmp_path)) == 0
    named = {"opt_out": "repository", "path": "path", "content_hash": "sha256"}[by]
    assert traces(output, all_but()) == {LISTED: [named]}
