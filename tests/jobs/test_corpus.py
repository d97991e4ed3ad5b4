from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.collecting import chunks
from jobs.corpus import Options, run
from jobs.ledger.lock import acquire
from jobs.plan.job_file import check_output
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from transforms.corpus import rows as corpus_rows
from transforms.corpus.rows import git_blob_id
from transforms.rows.rejections import REJECTED_SCHEMA

KOI8 = "# -*- coding: koi8-r -*-\nname = 'Познание бесконечности требует бесконечного времени'\n"


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "tool"
    folder.mkdir()
    (folder / "a.py").write_bytes(b"a = 1\r\n")
    (folder / "bom.py").write_bytes(b"\xef\xbb\xbfb = 1\n")
    (folder / "koi8.py").write_bytes(KOI8.encode("koi8-r"))
    (folder / "empty.py").write_bytes(b"")
    (folder / "x.bin").write_bytes(b"\0\1\2")
    (folder / "noise.py").write_bytes(bytes(range(1, 256)) * 3)
    (folder / "link.py").symlink_to("a.py")
    return folder


def made(tmp_path: Path, *sources: Path, name: str = "out", **options) -> Path:
    options = {"progress": "none", **options}
    output = tmp_path / name
    assert run(Options(source=tuple(map(str, sources)), output=str(output), **options)) == 0
    return output


def rows(output: Path, folder: str = "data") -> list[dict]:
    return [row for path in sorted((output / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_every_file_becomes_a_row_or_a_rejected_row(tmp_path, source):
    output = made(tmp_path, source)
    kept = {row["path"]: row for row in rows(output)}
    rejected = {row["path"]: row for row in rows(output, "rejected")}
    assert set(kept) == {"a.py", "bom.py", "koi8.py", "empty.py"}
    assert {path: (row["stage"], row["reason"]) for path, row in rejected.items()} == {
        "x.bin": ("decode", "binary_content"),
        "noise.py": ("decode", "undecodable"),
        "link.py": ("read", "link"),
    }
    summary = json.loads((output / "summary.json").read_text())
    assert summary["files_seen"] == 7 == summary["rows_kept"] + summary["rows_rejected"]


def test_a_row_has_stack_v2s_columns(tmp_path, source):
    by_path = {row["path"]: row for row in rows(made(tmp_path, source))}
    assert by_path["a.py"] == {
        "blob_id": git_blob_id(b"a = 1\r\n"),
        "path": "a.py",
        "repo_name": "tool",
        "repo_url": None,
        "revision_id": None,
        "retrieved_at": None,
        "language": "Python",
        "extension": "py",
        "length_bytes": 7,
        "src_encoding": "UTF-8",
        "src_encoding_confidence": "certain",
        "is_vendor": False,
        "is_generated": False,
        "detected_licenses": [],
        "content": "a = 1\r\n",
    }
    assert (by_path["bom.py"]["content"], by_path["bom.py"]["src_encoding"]) == ("b = 1\n", "UTF-8-SIG")
    assert (by_path["koi8.py"]["content"], by_path["koi8.py"]["src_encoding"]) == (KOI8, "KOI8-R")


def test_the_blob_id_is_the_one_that_git_computes(tmp_path):
    data = "größe = 1\n".encode()
    done = subprocess.run(["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True)
    assert git_blob_id(data) == done.stdout.decode().strip()


def test_a_rejected_row_says_where_it_came_from_and_holds_no_content(tmp_path, source):
    noise = next(row for row in rows(made(tmp_path, source), "rejected") if row["path"] == "noise.py")
    assert noise["uri"] == source.name
    assert noise["content_sha256"] == hashlib.sha256((source / "noise.py").read_bytes()).hexdigest()
    assert noise["detail"] and "content" not in noise


def test_a_table_without_rows_has_no_file_and_the_card_says_so(tmp_path):
    folder = tmp_path / "only"
    folder.mkdir()
    (folder / "x.bin").write_bytes(b"\0")
    output = made(tmp_path, folder)
    assert not list(output.glob("data/*"))
    card = (output / "README.md").read_text()
    assert "There are no rows, so there is no file in `data/`." in card and "configs:" not in card
    assert pq.read_schema(output / "rejected/rejected-00000-of-00001.parquet").equals(REJECTED_SCHEMA)
    assert rows(output) == []


def test_the_same_sources_give_the_same_bytes(tmp_path, source):
    archive = tmp_path / "pkg-1.0.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("pkg/a.py", "x = 1\n")
        opened.writestr("pkg-1.0.dist-info/LICENSE", (Path(__file__).parents[2] / "LICENSE").read_text())
    first = made(tmp_path, source, archive, name="first")
    second = made(tmp_path, source, archive, name="second")
    for path in sorted(first.glob("[dr]*/*.parquet")):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()
    assert [row["detected_licenses"] for row in rows(first) if row["repo_name"] == "pkg-1.0"] == [["Apache-2.0"]] * 2


def test_row_groups_and_shards_are_cut_by_rows_and_bytes(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(10):
        (folder / f"{index}.py").write_text("x" * 300_000)
    output = made(tmp_path, folder, group_rows=4, group_mb=0.7, shard_mb=1)
    groups = []
    for path in sorted((output / "data").glob("*.parquet")):
        metadata = pq.read_metadata(path)
        groups.append([metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)])
    # Two files of 0.3 MB fit into 0.7 MB; one such group fits into 1 MB.
    assert groups == [[2]] * 5
    assert [path.name for path in sorted((output / "data").iterdir())][-1] == "train-00004-of-00005.parquet"
    assert [row["path"] for row in rows(output)] == [f"{index}.py" for index in range(10)]


def test_a_file_larger_than_a_group_stands_alone(tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    for name, size in (("a", 10), ("b", 900_000), ("c", 10)):
        (folder / f"{name}.py").write_text("x" * size)
    metadata = pq.read_metadata(made(tmp_path, folder, group_mb=0.5) / "data/train-00000-of-00001.parquet")
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [1, 1, 1]


def test_a_finished_corpus_is_left_as_it_is(tmp_path, source, capsys):
    output = made(tmp_path, source)
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}
    capsys.readouterr()
    made(tmp_path, source)
    assert "complete already: 7 files seen = 4 kept + 3 rejected" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}


def test_other_options_on_the_same_output_are_refused_with_what_changed(tmp_path, source):
    made(tmp_path, source)
    with pytest.raises(ConfigError, match=r"--include was \[\], is now \['\*\.py'\]"):
        made(tmp_path, source, include=("*.py",))


def test_a_folder_with_other_things_in_it_is_refused_and_untouched(tmp_path, source):
    output = tmp_path / "out"
    output.mkdir()
    (output / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"is not empty and no corpus \(it has thesis.txt\)"):
        made(tmp_path, source)
    assert [path.name for path in output.iterdir()] == ["thesis.txt"]


def test_another_jobs_output_is_refused(tmp_path, source):
    job = tmp_path / "out/_job/job.json"
    job.parent.mkdir(parents=True)
    job.write_text('{"job": "infill"}')
    with pytest.raises(ConfigError, match="belongs to another job"):
        made(tmp_path, source)


def test_an_interrupted_run_is_repeated(tmp_path, source, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_FILES", 1)

    def interrupted(data, *args, **how):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(corpus_rows, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path, source, group_rows=1)
    assert not (tmp_path / "out/COMPLETED").exists()
    assert list((tmp_path / "out/_job/attempts").rglob("*.parquet")) == []

    def interrupted_later(data, *args, **how):
        if data == b"":
            raise KeyboardInterrupt
        return decode(data, *args, **how)

    decode = corpus_rows.decode
    with monkeypatch.context() as patched:
        patched.setattr(corpus_rows, "decode", interrupted_later)
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path, source, group_rows=1)
    assert list((tmp_path / "out/_job/attempts").rglob("*.parquet")) != []
    assert not (tmp_path / "out/data").exists()

    assert len(rows(made(tmp_path, source, group_rows=1))) == 4
    assert list((tmp_path / "out/_job/attempts").rglob("*.parquet")) == []
    assert sorted(path.name for path in (tmp_path / "out/data").iterdir()) == ["train-00000-of-00001.parquet"]


def test_nothing_to_read_is_one_line_and_no_dataset(tmp_path, source):
    with pytest.raises(ConfigError, match=r"no files in .* that match"):
        made(tmp_path, source, include=("*.rs",))
    assert not (tmp_path / "out/COMPLETED").exists()


def test_the_card_says_where_the_rows_are(tmp_path, source):
    card = (made(tmp_path, source) / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n- config_name: default\n  data_files: data/train-*.parquet\n")
    assert "7 files seen = 4 kept + 3 rejected" in card and "| undecodable | 1 |" in card


def test_beams_flags_are_refused_because_there_is_no_beam(tmp_path, source):
    with pytest.raises(ConfigError, match="without Beam"):
        run(Options(source=(str(source),), output=str(tmp_path / "out")), ["--runner", "X"])


def test_a_full_disk_is_one_line_and_the_same_command_goes_on_elsewhere(full_disk, tmp_path):
    folder = tmp_path / "noisy"
    folder.mkdir()
    for index in range(8):
        (folder / f"{index}.py").write_text(random.Random(index).randbytes(100_000).hex())
    options = {"source": (str(folder),), "progress": "none", "group_rows": 1}
    with pytest.raises(ConfigError, match="no space left while writing"):
        run(Options(output=f"{full_disk}/out", **options))
    assert not Path(full_disk, "out/COMPLETED").exists()
    assert run(Options(output=str(tmp_path / "out"), **options)) == 0


def test_a_corpus_can_be_written_to_a_bucket(gcs_root, tmp_path, source, capsys):
    local = made(tmp_path, source)
    options = Options(source=(str(source),), output=f"{gcs_root}/corpus", progress="none")
    assert run(options) == 0
    for name in ("data/train-00000-of-00001.parquet", "rejected/rejected-00000-of-00001.parquet", "README.md"):
        assert storage.read_bytes(f"{gcs_root}/corpus/{name}") == (local / name).read_bytes()
    assert run(options) == 0
    assert "complete already" in capsys.readouterr().out


def test_a_run_killed_while_it_published_leaves_no_shard_of_its_own_cut_behind(tmp_path, source):
    output = made(tmp_path, source, shard_mb=1)
    undisturbed = rows(output)
    # As after a kill between publishing and COMPLETED, when the source had more shards.
    (output / "COMPLETED").unlink()
    shard = next((output / "data").iterdir())
    (output / "data" / "train-00000-of-00002.parquet").write_bytes(shard.read_bytes())
    assert rows(made(tmp_path, source, shard_mb=1)) == undisturbed


def test_a_second_run_on_the_same_output_is_refused_and_told_who_is_at_it(tmp_path, source):
    with (
        acquire(JobFolder(str(tmp_path / "out" / "_job"))),
        pytest.raises(ConfigError, match=f"written by process {os.getpid()}"),
    ):
        run(Options(source=(str(source),), output=str(tmp_path / "out"), progress="none"))


def test_a_corpus_is_named_as_such_to_a_job_that_would_write_into_it(tmp_path, source):
    with pytest.raises(ConfigError, match="is the output of `codemill corpus`; choose another --output"):
        check_output(OutputFolder(str(made(tmp_path, source))), "infill")


def test_rejected_files_name_their_source_without_the_makers_folders(tmp_path, source):
    output = made(tmp_path, source)
    assert {row["uri"] for row in rows(output, "rejected")} == {"tool"}
    for path in output.rglob("*"):
        if path.is_file() and "_job" not in path.parts:
            assert str(tmp_path).encode() not in path.read_bytes()


@pytest.mark.parametrize("lost", ["summary.json", "data/train-00000-of-00001.parquet"])
def test_a_part_of_a_corpus_that_is_lost_is_named_and_made_again(tmp_path, source, lost, capfd):
    output = made(tmp_path, source)
    before = rows(output)
    (output / lost).unlink()
    made(tmp_path, source)
    assert "was complete and lacks" in capfd.readouterr().err
    assert rows(output) == before and (output / lost).exists()
