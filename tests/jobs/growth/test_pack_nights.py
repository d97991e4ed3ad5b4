"""A packed dataset that grows has every file once, in units that are packed as they would be at once."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import hypothesis
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

import jobs.driver.driver
import jobs.growth.repacking  # noqa: F401 - registers failpoints
from jobs.growth.editions import edition_of_shard
from jobs.storage import failpoints
from tests.jobs.growth.nights import Nights, completed, files_of, write_corpus
from transforms.rows.row import content_sha256

PACK = ("pack", "--policy", "none", "--context_length", "96")
# Grouping and packing in the fork itself, in units of 300 bytes, so that some repositories share one.
PREPARE = """
import dataclasses
import jobs.grouping.cutting, jobs.growth.repacking, jobs.grouping.on_disk, jobs.pack, transforms.packing.stages
jobs.grouping.cutting.GROUP_MB = 300e-6
def group(self, inputs, folder, limit, settings):
    settings = dataclasses.replace(settings, workers=0)
    return jobs.grouping.on_disk.group_on_disk(inputs, folder, limit, settings)
LocalRunner.group = group
transforms.packing.stages.load_tokenizer("embedded")
"""
LONG = "".join(f"def f{number}(x):\n    return x + {number}\n\n" for number in range(9))
CONTENTS = {content_sha256(text): text for text in ("import q\nx = q.y\n", "y = 1\n", "", LONG, f"import r\n{LONG}")}
POINTS = [name for name in failpoints.names() if name.split(".")[0] in ("growth", "finalize", "commit", "plan")]

Row = tuple[str, str, str]
row = st.tuples(
    st.sampled_from(["a/one", "b/two", "c/three", "d/four"]),
    st.sampled_from(["p.py", "q.py", "r.py"]),
    st.sampled_from(sorted(CONTENTS.values())),
)
corpus = st.dictionaries(st.sampled_from(["one", "two", "three"]), st.lists(row, min_size=1, max_size=5), min_size=1)
night = st.fixed_dictionaries(
    {
        "corpus": corpus,
        "opt_out": st.sampled_from([None, None, "b/two"]),
        "drop_gone": st.booleans(),
        "kill": st.none() | st.tuples(st.sampled_from(POINTS), st.integers(1, 2)),
    }
)


@pytest.fixture(scope="module")
def nights():
    forker = Nights(*PACK, prepare=PREPARE)
    yield forker
    forker.close()


def grow(nights: Nights, folder: Path, *more: str, kill: str | None = None) -> None:
    """Grows the dataset in one run, or in one that is killed and the same once more."""
    if kill is not None:
        code = nights.run(folder, "--grow", *more, failpoint=f"{kill}=kill")
        assert code in (-9, 0, 5), (folder / "log").read_text()
        if code != -9:
            return
    assert nights.run(folder, "--grow", *more) in (0, 5), (folder / "log").read_text()


def packed(output: Path) -> list[tuple[tuple[int, int], dict]]:
    """The rows, each with the edition and the unit that packed it."""
    found = []
    for path in sorted((output / "data").glob("*.parquet")):
        edition = edition_of_shard(path.name)
        found += [((edition, row.pop("unit")), row) for row in pq.read_table(path).to_pylist()]
    return found


def files(rows: list[dict]) -> Counter[Row]:
    """The files that are in rows, with how often they are."""
    pieces: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    for one in rows:
        for part in one["parts"]:
            if part["role"] == "file":
                pieces[part["repo_name"], part["path"], part["content_sha256"]].append((part["start"], part["end"]))
    found: Counter[Row] = Counter()
    for (repository, path, sha256), spans in pieces.items():
        text = CONTENTS[sha256]
        times, rest = divmod(sum(end - start for start, end in spans), len(text))
        assert not rest and sum(end == len(text) for _, end in spans) == times
        found[repository, path, text] = times
    return found


def check(folder: Path, corpus: dict, opted_out: bool, dropped_gone: bool) -> None:
    """Checks what any edition must be like."""
    wanted = Counter(one for some in corpus.values() for one in some if one[2] and not (opted_out and one[0] == "b/two"))
    now = packed(folder / "out")
    assert not wanted - files([row for _, row in now])
    if dropped_gone:
        assert files([row for _, row in now]) == wanted
    units: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for unit, one in now:
        for part in one["parts"]:
            units[part["repo_name"]].add(unit)
    assert all(len({edition for edition, _ in each}) == 1 for each in units.values()), "a repository is in one edition"
    ledger = json.loads((folder / "out" / "summary.json").read_text())["rows"]
    assert (ledger["kept"], ledger["output"]) == (files([row for _, row in now]).total(), len(now))
    assert files_of(folder / "out") == set(completed(folder / "out")["files"])


def check_units(nights: Nights, folder: Path, corpus: dict) -> int:
    """Packs the repositories of each unit by themselves, and compares; returns the number of units."""
    rows_of: dict[frozenset[str], list[dict]] = defaultdict(list)
    by_unit: dict[tuple[int, int], set[str]] = defaultdict(set)
    now = packed(folder / "out")
    for unit, one in now:
        by_unit[unit].update(part["repo_name"] for part in one["parts"])
    for unit, one in now:
        rows_of[frozenset(by_unit[unit])].append(one)
    for number, (repositories, rows) in enumerate(rows_of.items()):
        alone = folder / str(number)
        own = [one for some in corpus.values() for one in some if one[0] in repositories]
        write_corpus(alone, {"all": own})
        assert nights.run(alone, output="once") in (0, 5), (alone / "log").read_text()
        assert [one for _, one in packed(alone / "once")] == rows
    return len(by_unit)


@pytest.mark.timeout(1800)  # on a busy machine a night may take ten seconds
@hypothesis.settings(
    max_examples=int(os.environ.get("CODEMILL_NIGHTS", "3")),
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate],
)
@hypothesis.given(st.lists(night, min_size=2, max_size=4), corpus)
def test_each_night_leaves_every_file_once_in_units_that_are_packed_as_at_once(nights, sequence, last):
    with tempfile.TemporaryDirectory() as name:
        folder, opted_out = Path(name), False
        (folder / "list").write_text("b/two\n")
        write_corpus(folder, {"first": [("a/one", "first.py", LONG)]})
        grow(nights, folder)
        for one in [*sequence, {"corpus": last, "opt_out": None, "drop_gone": True, "kill": None}]:
            write_corpus(folder, one["corpus"])
            opted_out = opted_out or one["opt_out"] is not None
            more = ["--opt_out", str(folder / "list")] if opted_out else []
            more += ["--drop_gone"] if one["drop_gone"] else []
            grow(nights, folder, *more, kill=one["kill"] and f"{one['kill'][0]}:{one['kill'][1]}")
            check(folder, one["corpus"], opted_out, one["drop_gone"])
        check_units(nights, folder, last)
