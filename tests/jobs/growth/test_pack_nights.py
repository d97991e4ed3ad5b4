"""A packed dataset that grows has every file once, in units that are packed as they would be at once."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import hypothesis
import pyarrow as pa
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
# Grouping and packing in the fork itself, in units of 700 bytes: some repositories share one, some have several.
PREPARE = """
import dataclasses
import jobs.grouping.cutting, jobs.growth.repacking, jobs.grouping.on_disk, jobs.pack, transforms.packing.stages
jobs.grouping.cutting.GROUP_MB = 700e-6
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
    wanted = Counter(
        one for some in corpus.values() for one in some if one[2] and not (opted_out and one[0] == "b/two")
    )
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


# By the hashes of their names, c/three and a/one follow each other and share a unit; b/two has one alone.
FIRST = {
    "one": [("a/one", "p.py", LONG), ("a/one", "q.py", CONTENTS[content_sha256("y = 1\n")])],
    "two": [("b/two", "p.py", LONG), ("c/three", "p.py", f"import r\n{LONG}"), ("c/three", "empty.py", "")],
}
NEW = ("a/one", "r.py", "import q\nx = q.y\n")


@pytest.fixture(scope="module")
def two_editions(nights, tmp_path_factory) -> Path:
    """A folder with a dataset of two editions, and the first of them as `before`; the second packed `a/one` anew."""
    folder = tmp_path_factory.mktemp("nights") / "folder"
    write_corpus(folder, FIRST)
    grow(nights, folder)
    shutil.copytree(folder / "out", folder / "before")
    write_corpus(folder, FIRST | {"three": [NEW]})
    grow(nights, folder)
    shutil.copytree(folder, folder.parent / "kept")
    return folder


@pytest.fixture
def grown(two_editions) -> Path:
    """The same folder, as it was."""
    shutil.rmtree(two_editions)
    shutil.copytree(two_editions.parent / "kept", two_editions)
    return two_editions


def test_only_units_of_changed_repositories_are_packed_anew(nights, grown):
    assert "edition 2: rows: 1 new, 4 packed again; files: 1 new" in (grown / "log").read_text()
    before, now = packed(grown / "before"), packed(grown / "out")
    stays = [(unit, one) for unit, one in before if all(part["repo_name"] == "b/two" for part in one["parts"])]
    assert stays and [(unit, one) for unit, one in now if unit[0] == 1] == stays
    assert {part["repo_name"] for unit, one in now if unit[0] == 2 for part in one["parts"]} == {"a/one", "c/three"}
    check(grown, FIRST | {"three": [NEW]}, False, True)
    assert check_units(nights, grown, FIRST | {"three": [NEW]}) == 3
    assert nights.run(grown, "--grow") == 0
    assert "nothing to do" in (grown / "log").read_text()


def test_a_repository_that_changes_again_is_packed_anew_without_its_former_neighbors(nights, grown):
    before = packed(grown / "out")
    corpus = FIRST | {"three": [NEW], "four": [("a/one", "new.py", LONG)]}
    write_corpus(grown, corpus)
    grow(nights, grown)
    assert "edition 3: rows: 1 new, 3 packed again" in (grown / "log").read_text()
    stays = [(unit, one) for unit, one in before if all(part["repo_name"] != "a/one" for part in one["parts"])]
    assert {part["repo_name"] for _, one in stays for part in one["parts"]} == {"b/two", "c/three"}
    assert [(unit, one) for unit, one in packed(grown / "out") if unit[0] < 3] == stays
    check(grown, corpus, False, True)
    assert check_units(nights, grown, corpus) == 3


def test_a_merged_corpus_has_nothing_new(nights, grown):
    before = packed(grown / "out")
    rows = [*FIRST["two"], NEW, *FIRST["one"]]
    write_corpus(grown, {"all": rows})
    grow(nights, grown)
    assert packed(grown / "out") == before


def test_a_unit_that_only_loses_rows_leaves_without_a_new_one(nights, grown):
    corpus = {"one": FIRST["one"], "two": FIRST["two"][1:], "three": [NEW]}
    write_corpus(grown, corpus)
    grow(nights, grown)
    assert files([one for _, one in packed(grown / "out")])[FIRST["two"][0]] == 1, "rows that are gone stay"
    grow(nights, grown, "--drop_gone")
    assert "edition 4: rows: 0 new, 1 gone; files: the same" in (grown / "log").read_text()
    check(grown, corpus, False, True)


def test_rows_that_are_gone_leave_with_the_unit_that_is_packed_anew(nights, grown):
    write_corpus(grown, {"two": FIRST["two"], "four": [("a/one", "new.py", LONG)]})
    grow(nights, grown)
    assert "1 new, 3 gone; files: 1 new, 2 gone" in (grown / "log").read_text()
    check(grown, {"two": FIRST["two"], "four": [("a/one", "new.py", LONG)]}, False, True)


def test_a_forgotten_file_is_in_no_edition_and_does_not_come_back(nights, grown):
    assert nights.call(grown, ["forget", str(grown / "out"), "--path", "q.py"]) == 0, (grown / "log").read_text()
    corpus = FIRST | {"three": [NEW], "four": [("a/one", "new.py", LONG)]}
    write_corpus(grown, corpus)
    grow(nights, grown)
    shards = [pq.read_table(path).to_pylist() for path in (grown / "out").rglob("data/*.parquet")]
    assert "q.py" not in {part["path"] for rows in shards for one in rows for part in one["parts"]}
    wanted = {name: [one for one in rows if one[1] != "q.py"] for name, rows in corpus.items()}
    check(grown, wanted, False, True)


def test_a_file_that_the_input_has_twice_is_forgotten_twice(nights, grown):
    corpus = FIRST | {"three": [NEW], "four": [("d/four", "p.py", "y = 1\n")] * 2}
    write_corpus(grown, corpus)
    grow(nights, grown)
    (grown / "list").write_text("d/four\n")
    argv = ["forget", str(grown / "out"), "--opt_out", str(grown / "list")]
    assert nights.call(grown, argv) == 0, (grown / "log").read_text()
    check(grown, FIRST | {"three": [NEW]}, False, True)


def test_earlier_editions_are_dropped_and_the_dataset_grows_on(nights, grown):
    assert nights.call(grown, ["retain", str(grown / "out"), "--editions", "1"]) == 0, (grown / "log").read_text()
    corpus = {"two": FIRST["two"], "three": [NEW]}
    write_corpus(grown, corpus)
    grow(nights, grown, "--drop_gone")
    check(grown, corpus, False, True)


def test_units_of_a_grown_dataset_that_were_lost_run_again(nights, grown):
    before = packed(grown / "out")
    (shard,) = (grown / "out" / "data").glob("train-e0002-*")
    shard.unlink()
    (grown / "out" / "COMPLETED").unlink()
    grow(nights, grown)
    assert packed(grown / "out") == before


def test_a_file_that_cannot_be_read_to_its_end_counts_until_it_can(nights, grown):
    (grown / "in" / "bad.parquet").write_bytes(b"PAR1 no")
    for _ in range(2):
        assert nights.run(grown, "--grow") == 3
        assert "bad file bad.parquet" in (grown / "log").read_text().splitlines()[-1]
    (grown / "in" / "bad.parquet").unlink()
    corpus = FIRST | {"three": [NEW], "bad": [("d/four", "p.py", LONG)]}
    write_corpus(grown, corpus)
    grow(nights, grown)
    check(grown, corpus, False, True)


def refused(nights: Nights, folder: Path, *more: str) -> str:
    """What a run that ends with exit code 2 says."""
    before = packed(folder / "out")
    assert nights.run(folder, "--grow", *more) == 2, (folder / "log").read_text()
    assert packed(folder / "out") == before
    return (folder / "log").read_text().splitlines()[-1]


def test_other_options_and_columns_are_refused_in_one_line(nights, grown):
    assert "--context_length was 96, is now 128" in refused(nights, grown, "--context_length", "128")
    assert "can't change" in refused(nights, grown, "--top_lines", "7")
    assert "remove --limit" in refused(nights, grown, "--limit", "7")
    table = pq.read_table(grown / "in" / "one.parquet")
    pq.write_table(table.set_column(1, "path", pa.array([1, 2])), grown / "in" / "other.parquet")
    assert "other.parquet can't be taken in" in refused(nights, grown)


def test_later_rules_of_codemill_are_taken_and_another_policy_is_refused(nights, tmp_path):
    write_corpus(tmp_path, FIRST)
    policy = ("--policy", "annotate")
    grow(nights, tmp_path, *policy)
    path = tmp_path / "out" / "_job" / "job.json"
    job = json.loads(path.read_text())
    version = job["options"]["policy_version"]
    write_corpus(tmp_path, FIRST | {"three": [NEW]})
    for earlier, code in ((version.replace("annotate-", "annotate-0"), 2), (version.replace("rules-", "rules-0"), 0)):
        path.write_text(json.dumps(job | {"options": job["options"] | {"policy_version": earlier}}))
        again = nights.run(tmp_path, "--input_frozen", *policy)
        assert again == code, (tmp_path / "log").read_text()
        assert nights.run(tmp_path, "--grow", *policy) == code, (tmp_path / "log").read_text()
    assert completed(tmp_path / "out")["edition"] == 2


def test_a_damaged_plan_of_an_edition_is_refused(nights, grown):
    write_corpus(grown, FIRST | {"three": [NEW], "four": [("d/four", "p.py", LONG)]})
    assert nights.run(grown, "--grow", failpoint="plan.after_job_file=kill") == -9
    plan = grown / "out" / "_job" / "editions" / "0003" / "plan.parquet"
    plan.write_bytes(plan.read_bytes()[:-1] + b"x")
    assert "is not the plan that this job was started with" in refused(nights, grown)


def test_a_dataset_with_failed_units_does_not_grow(nights, grown):
    path = grown / "out" / "summary.json"
    summary = json.loads(path.read_text())
    summary["units"]["failed"] = 1
    path.write_text(json.dumps(summary))
    write_corpus(grown, FIRST)
    assert "run --retry_failed first" in refused(nights, grown)


def test_a_list_of_rows_that_is_gone_is_refused(nights, grown):
    write_corpus(grown, FIRST)
    (grown / "out" / "_job" / "editions" / "0002" / "live.parquet").unlink()
    assert "live.parquet is missing" in refused(nights, grown)


def test_a_dataset_that_an_earlier_version_grouped_is_refused(nights, grown):
    path = grown / "out" / "_job" / "editions" / "0002" / "grouped.json"
    manifest = json.loads(path.read_text())
    del manifest["schema"], manifest["columns"]
    path.write_text(json.dumps(manifest))
    write_corpus(grown, FIRST)
    assert "an earlier version of codemill began it" in refused(nights, grown)


@pytest.mark.parametrize("point", [name for name in POINTS if name.startswith("growth.")])
def test_a_growth_that_is_killed_goes_on_with_the_same_command(nights, grown, point):
    shutil.rmtree(grown / "out")
    shutil.copytree(grown / "before", grown / "out")
    before = packed(grown / "out")
    corpus = {"one": FIRST["one"][:1], "two": [*FIRST["two"][:2], ("c/three", "empty.py", "z = 1\n")], "three": [NEW]}
    CONTENTS[content_sha256("z = 1\n")] = "z = 1\n"
    write_corpus(grown, corpus)
    assert nights.run(grown, "--grow", "--drop_gone", failpoint=f"{point}=kill") == -9
    if (grown / "out" / "COMPLETED").exists():  # nothing was published yet: the edition before is whole
        assert packed(grown / "out") == before
    assert nights.run(grown, "--grow", "--drop_gone") == 0, (grown / "log").read_text()
    check(grown, corpus, False, True)
