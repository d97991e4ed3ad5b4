"""A corpus that grew over many nights has the rows of one that was made at once."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

import jobs.collecting.output
import jobs.finalize.rewriting  # noqa: F401 - registers failpoints
from jobs.growth.editions import read_manifest
from jobs.storage import failpoints
from jobs.storage.folders import OutputFolder
from tests.jobs.growth.nights import ROOT, Nights

LICENSE = (ROOT / "LICENSE").read_bytes()
CONTENTS = [b"x = 1\n", b"y = 2\n", b"\0\1\2", "# ü\n".encode(), LICENSE]
PATHS = ["a.py", "b.py", "sub/a.py", "sub/c.py", "LICENSE"]
POINTS = [name for name in failpoints.names() if name.split(".")[0] == "rewrite"]

folder_of_files = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(CONTENTS), max_size=5)
night = st.fixed_dictionaries(
    {
        "sources": st.dictionaries(st.sampled_from(["one", "two", "three"]), folder_of_files, min_size=1),
        "opt_out": st.sampled_from([None, None, None, "two"]),
        "drop_gone": st.booleans(),
        "kill": st.none() | st.tuples(st.sampled_from(POINTS), st.integers(1, 2)),
    }
)


@pytest.fixture(scope="module")
def nights():
    forker = Nights("corpus")
    yield forker
    forker.close()


def write(folder: Path, sources: dict[str, dict[str, bytes]]) -> list[str]:
    """Makes `folder/in` have exactly these sources; returns their paths."""
    shutil.rmtree(folder / "in", ignore_errors=True)
    for name, files in sources.items():
        (folder / "in" / name).mkdir(parents=True)
        for path, content in files.items():
            (folder / "in" / name / path).parent.mkdir(exist_ok=True)
            (folder / "in" / name / path).write_bytes(content)
    return [str(folder / "in" / name) for name in sources]


def run(nights: Nights, folder: Path, sources: list[str], *more: str, output: str = "out", kill: str = "") -> int:
    argv = ["corpus", *sources, "--output", str(folder / output), "--progress", "none", "--workers", "1", *more]
    return nights.call(folder, argv, failpoint=f"{kill}=kill" if kill else "none=raise")


def dataset(output: Path, files: list[str] | None = None) -> Counter[str]:
    """The rows of a corpus; the times at which folders were retrieved aside."""
    paths = sorted((output / "data").glob("*.parquet")) if files is None else [output / path for path in files]
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    return Counter(json.dumps({**row, "retrieved_at": None}) for row in rows)


def rejections(output: Path) -> Counter[tuple[str, str, str]]:
    rows = [row for path in (output / "rejected").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return Counter((row["uri"], row["path"], row["reason"]) for row in rows)


def summary(output: Path) -> dict:
    return json.loads((output / "summary.json").read_text())


def check(folder: Path) -> None:
    """The summary is that of the files, and each edition has the files that its manifest names."""
    told = summary(folder / "out")
    assert told["rows_kept"] == dataset(folder / "out").total() == sum(told["languages"].values())
    assert told["rows_rejected"] == rejections(folder / "out").total() == sum(told["rejected"].values())
    assert told["files_seen"] == told["rows_kept"] + told["rows_rejected"] + told.get("rows_removed", 0)
    assert told["shards"] == len(list((folder / "out" / "data").glob("*.parquet")))
    for one in told.get("editions", []):
        files = read_manifest(OutputFolder(str(folder / "out"), one["edition"]))["files"]
        assert {path: (folder / "out" / path).stat().st_size for path in files} == files
    notice = folder / "out" / "NOTICE.parquet"
    rows = pq.read_table(notice)["rows"].to_pylist() if notice.exists() else []
    assert sum(rows) == told["rows_kept"] and told["repositories"] == len(rows)


@pytest.mark.timeout(1800)
@hypothesis.settings(
    max_examples=int(os.environ.get("CODEMILL_NIGHTS", "4")),
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate],
)
@hypothesis.given(st.lists(night, min_size=2, max_size=4))
def test_nights_give_the_rows_of_one_run(nights, sequence):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "list").write_text("local/two\ntwo\n")
        assert run(nights, folder, write(folder, {"one": {"first.py": CONTENTS[0]}}), "--grow") == 0
        lists: list[str] = []
        for one in [*sequence, {**sequence[-1], "drop_gone": True, "kill": None}]:
            sources = write(folder, one["sources"])
            lists = lists or (["--opt_out", str(folder / "list")] if one["opt_out"] else [])
            more = [*lists, "--grow", *(["--drop_gone"] if one["drop_gone"] else [])]
            if one["kill"]:
                code = run(nights, folder, sources, *more, kill=f"{one['kill'][0]}:{one['kill'][1]}")
                assert code in (-9, 0), (folder / "log").read_text()
            assert run(nights, folder, sources, *more) == 0, (folder / "log").read_text()
            check(folder)
            if one["drop_gone"] and any(one["sources"].values()):
                assert run(nights, folder, sources, *lists, output="once") == 0, (folder / "log").read_text()
                assert dataset(folder / "out") == dataset(folder / "once")
                assert rejections(folder / "out") == rejections(folder / "once")
                shutil.rmtree(folder / "once")


@pytest.mark.parametrize("point", POINTS)
def test_a_growth_that_is_killed_goes_on_with_the_same_command(nights, tmp_path, point):
    first = {"one": {"a.py": CONTENTS[0], "b.py": CONTENTS[1], "stays.py": CONTENTS[0], "x.bin": CONTENTS[2]}}
    assert run(nights, tmp_path, write(tmp_path, first)) == 0
    before = dataset(tmp_path / "out")
    then = {"one": {"a.py": CONTENTS[1], "stays.py": CONTENTS[0], "x.bin": CONTENTS[3]}, "two": {"new.py": CONTENTS[0]}}
    sources = write(tmp_path, then)
    assert run(nights, tmp_path, sources, "--grow", "--drop_gone", kill=point) == -9, (tmp_path / "log").read_text()
    if (tmp_path / "out" / "COMPLETED").exists() and point not in ("rewrite.after_completed", "rewrite.after_ended"):
        assert dataset(tmp_path / "out") == before
    assert run(nights, tmp_path, sources, "--grow", "--drop_gone") == 0, (tmp_path / "log").read_text()
    check(tmp_path)
    assert run(nights, tmp_path, sources, output="once") == 0
    assert dataset(tmp_path / "out") == dataset(tmp_path / "once")
    assert rejections(tmp_path / "out") == rejections(tmp_path / "once")
    assert [one["edition"] for one in summary(tmp_path / "out")["editions"]] == [1, 2]
    first_edition = read_manifest(OutputFolder(str(tmp_path / "out"), 1))["files"]
    assert dataset(tmp_path / "out", [path for path in first_edition if "data/" in path]) == before
    assert not list((tmp_path / "out" / "_job" / "rewrites").glob("*"))


def test_news_is_told_until_the_corpus_has_taken_it_in(nights, tmp_path):
    sources = write(tmp_path, {"one": {"a.py": CONTENTS[0], "b.py": CONTENTS[1]}})
    assert run(nights, tmp_path, sources, "--grow") == run(nights, tmp_path, sources) == 0
    write(tmp_path, {"one": {"a.py": CONTENTS[1], "c.py": CONTENTS[0]}})
    assert run(nights, tmp_path, sources) == 4
    assert run(nights, tmp_path, sources, "--grow") == 0
    assert run(nights, tmp_path, sources) == run(nights, tmp_path, sources, "--grow") == 0
    told = summary(tmp_path / "out")["editions"][-1]
    assert (told["rows_new"], told["rows_replaced"], told["files_gone"], told["edition"]) == (2, 1, 1, 2)
    assert run(nights, tmp_path, sources, "--grow", "--max_content_mb", "1") == 2  # another option
    before = dataset(tmp_path / "out")
    assert nights.call(tmp_path, ["retain", str(tmp_path / "out"), "--editions", "1"]) == 0
    assert run(nights, tmp_path, sources) == 0 and dataset(tmp_path / "out") == before
    assert not (tmp_path / "out" / "_editions" / "0001" / "manifest.json").exists()


def test_a_file_that_came_back_hides_no_other_that_went(nights, tmp_path):
    files = {"a.py": CONTENTS[0], "b.py": CONTENTS[1]}
    sources = write(tmp_path, {"one": files})
    assert run(nights, tmp_path, sources, "--grow") == 0
    write(tmp_path, {"one": {"a.py": files["a.py"]}})
    assert run(nights, tmp_path, sources, "--grow") == run(nights, tmp_path, sources) == 0  # the row stays
    write(tmp_path, {"one": {"b.py": files["b.py"]}})
    assert run(nights, tmp_path, sources) == 4
    assert "1 is gone since this corpus was made" in (tmp_path / "log").read_text()
    assert run(nights, tmp_path, sources, "--grow") == run(nights, tmp_path, sources) == 0


def test_a_license_that_changes_is_that_of_the_files_below_it(nights, tmp_path):
    files = {"a.py": CONTENTS[0], "sub/c.py": CONTENTS[1]}
    sources = write(tmp_path, {"one": files})
    assert run(nights, tmp_path, sources) == 0
    write(tmp_path, {"one": {**files, "LICENSE": LICENSE}})
    assert run(nights, tmp_path, sources, "--grow") == 0
    rows = [json.loads(row) for row in dataset(tmp_path / "out")]
    assert len(rows) == 3 and all(row["detected_licenses"] for row in rows)
    write(tmp_path, {"one": files})
    assert run(nights, tmp_path, sources, "--grow", "--drop_gone") == 0
    rows = [json.loads(row) for row in dataset(tmp_path / "out")]
    assert len(rows) == 2 and not any(row["detected_licenses"] for row in rows)


def test_a_source_that_comes_later_leaves_the_names_of_the_others(nights, tmp_path):
    sources = write(tmp_path, {"x/one": {"x.bin": CONTENTS[2]}, "y/one": {"x.bin": CONTENTS[2]}})
    assert run(nights, tmp_path, sources[:1]) == 0
    assert run(nights, tmp_path, sources, "--grow") == 0
    assert set(rejections(tmp_path / "out")) == {(name, "x.bin", "binary_content") for name in ("one", "y/one")}
