from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import RecordError
from transforms.corpus import entries as bounds
from transforms.corpus.archives import archive_stem, is_archive, read_archive
from transforms.corpus.entries import ArchiveLimits, File, Refused, safe_path

COMPRESSORS = {
    ".tar": lambda data: data,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}
FILES = {"pkg/a.py": b"a = 1\n", "pkg/sub/b.py": b"b" * 5000, "README": b""}


def tar_bytes(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(folder_info("pkg"))
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


def folder_info(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_bytes(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.mkdir("pkg")
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def written(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def outcome(path: str, limits: ArchiveLimits = ArchiveLimits()) -> tuple[dict[str, bytes], list[tuple[str, str]]]:
    """The files by path, and the refusals as (path, reason)."""
    entries = list(read_archive(path, limits))
    files = {entry.path: entry.data for entry in entries if isinstance(entry, File)}
    return files, [(entry.path, entry.reason) for entry in entries if isinstance(entry, Refused)]


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_tar_gives_its_files_whatever_its_compression(tmp_path, suffix):
    path = written(tmp_path, f"x{suffix}", COMPRESSORS[suffix](tar_bytes(FILES)))
    assert outcome(path) == (FILES, [])


@pytest.mark.parametrize("suffix", [".zip", ".whl", ".egg"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_gives_its_files_whatever_its_compression(tmp_path, suffix, compression):
    assert outcome(written(tmp_path, f"x{suffix}", zip_bytes(FILES, compression))) == (FILES, [])


_NAME = st.text(st.sampled_from("abcé.-_ "), min_size=1, max_size=8).filter(lambda name: name.strip("."))


@settings(max_examples=30)
@given(
    files=st.dictionaries(st.lists(_NAME, min_size=1, max_size=3).map("/".join), st.binary(max_size=2000), max_size=6),
    form=st.sampled_from([".zip", ".tar", ".tar.xz"]),
)
def test_what_is_packed_comes_out_again(tmp_path_factory, files, form):
    # A path that is also another's folder can't be packed by any tool.
    files = {path: data for path, data in files.items() if not any(other.startswith(path + "/") for other in files)}
    data = zip_bytes(files) if form == ".zip" else COMPRESSORS[form](tar_bytes(files))
    assert outcome(written(tmp_path_factory.mktemp("archive"), f"x{form}", data)) == (files, [])


def test_only_what_is_wanted_is_yielded(tmp_path):
    for name, data in (("x.zip", zip_bytes(FILES)), ("x.tar", tar_bytes(FILES))):
        entries = list(read_archive(written(tmp_path, name, data), is_wanted=lambda path: path.endswith("a.py")))
        assert [entry.path for entry in entries] == ["pkg/a.py"]


# --- hostile -----------------------------------------------------------------------------------------

UNSAFE = ["/etc/passwd", "../up", "a/../../up", "C:/x", "a\\b", "a\nb", "..", "a/\x1b[31m"]


@pytest.mark.parametrize("name", UNSAFE)
def test_a_path_that_leads_outside_is_refused_and_the_others_come_out(tmp_path, name):
    files = {name: b"x", "good.py": b"y"}
    for archive in (written(tmp_path, "x.zip", zip_bytes(files)), written(tmp_path, "x.tar", tar_bytes(files))):
        good, refused = outcome(archive)
        assert good == {"good.py": b"y"}
        assert [reason for _, reason in refused] == ["unsafe_path"]
        assert all(character.isprintable() for character in refused[0][0])


@given(st.text())
def test_a_safe_path_stays_inside_and_is_its_own_normal_form(name):
    try:
        path = safe_path(name)
    except RecordError as error:
        assert error.reason == "unsafe_path"
        return
    assert not path.startswith("/") and ".." not in path.split("/") and "\\" not in path
    assert safe_path(path) == path


def test_links_are_not_followed(tmp_path):
    tar = tar_bytes(
        FILES, special("link", tarfile.SYMTYPE, "/etc/passwd"), special("hard", tarfile.LNKTYPE, "pkg/a.py")
    )
    assert outcome(written(tmp_path, "x.tar", tar)) == (FILES, [("link", "link"), ("hard", "link")])

    buffer = io.BytesIO(zip_bytes(FILES))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert outcome(written(tmp_path, "x.zip", buffer.getvalue())) == (FILES, [("link", "link")])


def test_devices_and_pipes_are_refused(tmp_path):
    tar = tar_bytes({}, special("pipe", tarfile.FIFOTYPE), special("disk", tarfile.BLKTYPE))
    assert outcome(written(tmp_path, "x.tar", tar)) == ({}, [("pipe", "not_a_file"), ("disk", "not_a_file")])


def test_a_path_that_comes_twice_is_kept_once(tmp_path):
    buffer = io.BytesIO(tar_bytes({"a.py": b"first"}))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        info = tarfile.TarInfo("./a.py")
        info.size = 6
        archive.addfile(info, io.BytesIO(b"second"))
    assert outcome(written(tmp_path, "x.tar", buffer.getvalue())) == (
        {"a.py": b"first"},
        [("a.py", "duplicate_path")],
    )


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_an_entry_beyond_the_limit_is_refused_and_the_next_comes_out(tmp_path, name):
    files = {"big.py": b"x" * 10_001, "small.py": b"y" * 10_000}
    data = zip_bytes(files) if name == "x.zip" else gzip.compress(tar_bytes(files))
    good, refused = outcome(written(tmp_path, name, data), ArchiveLimits(max_entry_bytes=10_000))
    assert list(good) == ["small.py"] and refused == [("big.py", "content_too_large")]


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
def test_more_entries_than_allowed_end_the_archive(tmp_path, name):
    files = {f"{index}.py": b"x" for index in range(5)}
    data = zip_bytes(files) if name == "x.zip" else tar_bytes(files)
    good, refused = outcome(written(tmp_path, name, data), ArchiveLimits(max_entries=4))  # the folder is one
    assert list(good) == ["0.py", "1.py", "2.py"] and refused == [("", "too_many_entries")]


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_more_bytes_in_all_than_allowed_end_the_archive(tmp_path, name):
    files = {f"{index}.py": b"x" * 9000 for index in range(5)}
    data = zip_bytes(files) if name == "x.zip" else gzip.compress(tar_bytes(files))
    good, refused = outcome(written(tmp_path, name, data), ArchiveLimits(max_total_bytes=30_000))
    assert 1 <= len(good) <= 3 and refused == [("", "archive_too_large")]


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_a_bomb_is_stopped_by_its_ratio_even_where_its_entries_are_skipped(tmp_path, name, monkeypatch):
    monkeypatch.setattr(bounds, "RATIO_FREE_BYTES", 1 << 20)
    files = {f"{index}.bin": bytes(400_000) for index in range(4)}
    data = zip_bytes(files) if name == "x.zip" else gzip.compress(tar_bytes(files), 6)
    assert len(data) < 5000
    good, refused = outcome(written(tmp_path, name, data), ArchiveLimits(max_entry_bytes=300_000))
    assert good == {} and refused[-1] == ("", "compression_ratio")
    assert outcome(written(tmp_path, name, data), ArchiveLimits(max_ratio=1e6))[0] == files


def test_a_zip_whose_header_lies_about_a_size_is_counted_as_it_is_unpacked(tmp_path):
    data = bytearray(zip_bytes({"a.py": b"x" * 50_000}))
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 10)  # uncompressed size in the central directory
    good, refused = outcome(written(tmp_path, "x.zip", bytes(data)), ArchiveLimits(max_entry_bytes=1000))
    # zipfile believes the header and then misses the checksum.
    assert good == {} and refused[0][1] in ("corrupt_entry", "content_too_large")


def test_a_zip_with_a_huge_directory_is_refused_before_it_is_read(tmp_path):
    data = bytearray(zip_bytes(FILES))
    struct.pack_into("<L", data, data.rfind(b"PK\x05\x06") + 12, 1 << 30)
    assert outcome(written(tmp_path, "x.zip", bytes(data))) == ({}, [("", "too_many_entries")])


def test_a_tar_with_a_huge_extended_header_is_refused_before_it_is_read(tmp_path):
    header = special("pax", tarfile.XHDTYPE)
    header.size = 1 << 30
    data = header.tobuf(tarfile.USTAR_FORMAT) + bytes(2048)
    good, refused = outcome(written(tmp_path, "x.tar", data))
    assert good == {} and refused == [("", "corrupt_archive")]


def test_an_xz_header_may_not_ask_for_gigabytes(tmp_path):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(tar_bytes(FILES), format=lzma.FORMAT_XZ, filters=filters))
    assert outcome(written(tmp_path, "x.tar.xz", bytes(data))) == (FILES, [])
    # The block header holds the dictionary size as one byte, and a checksum of its own.
    at = data.index(b"\x21\x01", 12) + 2
    data[at] = 40  # 4 GiB
    end = 12 + (data[12] + 1) * 4 - 4
    import zlib

    struct.pack_into("<L", data, end, zlib.crc32(bytes(data[12:end])))
    good, refused = outcome(written(tmp_path, "x.tar.xz", bytes(data)))
    assert good == {} and refused == [("", "corrupt_archive")]


def test_an_encrypted_entry_is_refused(tmp_path):
    data = bytearray(zip_bytes({"a.py": b"x"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rfind(signature) + offset] |= 1
    good, refused = outcome(written(tmp_path, "x.zip", bytes(data)))
    assert good == {} and refused == [("a.py", "encrypted")]


# --- damaged -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_tar_that_is_cut_off_gives_what_is_whole_and_says_so(tmp_path, suffix):
    import random

    files = {f"{index}.py": random.Random(index).randbytes(20_000) for index in range(8)}
    data = COMPRESSORS[suffix](tar_bytes(files))
    good, refused = outcome(written(tmp_path, f"x{suffix}", data[: len(data) // 2]))
    assert len(good) < len(files) and good.items() <= files.items()
    assert refused == [("", "corrupt_archive")]


def test_a_tar_without_its_end_mark_is_reported(tmp_path):
    data = tar_bytes(FILES)
    whole = data[: data.rindex(b"README")] + data[data.rindex(b"README") : data.rindex(b"README") + 512]
    good, refused = outcome(written(tmp_path, "x.tar", whole))
    assert good == FILES and refused == [("", "corrupt_archive")]


def test_a_damaged_header_in_the_middle_of_a_tar_is_no_end(tmp_path):
    data = bytearray(tar_bytes(FILES))
    at = data.index(b"pkg/sub/b.py")
    data[at : at + 4] = b"XXXX"
    good, refused = outcome(written(tmp_path, "x.tar", bytes(data)))
    assert good == {"pkg/a.py": FILES["pkg/a.py"]} and refused == [("", "corrupt_archive")]


def test_a_damaged_zip_entry_is_refused_and_the_others_come_out(tmp_path):
    data = bytearray(zip_bytes(FILES, zipfile.ZIP_STORED))
    data[data.index(FILES["pkg/a.py"])] ^= 0xFF
    good, refused = outcome(written(tmp_path, "x.zip", bytes(data)))
    assert set(good) == {"pkg/sub/b.py", "README"} and refused == [("pkg/a.py", "corrupt_entry")]


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
@pytest.mark.parametrize("data", [b"", b"no archive at all", bytes(100)])
def test_what_is_no_archive_is_one_refusal(tmp_path, name, data):
    assert outcome(written(tmp_path, name, data)) == ({}, [("", "corrupt_archive")])


@settings(max_examples=60)
@given(st.data())
def test_no_damage_raises_anything(tmp_path_factory, data):
    form = data.draw(st.sampled_from([".zip", ".tar", ".tar.gz", ".tar.xz"]))
    whole = bytearray(zip_bytes(FILES) if form == ".zip" else COMPRESSORS[form](tar_bytes(FILES)))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = written(tmp_path_factory.mktemp("damage"), f"x{form}", bytes(whole))
    for entry in read_archive(path):
        assert isinstance(entry, (File, Refused))


def test_names_tell_archives_and_their_stems():
    assert not is_archive("a.py") and is_archive("A.ZIP")
    assert [archive_stem(name) for name in ("a-1.0.tar.gz", "/x/a-1.0-py3-none-any.whl", "folder")] == [
        "a-1.0",
        "a-1.0-py3-none-any",
        "folder",
    ]


@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_gits_own_files_in_an_archive_are_no_sources(tmp_path, suffix):
    files = {"a.py": b"a", ".git/config": b"x", "sub/.git/HEAD": b"x", "b.git/config": b"x", "b.git/hooks/x": b"y"}
    files |= {"c.git/readme": b"z", ".gitignore": b"q"}
    good, refused = outcome(written(tmp_path, f"x{suffix}", zip_bytes(files) if suffix == ".zip" else tar_bytes(files)))
    assert set(good) == {"a.py", "c.git/readme", ".gitignore"}
    assert refused == [("b.git/config", "bare_repository"), ("b.git/hooks/x", "bare_repository")]
