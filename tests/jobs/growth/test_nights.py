"""A dataset that grew over many nights, with kills in between, has the rows of one that was made at once."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import hypothesis
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

import jobs.driver.driver  # noqa: F401 - registers failpoints
from jobs.storage import failpoints
from tests.jobs.growth.nights import Nights, completed, dataset, files_of, rejections, write_corpus

CONTENTS = ["def f(a):\n    return a\n", "x = 1\n", "", "print('hello')\n"]  # one is rejected
REPOSITORIES = ["a/one", "b/two", "c/three"]
POINTS = [name for name in failpoints.names() if name.split(".")[0] in ("growth", "finalize", "commit", "plan")]

row = st.tuples(st.sampled_from(REPOSITORIES), st.sampled_from(["p.py", "q.py", "r.py"]), st.sampled_from(CONTENTS))
# Files of few names, so that they come, change, go, come back, and have each other's rows.
corpus = st.dictionaries(st.sampled_from(["one", "two", "three"]), st.lists(row, min_size=1, max_size=5), min_size=1)
night = st.fixed_dictionaries(
    {
        "corpus": corpus,
        "opt_out": st.sampled_from([None, "b/two", "c"]),
        "drop_gone": st.booleans(),
        "forget": st.none() | st.sampled_from(["p.py", "q.py"]),
        "kill": st.none() | st.tuples(st.sampled_from(POINTS), st.integers(1, 2)),
    }
)


@pytest.fixture(scope="module")
def nights():
    forker = Nights()
    yield forker
    forker.close()


def grow(nights: Nights, folder: Path, *more: str, kill: str | None = None) -> None:
    """Grows the dataset in one run, or in one that is killed and the same once more."""
    if kill is not None:
        code = nights.run(folder, "--grow", *more, failpoint=f"{kill}=kill")
        assert code in (-9, 0), (folder / "log").read_text()
        if code == 0:
            return
    assert nights.run(folder, "--grow", *more) == 0, (folder / "log").read_text()


def forget(nights: Nights, folder: Path, path: str) -> bool:
    """Forgets a path, unless no row would be left; returns whether rows were removed: what wasn't there may come."""
    code = nights.call(folder, ["forget", str(folder / "out"), "--path", path])
    told = (folder / "log").read_text()
    assert code == 0 or " would be removed, " in told.splitlines()[-1], told
    return ": removed " in told.splitlines()[-1]


def paths_of(output: Path) -> set[str]:
    """The paths of all rows and records of all editions."""
    shards = [path for part in ("data", "rejected") for path in output.rglob(f"{part}/*.parquet")]
    return {path for shard in shards for path in pq.read_table(shard, columns=["path"])["path"].to_pylist()}


@pytest.mark.timeout(1800)  # on a busy machine a night may take ten seconds
@hypothesis.settings(
    max_examples=int(os.environ.get("CODEMILL_NIGHTS", "3")),
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate],
)
@hypothesis.given(st.lists(night, min_size=2, max_size=4), corpus)
def test_nights_give_the_rows_of_one_run(nights, sequence, last):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opted_out: list[str] = []
        write_corpus(folder, {"first": [("a/one", "first.py", CONTENTS[0])]})
        grow(nights, folder)
        forgotten: set[str] = set()
        sequence = [*sequence, {"corpus": last, "opt_out": None, "drop_gone": True, "forget": None, "kill": None}]
        for one in sequence:
            write_corpus(folder, one["corpus"])
            if one["opt_out"] and one["opt_out"] not in opted_out:
                opted_out.append(one["opt_out"])
                (folder / f"list{len(opted_out)}").write_text("\n".join(opted_out))
            lists = ["--opt_out", str(folder / f"list{len(opted_out)}")] if opted_out else []
            drops = ["--drop_gone"] if one["drop_gone"] else []
            kill = one["kill"] and f"{one['kill'][0]}:{one['kill'][1]}"
            grow(nights, folder, *lists, *drops, kill=kill)
            if one["forget"] and forget(nights, folder, one["forget"]):
                forgotten.add(one["forget"])
            assert files_of(folder / "out") == set(completed(folder / "out")["files"])
            assert not forgotten & paths_of(folder / "out")
            if one["drop_gone"]:
                assert nights.run(folder, *lists, output="once") in (0, 5), (folder / "log").read_text()
                once = {
                    key: n for key, n in dataset(folder / "once").items() if json.loads(key)["path"] not in forgotten
                }
                assert dataset(folder / "out") == once
                once = {key: n for key, n in rejections(folder / "once").items() if key[0] not in forgotten}
                assert rejections(folder / "out") == once
                for path in sorted((folder / "once").rglob("*"), reverse=True):
                    path.rmdir() if path.is_dir() else path.unlink()
                (folder / "once").rmdir()


def test_an_edition_that_was_planned_with_other_opt_outs_is_planned_anew(nights, tmp_path):
    write_corpus(tmp_path, {"one": [("a/one", "p.py", CONTENTS[0])]})
    grow(nights, tmp_path)
    write_corpus(tmp_path, {"one": [("a/one", "p.py", CONTENTS[0])], "two": [("b/two", "q.py", CONTENTS[1])]})
    assert nights.run(tmp_path, "--grow", failpoint="finalize.after_merge=kill") == -9
    (tmp_path / "list").write_text("b/two\n")
    assert nights.run(tmp_path, "--grow", "--opt_out", str(tmp_path / "list")) == 0
    assert "edition 2 was planned with another input or other opt-outs: anew" in (tmp_path / "log").read_text()
    assert nights.run(tmp_path, "--opt_out", str(tmp_path / "list"), output="once") == 0
    assert dataset(tmp_path / "out") == dataset(tmp_path / "once")


@pytest.mark.parametrize("point", [name for name in POINTS if name.startswith("growth.")])
def test_a_growth_that_is_killed_goes_on_with_the_same_command(nights, tmp_path, point):
    rows = [("a/one", f"{number}.py", CONTENTS[0]) for number in range(5)]
    write_corpus(tmp_path, {"one": [*rows, ("a/one", "empty.py", "")]})
    grow(nights, tmp_path)
    before = dataset(tmp_path / "out")
    changed = [("a/one", "0.py", CONTENTS[1]), *rows[1:4], ("a/one", "empty.py", CONTENTS[1])]
    write_corpus(tmp_path, {"one": changed, "two": [("b/two", "new.py", CONTENTS[3])]})
    assert nights.run(tmp_path, "--grow", "--drop_gone", failpoint=f"{point}=kill") == -9
    if (tmp_path / "out" / "COMPLETED").exists():  # nothing was published yet: the edition before is whole
        assert dataset(tmp_path / "out") == before
    assert nights.run(tmp_path, "--grow", "--drop_gone") == 0, (tmp_path / "log").read_text()
    assert nights.run(tmp_path, output="once") == 0
    assert dataset(tmp_path / "out") == dataset(tmp_path / "once")
    assert rejections(tmp_path / "out") == rejections(tmp_path / "once")
    assert completed(tmp_path / "out")["edition"] == 2
    assert files_of(tmp_path / "out") == set(completed(tmp_path / "out")["files"])
