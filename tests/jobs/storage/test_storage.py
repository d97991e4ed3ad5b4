"""One contract, checked for local folders and for GCS (an emulator)."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.errors import StorageFull
from model.errors import ConfigError


@pytest.fixture(params=["local", "gcs"])
def root(request, tmp_path) -> str:
    return str(tmp_path) if request.param == "local" else request.getfixturevalue("gcs_root")


def test_join_makes_paths_of_one_form():
    assert storage.join("/a/", "b", "c.json") == "/a/b/c.json"
    assert storage.join("gs://bucket", "b") == "gs://bucket/b"
    assert storage.join("/", "b") == "/b"


def test_the_first_create_wins_and_the_content_stays(root):
    path = storage.join(root, "deep", "folder", "x.json")
    assert storage.create_if_absent(path, b"first")
    assert not storage.create_if_absent(path, b"second")
    assert storage.read_bytes(path) == b"first"
    assert storage.list_names(storage.join(root, "deep", "folder")) == ["x.json"]


def test_an_empty_object_is_created_once_and_without_a_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setenv("CODEMILL_FAILPOINT", "storage.create_after_temp=raise")  # where a kill leaves one
    path = storage.join(str(tmp_path), "deep", "000001.released")
    assert storage.create_if_absent(path, b"")
    assert not storage.create_if_absent(path, b"")
    assert storage.read_bytes(path) == b""


def test_of_many_creators_at_once_exactly_one_wins(root):
    path = storage.join(root, "race.json")
    start = threading.Barrier(8)

    def create(number: int) -> bool:
        start.wait()
        return storage.create_if_absent(path, b"%d" % number * 1000)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert won.count(True) == 1
    assert storage.read_bytes(path) == b"%d" % won.index(True) * 1000


def test_a_big_object_is_created_with_the_precondition_as_well(root):
    path = storage.join(root, "big")
    assert storage.create_if_absent(path, b"x" * (9 << 20))
    assert not storage.create_if_absent(path, b"y" * (9 << 20))
    assert storage.file_info(path)[0] == 9 << 20


def test_written_bytes_replace_what_was_there(root):
    path = storage.join(root, "beat.json")
    for durable in (True, False):
        storage.write_bytes(path, b"one")
        storage.write_bytes(path, b"two", durable=durable)
        assert storage.read_bytes(path) == b"two"
    assert storage.list_names(root) == ["beat.json"]


def test_listing_sees_files_and_folders_at_once_and_nothing_where_there_is_nothing(root):
    assert storage.list_names(storage.join(root, "none")) == []
    storage.write_bytes(storage.join(root, "f", "b"), b"")
    assert storage.list_names(storage.join(root, "f")) == ["b"]
    storage.write_bytes(storage.join(root, "f", "a"), b"")
    storage.write_bytes(storage.join(root, "f", "sub", "c"), b"")
    assert storage.list_names(storage.join(root, "f")) == ["a", "b", "sub"]
    storage.remove(storage.join(root, "f", "a"))
    storage.remove(storage.join(root, "f", "a"))
    assert storage.list_names(storage.join(root, "f")) == ["b", "sub"]


def test_a_listing_of_many_objects_is_whole(root):
    names = [f"{number:04d}.json" for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.write_bytes(storage.join(root, "many", name), b"", durable=False), names))
    assert storage.list_names(storage.join(root, "many")) == names


def test_exists_tells_what_is_there(root):
    path = storage.join(root, "x")
    assert not storage.exists(path)
    storage.write_bytes(path, b"")
    assert storage.exists(path)
    storage.remove(path)
    assert not storage.exists(path)


def test_reading_what_isnt_there_raises_file_not_found(root):
    for read in (storage.read_bytes, storage.file_info):
        with pytest.raises(FileNotFoundError):
            read(storage.join(root, "nothing"))


def test_an_output_is_counted_and_hashed_as_it_is_written(root):
    path = storage.join(root, "attempts", "u", "a.kept.parquet")
    table = pa.table({"a": list(range(1000))})
    with storage.open_output(path) as file, pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table)
    data = storage.read_bytes(path)
    assert file.bytes == len(data) == storage.file_info(path)[0]
    assert file.sha256 == hashlib.sha256(data).hexdigest() == storage.sha256_of(path)
    with storage.open_input(path) as again:
        assert pq.read_table(again) == table


def test_a_given_up_output_has_no_final_content_that_passes_for_whole(root):
    path = storage.join(root, "attempts", "u", "a")
    with pytest.raises(RuntimeError), storage.open_output(path) as file:
        file.write(b"half")
        raise RuntimeError
    # Locally the partial file is left for the finalizer; an upload leaves nothing.
    assert not storage.exists(path) or storage.is_local(path)


def test_publishing_may_be_repeated_and_replaces(root):
    final = storage.join(root, "data", "train.parquet")
    for content in (b"old", b"new"):
        attempt = storage.join(root, "attempts", content.decode())
        storage.write_bytes(attempt, content)
        storage.publish(attempt, final)
        storage.publish(attempt, final)
        assert storage.read_bytes(final) == storage.read_bytes(attempt) == content
    assert storage.list_names(storage.join(root, "data")) == ["train.parquet"]


def test_a_new_content_is_a_new_version(root):
    path = storage.join(root, "in.parquet")
    storage.write_bytes(path, b"abc")
    size, version = storage.file_info(path)
    assert (size, version) == storage.file_info(path)
    storage.write_bytes(path, b"abd")
    assert storage.file_info(path) != (size, version)


def test_globs_find_files_at_any_depth_once_and_in_order(root):
    for name in ("a.parquet", "sub/b.parquet", "sub/deep/c.parquet", "sub/d.txt"):
        storage.write_bytes(storage.join(root, name), b"")
    every = [storage.join(root, name) for name in ("a.parquet", "sub/b.parquet", "sub/deep/c.parquet")]
    assert storage.glob(storage.join(root, "**/*.parquet")) == every
    assert storage.glob([storage.join(root, "**/*.parquet"), storage.join(root, "a.parquet")]) == every
    assert storage.glob(storage.join(root, "*.parquet")) == every[:1]
    assert storage.glob(storage.join(root, "sub/d.txt")) == [storage.join(root, "sub/d.txt")]
    assert storage.glob(storage.join(root, "*.csv")) == []


def test_a_file_with_brackets_in_its_name_is_found_by_its_name(tmp_path):
    path = str(tmp_path / "x[1].parquet")
    storage.write_bytes(path, b"")
    assert storage.glob(path) == [path]


def test_an_unknown_kind_of_storage_is_named():
    with pytest.raises(ConfigError, match="storage scheme nowhere:// is not supported"):
        storage.read_bytes("nowhere://x/y")


def test_a_write_to_a_bucket_that_isnt_there_is_the_users_mistake(gcs_emulator):
    with pytest.raises(ConfigError, match="does the bucket exist"):
        storage.create_if_absent("gs://no-such-bucket-here/x", b"")


def test_a_full_disk_is_one_line_that_says_how_to_go_on(monkeypatch, tmp_path):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write in (storage.create_if_absent, storage.write_bytes):
        with pytest.raises(StorageFull, match=r"no space left.*run the same command again"):
            write(str(tmp_path / "x"), b"data")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "y").write_bytes(b"data")
    with pytest.raises(StorageFull, match="no space left"):
        storage.make_durable([str(tmp_path / "y")])


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_signal_while_an_object_is_replaced_leaves_no_temporary_file(monkeypatch, tmp_path, step):
    def interrupted(*args):
        raise KeyboardInterrupt

    storage.write_bytes(str(tmp_path / "x"), b"before")
    monkeypatch.setattr(os, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.write_bytes(str(tmp_path / "x"), b"data")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x", b"before")]


def test_a_really_full_disk_leaves_nothing_half_created(full_disk):
    filler = storage.join(full_disk, "filler")
    with pytest.raises(StorageFull), storage.open_output(filler) as file:
        while True:
            file.write(b"x" * 65536)
            file._file.flush()
    with pytest.raises(StorageFull):
        storage.create_if_absent(storage.join(full_disk, "commit.json"), b"x" * 8192)
    assert storage.list_names(full_disk) == ["filler"]
    storage.remove(filler)
    assert storage.create_if_absent(storage.join(full_disk, "commit.json"), b"x" * 8192)


def test_a_read_only_output_is_one_line(full_disk):
    subprocess.run(["mount", "-o", "remount,ro", full_disk], check=True)
    for write in (
        lambda: storage.create_if_absent(storage.join(full_disk, "x"), b""),
        lambda: storage.write_bytes(storage.join(full_disk, "new", "x"), b""),
        lambda: storage.open_output(storage.join(full_disk, "y")).__enter__(),
    ):
        with pytest.raises(ConfigError, match=r"can't write .*read-only file system; choose another --output"):
            write()


def test_a_folder_goes_with_all_below_it_and_its_neighbors_stay(root):
    storage.remove_tree(storage.join(root, "gone"))  # it doesn't exist yet
    for name in ("gone/a", "gone/b/c", "gone2/a"):
        storage.write_bytes(storage.join(root, name), b"x")
    storage.remove_tree(storage.join(root, "gone"))
    assert storage.list_names(root) == ["gone2"]
    storage.remove_tree(storage.join(root, "gone"))


def test_a_folder_goes_as_a_whole_though_others_remove_some_of_it_meanwhile(tmp_path, monkeypatch):
    for name in "abcd":
        (tmp_path / "gone" / name).mkdir(parents=True)
        (tmp_path / "gone" / name / "x").write_bytes(b"x")
    right = os.unlink

    def unlink(path, **where):
        right(path, **where)
        raise FileNotFoundError(path)  # as if another process had been faster

    monkeypatch.setattr(os, "unlink", unlink)
    storage.remove_tree(str(tmp_path / "gone"))
    assert not (tmp_path / "gone").exists()


def test_a_job_folder_is_private_unless_it_is_shared(tmp_path):
    def mode(path):
        return stat.S_IMODE(path.stat().st_mode)

    job, plain = tmp_path / "out" / "_job", tmp_path / "plain"
    plain.mkdir()
    storage.make_job_folder(str(job), shared=False)
    storage.make_job_folder(f"file://{job}", shared=False)
    assert mode(job) == 0o700 and mode(job.parent) == mode(plain)
    storage.make_job_folder(str(job), shared=True)
    assert mode(job) == mode(plain)
    storage.make_job_folder(str(job), shared=False)
    assert mode(job) == mode(plain)  # an existing folder keeps its permissions
