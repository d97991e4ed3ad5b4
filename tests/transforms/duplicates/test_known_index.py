"""However files are spread over spools, an index has the same bytes, and says what a plain search would."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.duplicates import known_index
from transforms.duplicates.known_index import IndexWriter, build, merge_bucket, spool_files
from transforms.duplicates.known_text import COPY_TOKENS, MAX_OWNERS, KnownFile
from transforms.rows.ngrams import text_ngrams

files = st.lists(
    st.integers(0, 60).flatmap(
        lambda count: st.integers(0, 30).map(
            lambda start: KnownFile(" ".join(f"w{start + n}" for n in range(count)), "", f"{start}-{count}.py")
        )
    ),
    max_size=12,
)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=15)  # each index has 256 buckets
@given(found=files, cuts=st.lists(st.integers(0, 12), max_size=4), skipped=files)
def test_an_index_does_not_depend_on_the_spools(tmp_path_factory, found, cuts, skipped):
    folder = tmp_path_factory.mktemp("index")
    scratch = folder / "scratch"
    scratch.mkdir()
    assert build(folder / "whole", found) == len(found)
    edges = sorted({0, *(min(cut, len(found)) for cut in cuts), len(found)})
    with IndexWriter(folder / "cut", scratch) as writer:
        for start, end in itertools.pairwise(edges):
            spooled = spool_files(str(scratch / f"spool-{start}"), [*skipped, *found[start:end]])
            writer.add(spooled, skip=len(skipped))
        writer.finish([merge_bucket(task) for task in writer.bucket_tasks()])
    assert contents(folder / "cut") == contents(folder / "whole")


@settings(max_examples=15)  # each index has 256 buckets
@given(found=files)
def test_each_hash_has_its_first_files_as_owners(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("index") / "index"
    build(folder, found)
    expected: dict[int, list[int]] = {}
    for owner, file in enumerate(found):
        for gram in sorted(set(text_ngrams(file.text, COPY_TOKENS).tolist())):
            expected.setdefault(gram, []).append(owner)
    pairs = [(gram, owner) for gram in sorted(expected) for owner in expected[gram][:MAX_OWNERS]]
    hashes, owners = np.load(folder / "hashes.npy"), np.load(folder / "owners.npy")
    assert list(zip(hashes.tolist(), owners.tolist(), strict=True)) == pairs


def test_segments_and_batches_of_any_size_give_the_same_index(tmp_path, monkeypatch):
    found = [
        KnownFile(" ".join(f"w{n % 40}" for n in range(start, start + 50)), "", f"{start}.py") for start in range(64)
    ]
    build(tmp_path / "whole", found)
    monkeypatch.setattr(known_index, "_SEGMENT_ENTRIES", 70)
    monkeypatch.setattr(known_index, "_FILES_AT_ONCE", 3)
    build(tmp_path / "cut", found)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_the_table_of_files_has_batches_of_one_size(tmp_path, monkeypatch):
    monkeypatch.setattr(known_index, "BATCH_FILES", 4)
    build(tmp_path / "index", [KnownFile("", "", f"{number}.py") for number in range(8)])
    table = pa.ipc.open_file(tmp_path / "index/files.arrow")
    assert [table.get_batch(number).num_rows for number in range(table.num_record_batches)] == [4, 4]


def test_how_many_files_are_added_at_once_does_not_show_in_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(known_index, "BATCH_FILES", 50)
    found = [KnownFile("", str(number), f"{'p' * (number % 37)}.py", "r" * number, ("MIT",)) for number in range(190)]
    build(tmp_path / "whole", found)
    with IndexWriter(tmp_path / "cut", tmp_path) as writer:
        for start in range(0, 190, 7):
            writer.add(spool_files(str(tmp_path / f"spool-{start}"), found[start : start + 7]))
        writer.finish([merge_bucket(task) for task in writer.bucket_tasks()])
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
