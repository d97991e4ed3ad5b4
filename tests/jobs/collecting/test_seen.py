"""A night reads only files that may have changed, and no change goes unseen."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import jobs.collecting.seen
from jobs import cli
from jobs.collecting.seen import SETTLED_S, SeenFiles, read_seen
from jobs.storage.folders import OutputFolder
from transforms.corpus.entries import File, Known, Stamp
from transforms.corpus.folders import Folders

SECOND = 10**9


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The paths of the files that are read."""
    found: list[str] = []
    original = Folders.read_stamped

    def noted(self: Folders, path: str, max_bytes: int) -> tuple[bytes, Stamp | None]:
        found.append(path)
        return original(self, path, max_bytes)

    monkeypatch.setattr(Folders, "read_stamped", noted)
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of three files, one of which is rejected; they count as settled."""
    monkeypatch.setattr(jobs.collecting.seen, "SETTLED_S", 0.0)
    (tmp_path / "in").mkdir()
    for name, content in (("a.py", b"a = 1\n"), ("b.py", b"b = 1\n"), ("c.bin", b"\0\1")):
        (tmp_path / "in" / name).write_bytes(content)
    return tmp_path


def grow(folder: Path, *more: str) -> int:
    argv = ["corpus", str(folder / "in"), "--output", str(folder / "out"), "--progress", "none", "--workers", "1"]
    return cli.main([*argv, *(more or ["--grow"])])


def contents(folder: Path) -> dict[str, str]:
    rows = [row for path in (folder / "out/data").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return {row["path"]: row["content"] for row in rows}


def test_files_that_are_as_they_were_are_not_read(folder, read):
    assert grow(folder) == grow(folder) == 0
    read.clear()
    assert grow(folder) == grow(folder, "--progress", "none") == 0
    assert read == []
    (folder / "in/d.py").write_bytes(b"d = 1\n")
    assert grow(folder) == 0
    assert set(read) == {"d.py"}
    read.clear()
    assert grow(folder) == 0 and read == []
    assert grow(folder, "--grow", "--reread") == 0
    assert set(read) == {"a.py", "b.py", "c.bin", "d.py"}


@pytest.mark.parametrize("by", ["in place", "by renaming"])
def test_another_content_of_the_same_size_and_time_is_seen(by, folder):
    assert grow(folder) == grow(folder) == 0
    path = folder / "in/a.py"
    before = path.stat()
    target = path if by == "in place" else folder / "in/new"
    target.write_bytes(b"a = 2\n")
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(target, path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert grow(folder, "--progress", "none") == 4
    assert grow(folder) == 0
    assert contents(folder)["a.py"] == "a = 2\n"


def test_a_rejected_file_that_becomes_text_is_seen(folder):
    assert grow(folder) == grow(folder) == 0
    (folder / "in/c.bin").write_bytes(b"c\n")
    assert grow(folder) == 0
    assert contents(folder)["c.bin"] == "c\n"


@pytest.mark.parametrize("age_s, is_noted", [(SETTLED_S + 1, True), (SETTLED_S - 1, False), (-3600.0, False)])
@pytest.mark.parametrize("which", ["mtime_ns", "ctime_ns"])
def test_a_file_is_noted_only_if_a_later_change_is_sure_to_show(age_s, is_noted, which):
    now_s = 1_000_000.0
    stamp = Stamp(5, 0, 0, 7)._replace(**{which: int((now_s - age_s) * SECOND)})
    seen = SeenFiles(now_s=now_s)
    find = seen.of("in")
    seen.note("in", File("a.py", b"", stamp), ("blob", None))
    seen.note("in", File("changed.py", b"", None), ("blob", None))  # while it was read
    assert seen.noted == {"in": {"a.py": (stamp, ("blob", None))} if is_noted else {}}
    assert find("a.py", stamp) is None  # this look began before


def test_a_flipped_bit_of_the_list_ends_no_night(tmp_path):
    output = OutputFolder(str(tmp_path))
    seen = SeenFiles(now_s=1e9)
    seen.of("in")
    for number in range(100):
        seen.note("in", File(f"{number}.py", b"", Stamp(*[number] * 4)), (f"{number**9:040x}", None))
    os.mkdir(output.job.path)
    seen.write(output)
    path, draw = Path(output.job.join("seen.parquet")), random.Random(1)
    whole = path.read_bytes()
    for _ in range(300):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        assert len(read_seen(output, 1e9).noted.get("in", {})) <= 100


def test_a_time_that_no_list_can_hold_and_a_folder_whose_name_is_no_text_are_read(tmp_path):
    output = OutputFolder(str(tmp_path))
    seen = SeenFiles(now_s=1e9)
    source = os.fsdecode(b"in\xff")
    seen.of(source)
    for name, mtime_ns in (("first.py", -(2**63)), ("earlier.py", -(2**63) - 1)):
        seen.note(source, File(name, b"", Stamp(5, mtime_ns, SECOND, 7)), ("blob", None))
    os.mkdir(output.job.path)
    seen.write(output)
    assert list(read_seen(output, 1e9).noted[source]) == ["first.py"]


def test_only_the_very_stamp_is_known(tmp_path):
    output = OutputFolder(str(tmp_path))
    stamp = Stamp(5, SECOND, SECOND, 2**64 - 1)
    seen = SeenFiles(now_s=1e9)
    seen.of("in")
    seen.note("in", File("a.py", b"", stamp), ("blob", "hash"))
    os.mkdir(output.job.path)
    seen.write(output)
    find = read_seen(output, 1e9).of("in")
    assert find("a.py", stamp) == Known("a.py", "blob", "hash")
    others = [stamp._replace(**{name: getattr(stamp, name) - 1}) for name in Stamp._fields]
    assert [find("a.py", other) for other in others] == [None] * 4
    assert find("b.py", stamp) is None


def halved(data: bytes) -> bytes:
    """A list whose pages are damaged, but not its footer."""
    place = len(data) // 4
    return data[:place] + bytes(place) + data[2 * place :]


@pytest.mark.parametrize("damaged", [lambda data: b"", lambda data: data[:-9] + data[-8:], halved])
def test_a_damaged_list_costs_a_nights_reading(damaged, folder, read):
    assert grow(folder) == grow(folder) == 0
    path = folder / "out/_job/seen.parquet"
    path.write_bytes(damaged(path.read_bytes()))
    read.clear()
    assert grow(folder) == 0
    assert set(read) == {"a.py", "b.py", "c.bin"}
    read.clear()
    assert grow(folder) == 0 and read == []


def test_no_list_has_the_name_of_a_forgotten_file(folder, read):
    assert grow(folder) == grow(folder) == 0
    assert cli.main(["forget", str(folder / "out"), "--path", "a.py"]) == 0
    assert not (folder / "out/_job/seen.parquet").exists()
    assert grow(folder) == 0
    noted = pq.read_table(folder / "out/_job/seen.parquet").column("path").to_pylist()
    assert sorted(noted) == ["b.py", "c.bin"] and "a.py" not in contents(folder)
