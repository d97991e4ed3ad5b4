from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from jobs.storage.folders import OutputFolder
from tests.jobs import uppercase
from transforms.duplicates.batches import sign_texts
from transforms.rows.row import content_sha256

WORDS = [f"name{i * 7919 % 613}" for i in range(300)]


def text(changed: int = 0) -> str:
    """300 words, the first few of which differ."""
    return "\n".join([f"other{i}" for i in range(changed)] + WORDS[changed:])


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    """Units and merges in this process."""

    def units(spec, orders, crew=None):
        from jobs.dedup import build_work

        def build_and_open(options):
            work = build_work(options)
            work.open()
            return work

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(uppercase, "build_work", build_and_open)
            uppercase.inline_units(spec, orders)

    monkeypatch.setattr("jobs.execution.supervisor.run_units", units)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


def dedup(folder: Path, texts: list[str], *more: str, code: int = 0) -> tuple[list[dict], list[dict]]:
    """Rows kept and rejected."""
    pq.write_table(pa.table({"content": texts}), folder / "in.parquet", row_group_size=2)
    out = folder / "out"
    words = ["dedup", "--input", str(folder / "in.parquet"), "--output", str(out), "--progress", "none", *more]
    assert cli.main(words) == code
    rows = uppercase.dataset(out)
    return rows["data"], rows["rejected"]


def test_one_row_of_each_cluster_stays_and_the_others_name_it(tmp_path):
    kept, rejected = dedup(tmp_path, [text(), "x = 1\n", text(10), text(), text(200)])
    assert [(row["lineage"]["source_row_group"], row["lineage"]["source_row"]) for row in kept] == [
        (0, 0),
        (0, 1),
        (2, 0),
    ]
    assert [row["cluster_size"] for row in kept] == [3, 1, 1]
    assert [row["reason"] for row in rejected] == ["near_duplicate", "exact_duplicate"]
    assert all("of row 0 in row group 0 of " in row["detail"] for row in rejected)


def test_a_duplicate_names_the_path_and_the_similarity_of_its_twin_in_another_unit(tmp_path):
    table = pa.table({"content": [text(), "x = 1\n", text(10), text()], "path": ["lib/one.py", "x.py", "two.py", None]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=1)
    words = ["dedup", "--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out"), "--unit_rows", "1"]
    assert cli.main([*words, "--progress", "none"]) == 0
    near, exact = uppercase.dataset(tmp_path / "out")["rejected"]
    assert near["detail"].startswith("of lib/one.py, row 0 in row group 0 of ")
    assert 0.7 < float(near["detail"].rpartition("similarity ")[2]) < 1
    assert exact["detail"].startswith("of lib/one.py, row 0 ") and exact["detail"].endswith(": similarity 1.0")
    assert (near["path"], exact["path"]) == ("two.py", None)


def test_the_longest_row_stays_where_that_is_asked_for(tmp_path):
    kept, _ = dedup(tmp_path, [text(), text() + "\nand more"], "--keep", "longest")
    assert [row["content"] for row in kept] == [text() + "\nand more"]


def test_a_higher_threshold_keeps_what_a_lower_one_leaves_out(tmp_path):
    kept, _ = dedup(tmp_path, [text(), text(10)], "--threshold", "0.99")
    assert len(kept) == 2


def test_generated_middles_are_compared_where_their_column_is_named(tmp_path):
    middles = [text(), None, text(), "return x", "return x"]
    contents = [f"file {i}" for i in range(5)]
    pq.write_table(pa.table({"content": contents, "generated_middle": middles}), tmp_path / "in.parquet")
    words = ["dedup", "--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out"), "--progress", "none"]
    assert cli.main([*words, "--text_column", "generated_middle", "--min_tokens", "5"]) == 0
    kept = pq.read_table(tmp_path / "out/data").to_pylist()
    assert [row["content"] for row in kept] == ["file 0", "file 1", "file 3", "file 4"]
    assert [row["cluster_size"] for row in kept] == [2, 1, 1, 1]


def test_a_row_that_cannot_be_compared_is_rejected_with_the_reason(tmp_path, monkeypatch):
    def sign_or_raise(numbers, texts, *more, **options):
        if any(b"RAISE" in text for text in texts):
            raise LookupError(texts[0])
        return sign_texts(numbers, texts, *more, **options)

    monkeypatch.setattr("jobs.grouping.signing.sign_texts", sign_or_raise)
    kept, rejected = dedup(tmp_path, [text(), text() + " RAISE", text(), text(200)], code=3)  # a stage raised
    assert [row["content"] for row in kept] == [text(), text(200)]
    assert [(row["stage"], row["reason"], row["detail"]) for row in rejected if row["row_group"] == 0] == [
        ("dedup", "stage_error", "LookupError")
    ]
    assert [row["reason"] for row in rejected if row["row_group"] == 1] == ["exact_duplicate"]


def test_rows_pass_through_unchanged_whatever_the_type_of_their_text(tmp_path):
    texts = ["a b c", "é", None, "", "nul\0", "d\r\n"]
    encoded = [None if text is None else text.encode() for text in texts]
    columns = {
        "string": pa.array(texts, pa.string()),
        "bytes": pa.array([*encoded[:-1], b"\xff\xfe"], pa.binary()),
        "dictionary": pa.array(texts).dictionary_encode(),
        "view": pa.array(texts, pa.string_view()),
    }
    for name, content in columns.items():
        folder = tmp_path / name
        folder.mkdir()
        pq.write_table(pa.table({"content": content, "n": range(6)}), folder / "in.parquet")
        words = ["dedup", "--input", str(folder / "in.parquet"), "--output", str(folder / "out"), "--progress", "none"]
        assert cli.main(words) == 0
        kept = pq.read_table(folder / "out/data").to_pylist()
        good = [0, 1] if name == "bytes" else [0, 1, 5]
        assert [(row["n"], row["content"]) for row in kept] == [(n, texts[n]) for n in good]
        assert [row["lineage"]["content_sha256"] for row in kept] == [content_sha256(texts[n]) for n in good]
        rejected = {row["row"]: row["reason"] for row in pq.read_table(folder / "out/rejected").to_pylist()}
        expected = {2: "null_content", 3: "empty_content", 4: "nul_in_content"}
        assert rejected == (expected | {5: "not_utf8"} if name == "bytes" else expected)


def test_conversations_are_compared_as_their_text(tmp_path):
    turns = [[{"role": "user", "content": f"say {n} to all of those who are waiting here"}] for n in (1, 2, 1)]
    pq.write_table(pa.table({"turns": turns}), tmp_path / "in.parquet")
    words = ["dedup", "--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out"), "--progress", "none"]
    assert cli.main([*words, "--content_column", "turns"]) == 0
    kept = pq.read_table(tmp_path / "out/data").to_pylist()
    assert [json.loads(row["turns"]) for row in kept] == turns[:2]
    (rejected,) = pq.read_table(tmp_path / "out/rejected").to_pylist()
    assert (rejected["stage"], rejected["reason"], rejected["path"]) == ("dedup", "exact_duplicate", None)


def test_a_text_column_that_is_not_there_is_one_line_and_nothing_is_written(tmp_path, capfd):
    pq.write_table(pa.table({"content": ["x"]}), tmp_path / "in.parquet")
    words = ["dedup", "--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out"), "--progress", "none"]
    assert cli.main([*words, "--text_column", "middle"]) == 2
    said = capfd.readouterr().err
    assert "--text_column middle: no such column; the input has content" in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_worker_that_opens_later_reads_the_clusters_that_the_first_made(tmp_path):
    from jobs.dedup import build_work
    from jobs.plan.job_file import read_job

    dedup(tmp_path, [text(), text(), text(10)])
    made = tmp_path / "out/_job/duplicates.parquet"
    before = made.read_bytes()
    job = read_job(OutputFolder(str(tmp_path / "out")))
    (tmp_path / "in.parquet").unlink()  # nothing of it is read again
    work = build_work({**job.options, "output": str(tmp_path / "out")})
    work.open()
    entries = work._duplicates.of(np.arange(3))
    assert entries[1].kind == "exact" and entries[2].kind == "near"
    assert entries[0].cluster_size == 3
    work.close()
    assert made.read_bytes() == before


def test_a_table_of_clusters_that_a_killed_worker_was_writing_is_taken_away(tmp_path, monkeypatch):
    def killed(path: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jobs.grouping.duplicates.storage.remove", killed)  # just before
        pq.write_table(pa.table({"content": [text(), text()]}), tmp_path / "in.parquet")
        words = ["dedup", "--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out")]
        assert cli.main([*words, "--progress", "none"]) != 0
    assert cli.main([*words, "--progress", "none"]) == 0
    left = {path.name for path in (tmp_path / "out/_job").iterdir() if "duplicates" in path.name}
    assert left == {"duplicates.parquet"}


def test_workers_that_start_at_once_meet_the_same_clusters_and_leave_one_table(tmp_path):
    from jobs.dedup import build_work
    from jobs.plan.job_file import read_job

    dedup(tmp_path, [text(), text(), text(10), text(200)])
    job_dir = tmp_path / "out/_job"
    (job_dir / "duplicates.parquet").unlink()  # as when none has made it yet
    job = read_job(OutputFolder(str(tmp_path / "out")))
    works = [build_work({**job.options, "output": str(tmp_path / "out")}) for _ in range(4)]
    at_once = threading.Barrier(len(works))

    def opened(work):
        at_once.wait()
        work.open()
        return work._duplicates.of(np.arange(4))

    with ThreadPoolExecutor(len(works)) as pool:
        met = list(pool.map(opened, works))
    assert met[0][0].cluster_size == 3 and 3 not in met[0]
    assert all(members == met[0] for members in met)
    assert [path.name for path in job_dir.glob("*duplicates.parquet*")] == ["duplicates.parquet"]
    for work in works:
        work.close()
