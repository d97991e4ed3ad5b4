from __future__ import annotations

import io
import struct
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.corpus.hostile_archives import ALL, entry, good_zip, header, hostile, pax, tar
from transforms.corpus.archives import read_archive
from transforms.corpus.entries import ArchiveLimits, File, Refused

KINDS = list(hostile())


def outcome(path, limits: ArchiveLimits = ArchiveLimits()) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The paths of files and (path, reason) of refusals."""
    entries = list(read_archive(str(path), limits))
    assert all(entry.detail for entry in entries if isinstance(entry, Refused))
    files = tuple(entry.path for entry in entries if isinstance(entry, File))
    return files, tuple((entry.path, entry.reason) for entry in entries if isinstance(entry, Refused))


@pytest.mark.parametrize(
    ("suffix", "build", "kept", "refused"), [kind[1:] for kind in KINDS], ids=[k[0] for k in KINDS]
)
def test_an_archive_of_this_kind_gives_what_is_whole_and_says_the_rest(tmp_path, suffix, build, kept, refused):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(build())
    files, refusals = outcome(path)
    if kept is None:
        assert set(files) <= {*ALL, "n0.py", "n1.py", "n2.py", "n3.py"}
    else:
        assert files == kept
    if refused is None:
        assert refusals
    else:
        assert tuple(refusal for refusal in refusals if refusal != ("link", "link")) == refused


def test_there_are_at_least_a_hundred_kinds():
    assert len({kind[0] for kind in KINDS}) == len(KINDS) >= 100


@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_folders_count_as_entries(tmp_path, suffix):
    if suffix == ".tar":
        data = tar(*(entry(b"d%d/" % index, b"", b"5") for index in range(200)), entry(b"a.py", b"1"))
    else:
        data = bytes(good_zip({f"d{index}/": b"" for index in range(200)} | {"a.py": b"1"}))
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    assert outcome(path, ArchiveLimits(max_entries=100)) == ((), (("", "too_many_entries"),))
    assert outcome(path, ArchiveLimits(max_entries=201)) == (("a.py",), ())


def test_a_zip_with_far_too_many_entries_is_not_loaded_at_all(tmp_path, monkeypatch):
    path = tmp_path / "x.zip"
    path.write_bytes(bytes(good_zip({f"d{index}/": b"" for index in range(500)})))

    def never(*args, **how):
        raise AssertionError

    monkeypatch.setattr(zipfile, "ZipFile", never)
    assert outcome(path, ArchiveLimits(max_entries=100)) == ((), (("", "too_many_entries"),))


def test_entries_count_whatever_the_directory_says(tmp_path):
    data = good_zip({f"d{index}/": b"" for index in range(500)})
    struct.pack_into("<HH", data, len(data) - 14, 1, 1)
    (tmp_path / "x.zip").write_bytes(bytes(data))
    assert outcome(tmp_path / "x.zip", ArchiveLimits(max_entries=100)) == ((), (("", "too_many_entries"),))


@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_an_archive_that_takes_too_long_is_ended_and_the_clock_stands_still_while_others_work(
    tmp_path, suffix, monkeypatch
):
    from transforms.corpus import entries as bounds

    now = 0.0
    monkeypatch.setattr(bounds.time, "monotonic", lambda: now)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(
        tar(*(entry(b"%d.py" % index, b"1") for index in range(9)))
        if suffix == ".tar"
        else bytes(good_zip({f"{index}.py": b"1" for index in range(9)}))
    )
    seen = []
    for found in read_archive(str(path), ArchiveLimits(max_seconds=10)):
        seen.append(found)
        now += 1000  # whoever asked for the entry works on it
    assert len(seen) == 9 and all(isinstance(found, File) for found in seen)

    def slow(path: str) -> bool:
        nonlocal now
        now += 4
        return True

    *good, last = read_archive(str(path), ArchiveLimits(max_seconds=10), is_wanted=slow)
    assert 1 <= len(good) <= 3 and isinstance(last, Refused) and last.reason == "archive_too_slow"
    assert "--max_archive_s" in last.detail


def test_memory_does_not_follow_what_headers_claim(tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(tar(header(b"a", 9 << 20), end=b"") + bytes(1 << 10))
    tracemalloc.start()
    try:
        assert outcome(path) == ((), (("", "corrupt_archive"),))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_an_archive_that_may_not_be_read_or_is_gone_is_a_refusal(tmp_path):
    assert outcome(tmp_path / "gone.tar") == ((), (("", "unreadable"),))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_format_of_tarfile_is_read_as_it_was_written(tmp_path_factory, form, data):
    part = st.text(st.sampled_from("abcé-_"), min_size=1, max_size=45)
    longest = 2 if form == tarfile.USTAR_FORMAT else 8
    names = data.draw(
        st.lists(st.lists(part, min_size=1, max_size=longest).map("/".join), min_size=1, max_size=4, unique=True)
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for index, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = index * 300
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    path = tmp_path_factory.mktemp("formats") / "x.tar"
    path.write_bytes(buffer.getvalue())
    assert [(found.path, len(found.data)) for found in read_archive(str(path)) if isinstance(found, File)] == [
        (name, index * 300) for index, name in enumerate(names)
    ]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_to_headers_raises_anything(tmp_path_factory, data):
    whole = bytearray(tar(pax((b"path", b"long/name.py")), entry(b"a.py", b"1" * 700), entry(b"s", b"", b"S")))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    from tests.transforms.corpus.hostile_archives import signed

    blocks = [bytes(whole[at : at + 512]) for at in range(0, len(whole), 512)]
    path = tmp_path_factory.mktemp("damage") / "x.tar"
    path.write_bytes(b"".join(signed(block) if block.strip(b"\0") else block for block in blocks))
    for found in read_archive(str(path)):
        assert isinstance(found, (File, Refused))
