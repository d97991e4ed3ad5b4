"""A deduplicated dataset that grows keeps one row of each family, and the earlier one as long as it is there."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

import jobs.dedup
import jobs.driver.driver
import jobs.grouping.depending  # noqa: F401 - registers failpoints
from jobs.storage import failpoints
from tests.jobs.growth.nights import Nights, completed, files_of, write_corpus
from transforms.rows.row import content_sha256

WORDS = {name: [f"{name}{i * 7919 % 613}" for i in range(200)] for name in ("one", "two", "three")}
VARIANTS = {
    (name, number): variant
    for name, words in WORDS.items()
    for number, variant in enumerate((" ".join(words), "\n".join(words), " ".join([*words, "more"])))
}
FAMILY = {text: name for (name, _), text in VARIANTS.items()}
POINTS = [n for n in failpoints.names() if n.split(".")[0] in ("growth", "finalize", "commit", "plan", "dedup")]

row = st.tuples(
    st.sampled_from(["a/one", "b/two"]),
    st.sampled_from(["p.py", "q.py", "r.py"]),
    st.sampled_from([*VARIANTS.values(), ""]),
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
    forker = Nights("dedup")
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


def kept(output: Path) -> Counter[tuple[str, str, str]]:
    tables = [pq.read_table(path).to_pylist() for path in sorted((output / "data").glob("*.parquet"))]
    return Counter((row["repo_name"], row["path"], row["content"]) for table in tables for row in table)


def rejected(output: Path) -> list[dict]:
    tables = [pq.read_table(path).to_pylist() for path in sorted((output / "rejected").glob("*.parquet"))]
    return [row for table in tables for row in table if row["reason"] != "repository_opted_out"]


def check(folder: Path, files: dict, opted_out: bool, dropped_gone: bool, before: Counter) -> Counter:
    """Checks the dataset; returns the rows that it has kept."""
    rows = Counter(row for some in files.values() for row in some if not (opted_out and row[0] == "b/two"))
    now = kept(folder / "out")
    by_family = Counter(FAMILY[content] for *_, content in now.elements())
    assert set(by_family.values()) <= {1}
    assert {FAMILY[content] for *_, content in rows if content} <= set(by_family)
    assert all(now[row] for row in before if row in rows), "an earlier row stays as long as it is there"
    if dropped_gone:
        assert not now - rows
        left = Counter((path, content_sha256(content)) for _, path, content in (rows - now).elements())
        assert Counter((row["path"], row["content_sha256"]) for row in rejected(folder / "out")) == left
    ledger = json.loads((folder / "out" / "summary.json").read_text())["rows"]
    assert (ledger["kept"], ledger["output"]) == (now.total(), now.total())
    assert files_of(folder / "out") == set(completed(folder / "out")["files"])
    return now


@pytest.mark.timeout(1800)  # on a busy machine a night may take ten seconds
@hypothesis.settings(
    max_examples=int(os.environ.get("CODEMILL_NIGHTS", "3")),
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate],
)
@hypothesis.given(st.lists(night, min_size=2, max_size=4))
def test_each_night_leaves_one_row_of_each_family_and_keeps_earlier_ones(nights, sequence):
    with tempfile.TemporaryDirectory() as name:
        folder, opted_out, before = Path(name), False, Counter()
        (folder / "list").write_text("b/two\n")
        write_corpus(folder, {"first": [("a/one", "first.py", VARIANTS["one", 0])]})
        grow(nights, folder)
        for one in sequence:
            write_corpus(folder, one["corpus"])
            opted_out = opted_out or one["opt_out"] is not None
            more = ["--opt_out", str(folder / "list")] if opted_out else []
            more += ["--drop_gone"] if one["drop_gone"] else []
            grow(nights, folder, *more, kill=one["kill"] and f"{one['kill'][0]}:{one['kill'][1]}")
            before = check(folder, one["corpus"], opted_out, one["drop_gone"], before)


def test_a_duplicate_is_decided_again_when_the_row_that_stood_for_it_leaves(nights, tmp_path):
    one = [("a/one", "p.py", VARIANTS["one", 0])]
    two = [("a/one", "q.py", VARIANTS["one", 1]), ("a/one", "r.py", VARIANTS["two", 0])]
    write_corpus(tmp_path, {"one": one, "two": two})
    grow(nights, tmp_path)
    assert kept(tmp_path / "out") == Counter([*one, two[1]])
    write_corpus(tmp_path, {"one": [("a/one", "p.py", VARIANTS["three", 0])], "two": two})
    grow(nights, tmp_path, kill="dedup.after_representatives")
    assert "1 replaced, 1 decided again" in (tmp_path / "log").read_text()
    assert kept(tmp_path / "out") == Counter([("a/one", "p.py", VARIANTS["three", 0]), *two])
    assert rejected(tmp_path / "out") == []


def test_a_new_row_names_the_earlier_one_and_does_not_replace_a_shorter_one(nights, tmp_path):
    write_corpus(tmp_path, {"one": [("a/one", "p.py", VARIANTS["one", 0])]})
    grow(nights, tmp_path, "--keep", "longest")
    new = [("a/one", "new.py", VARIANTS["one", 2]), ("a/one", "same.py", VARIANTS["one", 0])]
    write_corpus(tmp_path, {"one": [("a/one", "p.py", VARIANTS["one", 0])], "two": new})
    grow(nights, tmp_path, "--keep", "longest")
    assert [path for _, path, _ in kept(tmp_path / "out")] == ["p.py"]
    reasons = {row["path"]: (row["reason"], row["detail"]) for row in rejected(tmp_path / "out")}
    assert reasons["same.py"] == (
        "exact_duplicate", "of p.py, row 0 in row group 0 of one.parquet: similarity 1.0"
    )  # fmt: skip
    assert reasons["new.py"][0] == "near_duplicate" and "of p.py, row 0 " in reasons["new.py"][1]


def test_texts_of_another_column_are_known_from_earlier_nights(nights, tmp_path):
    more = ["--content_column", "path", "--text_column", "content"]
    write_corpus(tmp_path, {"one": [("a/one", "p.py", VARIANTS["one", 0])]})
    grow(nights, tmp_path, *more)
    rows = [("a/one", "p.py", VARIANTS["one", 1]), ("a/one", "p.py", VARIANTS["two", 0])]
    write_corpus(tmp_path, {"one": [("a/one", "p.py", VARIANTS["one", 0])], "two": rows})
    grow(nights, tmp_path, *more)
    assert [content for *_, content in kept(tmp_path / "out")] == [VARIANTS["one", 0], VARIANTS["two", 0]]


def test_a_row_that_is_similar_to_a_rejected_one_alone_is_kept_in_a_later_night(nights, tmp_path):
    """As docs/growing.md says: at once, the three rows of a chain are one cluster."""
    words = [f"w{i * 7919 % 613}" for i in range(240)]
    chain = [("a/one", f"{start}.py", " ".join(words[start : start + 200])) for start in (0, 8, 16)]
    write_corpus(tmp_path, {"one": chain[:2]})
    grow(nights, tmp_path, "--threshold", "0.9")
    assert kept(tmp_path / "out") == Counter(chain[:1])
    write_corpus(tmp_path, {"one": chain[:2], "two": chain[2:]})
    grow(nights, tmp_path, "--threshold", "0.9")
    assert kept(tmp_path / "out") == Counter([chain[0], chain[2]])
    assert nights.run(tmp_path, "--threshold", "0.9", output="once") == 0
    assert kept(tmp_path / "once") == Counter(chain[:1])
    # And a row between two kept ones is rejected, and joins nothing.
    between = [("a/one", "between.py", chain[1][2])]
    write_corpus(tmp_path, {"one": chain[:2], "two": chain[2:], "three": between})
    grow(nights, tmp_path, "--threshold", "0.9")
    assert kept(tmp_path / "out") == Counter([chain[0], chain[2]])
