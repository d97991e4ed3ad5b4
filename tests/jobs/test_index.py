"""`codemill index`, over Parquet files, with exit codes and messages as every job has them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from jobs.grouping.indexing import IndexStages, SpoolTask, _add_all
from jobs.grouping.reading import batched, pieces
from jobs.plan.inputs import read_inputs
from jobs.system import exit_codes
from transforms.duplicates.known_index import IndexWriter
from transforms.duplicates.known_text import KnownText
from transforms.row_pool import CRASHED
from transforms.rows.columns import ColumnOverrides

COPIED = " ".join(f"word{number}" for number in range(30))


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    texts = [f"x = 1\n{COPIED}\n", "y = 2\n", None]
    licenses = [["MIT"], [], []]
    table = pa.table({"content": texts, "path": ["a.py", "b.py", "c.py"], "detected_licenses": licenses})
    pq.write_table(table, folder / "part.parquet")
    return folder


def index(corpus: Path, output: Path, *more: str) -> int:
    return cli.main(["index", "--input", str(corpus), "--output", str(output), *more])


def test_a_folder_of_parquet_becomes_an_index_that_tells_copies(corpus, tmp_path, capsys):
    assert index(corpus, tmp_path / "deep" / "known") == cli.DONE
    assert capsys.readouterr().out == f"2 files of 3 rows -> {tmp_path}/deep/known\n"
    (copy,) = KnownText(tmp_path / "deep" / "known").copies_of(f"def f(): {COPIED}")
    assert (copy.path, copy.licenses) == ("a.py", ("MIT",))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["known"]


def test_text_in_a_binary_column_is_indexed_like_any_other(corpus, tmp_path):
    pq.write_table(pa.table({"mine": [COPIED.encode()], "path": ["b.py"]}), corpus / "part.parquet")
    assert index(corpus, tmp_path / "known", "--content_column", "mine") == cli.DONE
    assert KnownText(tmp_path / "known").copies_of(COPIED)


def test_the_same_corpus_gives_the_same_index(corpus, tmp_path):
    versions = set()
    for name in ("first", "second"):
        assert index(corpus, tmp_path / name) == cli.DONE
        versions.add(KnownText(tmp_path / name).version)
    assert len(versions) == 1


def test_a_bad_file_is_named_and_the_others_are_indexed(corpus, tmp_path, capsys):
    (corpus / "zero.parquet").write_bytes(b"")
    assert index(corpus, tmp_path / "known") == exit_codes.FAILED_UNITS
    said = capsys.readouterr()
    assert "2 files of 3 rows" in said.out
    assert "zero.parquet: zero_bytes: the file is empty" in said.err


def test_a_file_that_breaks_off_while_it_is_read_is_a_bad_one(corpus, tmp_path, capsys):
    path = corpus / "part.parquet"
    column = pq.read_metadata(path).row_group(0).column(0)
    data = bytearray(path.read_bytes())
    data[column.dictionary_page_offset : column.dictionary_page_offset + 20] = b"\xff" * 20
    (corpus / "broken.parquet").write_bytes(data)
    assert index(corpus, tmp_path / "known") == exit_codes.FAILED_UNITS
    assert "broken.parquet: damaged_input: " in capsys.readouterr().err


def test_an_index_that_is_complete_says_again_what_it_lacks_and_lists_all_exit_codes(corpus, tmp_path, capsys):
    (corpus / "zero.parquet").write_bytes(b"")
    pq.write_table(pa.table({"content": [COPIED], "repo_name": ["in/a"], "path": ["a.py"]}), corpus / "part.parquet")
    entries = tmp_path / "opted_out.txt"
    entries.write_text("no/where\n")
    words = ["--opt_out", str(entries), "--strict_opt_out", "--summary", "-"]
    for _ in range(2):
        assert index(corpus, tmp_path / "known", *words) == exit_codes.USER_ERROR
        told = capsys.readouterr()
        assert json.loads(told.out)["exit_codes"] == [exit_codes.USER_ERROR, exit_codes.FAILED_UNITS]
        assert "zero.parquet: zero_bytes: the file is empty" in told.err and "1 entry matched nothing" in told.err
    assert "no/where" not in (tmp_path / "known" / "made.json").read_text()
    (corpus / "part.parquet").unlink()
    assert index(corpus, tmp_path / "known", *words) == exit_codes.USER_ERROR
    assert json.loads(capsys.readouterr().out)["exit_codes"] == [2, 3, 4]


def test_an_index_that_does_not_say_what_it_was_made_of_is_refused_in_one_line(corpus, tmp_path, capsys):
    assert index(corpus, tmp_path / "known") == cli.DONE
    (tmp_path / "known" / "made.json").write_text('{"removals": []}')  # an early version's, after codemill forget
    assert index(corpus, tmp_path / "known") == cli.USER_ERROR
    assert "already exists; choose a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "{there}"], "already exists; choose a new folder"),
        (["--output", "gs://bucket/known"], "workers map the index into memory; choose a local folder"),
        (["--output", "{new}", "--content_column", "nowhere"], "nowhere"),
        (["--output", "{new}", "--", "--runner", "X"], "index does not use Beam"),
        ([], "missing --output"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(corpus, tmp_path, capsys, words, message):
    there, new = tmp_path / "there", tmp_path / "new"
    there.mkdir()
    before = sorted(tmp_path.iterdir())
    words = [word.format(there=there, new=new) for word in words]
    assert cli.main(["index", "--input", str(corpus), *words]) == cli.USER_ERROR
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_corpus_without_text_makes_no_index(corpus, tmp_path, capsys):
    pq.write_table(pa.table({"content": pa.array([None, ""], pa.string())}), corpus / "part.parquet")
    assert index(corpus, tmp_path / "known") == cli.USER_ERROR
    assert "no text in" in capsys.readouterr().err
    assert not (tmp_path / "known").exists()


def test_what_a_killed_build_left_is_removed_by_the_next_one(tmp_path):
    left = tmp_path / ".known.codemill-index-abc"
    left.mkdir()
    (left / "files.arrow").write_bytes(b"x")
    (tmp_path / ".known.codemill-index-abc.lock").touch()
    corpus = tmp_path / "in.parquet"
    pq.write_table(pa.table({"content": ["def f(a):\n    return a + 1\n" * 9], "path": ["a.py"]}), corpus)
    assert index(corpus, tmp_path / "known") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "known"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def large(tmp_path, monkeypatch) -> Path:
    """Three files of eight small row groups, a task for each two or three of them."""
    monkeypatch.setattr("jobs.grouping.indexing._SPOOL_MB", 0.005)
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(3):
        texts = [" ".join(f"w{(number * 7 + row * row + k) % 50}" for k in range(90)) for row in range(40)]
        table = pa.table({"content": [*texts, None], "path": [f"{number}/{row}.py" for row in range(41)]})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=5, compression="none", use_dictionary=False)
    return folder


def test_any_number_of_workers_gives_the_same_bytes(large, tmp_path):
    for workers in ("1", "2", "3"):
        assert index(large, tmp_path / workers, "--workers", workers) == cli.DONE
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "3")
    assert sorted(contents(tmp_path / "1")) == ["files.arrow", "hashes.npy", "index.json", "made.json", "owners.npy"]


def test_a_damaged_file_counts_up_to_its_fault_whoever_reads_it(large, tmp_path, capsys):
    path = large / "1.parquet"
    data = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(4).column(0).data_page_offset
    data[start : start + 20] = b"\xff" * 20
    path.write_bytes(data)
    for workers in ("1", "2"):
        assert index(large, tmp_path / workers, "--workers", workers) == exit_codes.FAILED_UNITS
        told = capsys.readouterr()
        assert "100 files of 123 rows" in told.out  # 40, 20 and 40: the second file's first four row groups
        assert "1.parquet: damaged_input: " in told.err
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    table = pa.ipc.open_file(tmp_path / "1/files.arrow").read_all()
    assert table["path"].to_pylist() == [
        f"{n}/{row}.py" for n, count in ((0, 40), (1, 20), (2, 40)) for row in range(count)
    ]


def test_more_workers_than_memory_holds_are_one_line(corpus, tmp_path, capsys):
    assert index(corpus, tmp_path / "known", "--workers", "100000") == cli.USER_ERROR
    assert "at most" in capsys.readouterr().err


class HalfDeadTeam:
    """Works on everything here, but the second task's process dies."""

    def __init__(self, stages):
        self._stages = stages

    def spread(self, method, items):
        for position, item in reversed(list(enumerate(items))):
            yield position, CRASHED if position == 1 else getattr(self._stages, method)(item)


def test_what_follows_in_a_file_whose_reading_crashed_a_process_does_not_count(large, tmp_path):
    inputs = read_inputs([str(large / f"{number}.parquet") for number in range(3)], ColumnOverrides())
    batches = batched(inputs, pieces(inputs, None), 5000)
    tasks = [SpoolTask(str(tmp_path / f"{number}"), some) for number, some in enumerate(batches)]
    first, second = ({file.uri for file, _, _ in task.pieces} for task in tasks[:2])
    assert first == second == {inputs.files[0].uri} and len(tasks) > 5
    with IndexWriter(tmp_path / "index", tmp_path) as writer:
        faults, _ = _add_all(writer, HalfDeadTeam(IndexStages(ColumnOverrides())), tasks)
        before = sum(rows for _, _, rows in tasks[0].pieces)
        assert writer.num_files == before + 80
    assert faults == {inputs.files[0].uri: "the process that read it died"}
