# ruff: noqa: E501  (the table reads better with one kind a line)
"""Damaged and hostile archives of many kinds, built when they are asked for, with what is to come of each."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator

import pyarrow as pa

GOOD = {"a.py": b"a = 1\n", "pkg/b.py": b"b" * 600, "c.py": b"c = 3\n"}


# --- building blocks -----------------------------------------------------------------------------------


def header(name: bytes, size: int | bytes = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A tar header; `size` may be the raw field."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    for field, value in fields.items():
        at = {"link": 157, "prefix": 345, "magic": 257, "sparse": 386, "extended": 482}[field]
        block[at : at + len(value)] = value
    return signed(bytes(block))


def signed(block: bytes) -> bytes:
    total = sum(block[:148]) + sum(block[156:]) + 8 * 32
    return block[:148] + b"%06o\0 " % total + block[156:]


def entry(name: bytes, data: bytes = b"", kind: bytes = b"0", **fields: bytes) -> bytes:
    return header(name, len(data), kind, **fields) + padded(data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def tar(*parts: bytes, end: bytes = bytes(1024)) -> bytes:
    return b"".join(parts) + end


def good_tar() -> bytes:
    return tar(*(entry(name.encode(), data) for name, data in GOOD.items()))


def base256(number: int) -> bytes:
    return b"\x80" + number.to_bytes(11, "big")


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    data = b""
    for key, value in records:
        rest = b" " + key + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length += 1
        data += str(length).encode() + rest
    return entry(b"pax", data, kind)


def good_zip(files: dict[str, bytes] = GOOD, compression: int = zipfile.ZIP_DEFLATED) -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return bytearray(buffer.getvalue())


def zip_with_mode(name: str, mode: int) -> bytes:
    buffer = io.BytesIO(bytes(good_zip()))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def central(data: bytes, name: bytes) -> int:
    """Where the central directory's record of a name begins."""
    return data.rindex(name) - 46


def patched(data: bytearray, at: int, form: str, *values: int) -> bytes:
    struct.pack_into(form, data, at, *values)
    return bytes(data)


def zip64_end(data: bytes, directory_bytes: int, record: bytes | None = None, at: int | None = None) -> bytes:
    """The zip with a zip64 end record and locator before its end record."""
    end = data.rindex(b"PK\x05\x06")
    count, _, offset = struct.unpack_from("<HLL", data, end + 10)
    if record is None:
        record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, directory_bytes, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end if at is None else at, 1)
    last = bytearray(data[end:])
    struct.pack_into("<L", last, 12, 0xFFFFFFFF)
    return data[:end] + record + locator + bytes(last)


def overlapping_zip() -> bytes:
    """Ten entries whose records all name the same local header, as in a bomb without a large ratio."""
    data = good_zip({f"f{index}.py": b"x" * 1000 for index in range(10)})
    for index in range(1, 10):
        struct.pack_into("<L", data, central(data, b"f%d.py" % index) + 42, 0)
    return bytes(data)


def lzma_with_memory(num_bytes: int) -> bytes:
    data = good_zip({"a.py": b"a = 1\n" * 50}, zipfile.ZIP_LZMA)
    return patched(data, 30 + 4 + 5, "<L", num_bytes)


def wrong_crc(data: bytes) -> bytes:
    return data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]


# --- the kinds -------------------------------------------------------------------------------------------

ALL = tuple(GOOD)
WHOLE = ("", "corrupt_archive")
Kind = tuple[str, str, Callable[[], bytes], tuple[str, ...] | None, tuple[tuple[str, str], ...] | None]
_KINDS: list[Kind] = [
    # sizes
    ("a size of 2^62", ".tar", lambda: tar(entry(b"a.py", b"1"), header(b"b.py", base256(1 << 62))), ("a.py",), (("b.py", "content_too_large"), WHOLE)),
    ("a folder of 2^62 bytes", ".tar", lambda: tar(header(b"d/", base256(1 << 62), b"5"), entry(b"a.py", b"1")), ("a.py",), ()),
    ("an unknown kind of 2^62 bytes", ".tar", lambda: tar(header(b"d", base256(1 << 62), b"Z")), (), (("d", "not_a_file"), WHOLE)),
    ("a negative size", ".tar", lambda: tar(entry(b"a.py", b"1"), header(b"b.py", b"\xff" * 12)), ("a.py",), (WHOLE,)),
    ("a size of letters", ".tar", lambda: tar(header(b"b.py", b"00000zzzzzz\0")), (), (WHOLE,)),
    ("a size with a sign", ".tar", lambda: tar(header(b"b.py", b"-0000000001\0")), (), (WHOLE,)),
    ("a pax size of 2^62", ".tar", lambda: tar(pax((b"size", b"%d" % (1 << 62))), entry(b"b.py", b"1")), (), (("b.py", "content_too_large"), WHOLE)),
    ("a pax size with 5,000 digits", ".tar", lambda: tar(pax((b"size", b"9" * 5000)), entry(b"b.py", b"1")), (), (WHOLE,)),
    ("a negative pax size", ".tar", lambda: tar(pax((b"size", b"-512")), entry(b"b.py", b"1")), (), (WHOLE,)),
    ("a pax size smaller than the header's", ".tar", lambda: tar(pax((b"size", b"1")), entry(b"b.py", b"1" * 600)), ("b.py",), (WHOLE,)),
    # extended headers
    ("1,100 long names in a row", ".tar", lambda: tar(*[entry(b"././@LongLink", b"x\0", b"L")] * 1100, entry(b"a.py", b"1")), (), (WHOLE,)),
    ("1,100 long links in a row", ".tar", lambda: tar(*[entry(b"././@LongLink", b"x\0", b"K")] * 1100, entry(b"a.py", b"1")), (), (WHOLE,)),
    ("1,100 pax headers in a row", ".tar", lambda: tar(*[pax((b"path", b"x"))] * 1100, entry(b"a.py", b"1")), (), (WHOLE,)),
    ("1,100 global headers in a row", ".tar", lambda: tar(*[pax((b"a", b"x"), kind=b"g")] * 1100, entry(b"a.py", b"1")), (), (WHOLE,)),
    ("a long name of 2^62 bytes", ".tar", lambda: tar(header(b"x", base256(1 << 62), b"L")), (), (WHOLE,)),
    ("a pax header of a gigabyte", ".tar", lambda: tar(header(b"x", 1 << 30, b"x")), (), (WHOLE,)),
    ("a pax value of 2 MB", ".tar", lambda: tar(pax((b"comment", b"x" * (2 << 20))), entry(b"a.py", b"1")), (), (WHOLE,)),
    ("a pax value of 500 KB", ".tar", lambda: tar(pax((b"comment", b"x" * 500_000)), entry(b"a.py", b"1")), ("a.py",), ()),
    ("a pax record that says it is longer", ".tar", lambda: tar(entry(b"p", b"999 path=a\n", b"x"), entry(b"a.py", b"1")), (), (WHOLE,)),
    ("a pax record of length 0", ".tar", lambda: tar(entry(b"p", b"0 path=a\n", b"x"), entry(b"a.py", b"1")), (), (WHOLE,)),
    ("a pax record without a length", ".tar", lambda: tar(entry(b"p", b"path=a\n", b"x"), entry(b"a.py", b"1")), (), (WHOLE,)),
    ("a pax path that leads outside", ".tar", lambda: tar(pax((b"path", b"../../a.py")), entry(b"a.py", b"1"), entry(b"b.py")), ("b.py",), (("../../a.py", "unsafe_path"),)),
    ("a global path for all", ".tar", lambda: tar(pax((b"path", b"x.py"), kind=b"g"), entry(b"a.py", b"1"), entry(b"b.py", b"2")), ("x.py",), (("x.py", "duplicate_path"),)),
    ("a pax header as the last", ".tar", lambda: tar(entry(b"a.py", b"1"), pax((b"path", b"x"))), ("a.py",), (WHOLE,)),
    # names
    ("an absolute name", ".tar", lambda: tar(entry(b"/etc/cron.d/x", b"1"), entry(b"a.py")), ("a.py",), (("/etc/cron.d/x", "unsafe_path"),)),
    ("a name that climbs", ".tar", lambda: tar(entry(b"a/../../x", b"1"), entry(b"a.py")), ("a.py",), (("a/../../x", "unsafe_path"),)),
    ("a prefix that climbs", ".tar", lambda: tar(entry(b"x", b"1", prefix=b"../.."), entry(b"a.py")), ("a.py",), (("../../x", "unsafe_path"),)),
    ("a drive letter", ".tar", lambda: tar(entry(b"C:x.py", b"1"), entry(b"a.py")), ("a.py",), (("C:x.py", "unsafe_path"),)),
    ("a name that isn't UTF-8", ".tar", lambda: tar(entry(b"\xff\xfe.py", b"1"), entry(b"a.py")), ("a.py",), (("\\udcff\\udcfe.py", "unsafe_path"),)),
    ("a pax name that isn't UTF-8", ".tar", lambda: tar(pax((b"path", b"b\xff.py")), entry(b"b.py", b"1"), entry(b"a.py")), ("a.py",), (("b\\udcff.py", "unsafe_path"),)),
    ("an empty name", ".tar", lambda: tar(entry(b"", b"1"), entry(b"a.py")), ("a.py",), (("", "unsafe_path"),)),
    ("a name with escape codes", ".tar", lambda: tar(entry(b"\x1b]0;x\x07.py", b"1"), entry(b"a.py")), ("a.py",), (("\\x1b]0;x\\x07.py", "unsafe_path"),)),
    ("the same name twice", ".tar", lambda: tar(entry(b"a.py", b"1"), entry(b"./a.py", b"2")), ("a.py",), (("a.py", "duplicate_path"),)),
    # kinds of entries
    ("links out of the archive", ".tar", lambda: tar(entry(b"s", b"", b"2", link=b"/etc/passwd"), entry(b"h", b"", b"1", link=b"../x"), entry(b"a.py")), ("a.py",), (("s", "link"), ("h", "link"))),
    ("a file below a link", ".tar", lambda: tar(entry(b"d", b"", b"2", link=b"/etc"), entry(b"d/passwd", b"1")), ("d/passwd",), (("d", "link"),)),
    ("devices and a pipe", ".tar", lambda: tar(entry(b"c", b"", b"3"), entry(b"b", b"", b"4"), entry(b"p", b"", b"6"), entry(b"a.py")), ("a.py",), (("c", "not_a_file"), ("b", "not_a_file"), ("p", "not_a_file"))),
    ("a sparse file", ".tar", lambda: tar(header(b"s", 512, b"S") + bytes(512), entry(b"a.py", b"1")), ("a.py",), (("s", "not_a_file"),)),
    ("a sparse file whose map never ends", ".tar", lambda: tar(header(b"s", 0, b"S", extended=b"\1"), (bytes(504) + b"\1" + bytes(7)) * 5000), (), (WHOLE,)),
    ("a sparse file whose map is cut off", ".tar", lambda: tar(entry(b"a.py"), header(b"s", 0, b"S", extended=b"\1"), end=b""), ("a.py",), (WHOLE,)),
    ("a sparse pax file", ".tar", lambda: tar(pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.name", b"s.py")), entry(b"GNUSparseFile.0/s.py", b"9999999\n"), entry(b"a.py")), ("a.py",), (("s.py", "not_a_file"),)),
    ("a volume of many", ".tar", lambda: tar(entry(b"a.py", b"1", b"M"), entry(b"b.py")), ("b.py",), (("a.py", "not_a_file"),)),
    ("an archive inside", ".tar", lambda: tar(entry(b"x.tar", good_tar()), entry(b"a.py")), ("x.tar", "a.py"), ()),
    # damage
    ("an empty file", ".tar", lambda: b"", (), (WHOLE,)),
    ("no archive", ".tar", lambda: b"not an archive\n" * 50, (), (WHOLE,)),
    ("only the end mark", ".tar", lambda: bytes(10240), (), ()),
    ("a wrong checksum", ".tar", lambda: tar(entry(b"a.py"), b"X" + entry(b"b.py")[1:]), ("a.py",), (WHOLE,)),
    ("a second archive behind the end", ".tar", lambda: good_tar() + good_tar(), ALL, (WHOLE,)),
    ("a bit flipped in gzip's data", ".tar.gz", lambda: _flipped(gzip.compress(_noisy_tar(), mtime=0)), ("n0.py", "n1.py"), (WHOLE,)),
    ("gzip's wrong CRC", ".tar.gz", lambda: wrong_crc(gzip.compress(good_tar(), mtime=0)), ALL, (WHOLE,)),
    ("garbage behind gzip", ".tar.gz", lambda: gzip.compress(good_tar(), mtime=0) + b"garbage", ALL, (WHOLE,)),
    ("100,000 empty gzip members", ".tar.gz", lambda: gzip.compress(b"", mtime=0) * 100_000 + gzip.compress(good_tar()), ALL, ()),
    ("a gzip header alone", ".tar.gz", lambda: b"\x1f\x8b\x08\0", (), (WHOLE,)),
    ("bzip2 cut off", ".tar.bz2", lambda: bz2.compress(good_tar())[:-4], None, (WHOLE,)),
    ("bzip2's wrong CRC", ".tar.bz2", lambda: wrong_crc(bz2.compress(good_tar())), None, (WHOLE,)),
    ("xz cut off", ".tar.xz", lambda: lzma.compress(good_tar())[:-9], ALL, (WHOLE,)),
    ("xz's wrong check", ".tar.xz", lambda: _flipped_xz_check(), None, (WHOLE,)),
    ("zstd cut off", ".tar.zst", lambda: pa.compress(_noisy_tar(), "zstd", asbytes=True)[:-9000], None, (WHOLE,)),
    ("zstd's nonsense", ".tar.zst", lambda: b"\x28\xb5\x2f\xfd" + b"\xff" * 100, (), (WHOLE,)),
    ("a bomb in a tar", ".tar.gz", lambda: gzip.compress(tar(entry(b"z", bytes(80 << 20)), entry(b"a.py")), 1), (), (("z", "content_too_large"), ("", "compression_ratio"))),
    # zip
    ("no zip", ".zip", lambda: b"not an archive\n" * 50, (), (WHOLE,)),
    ("a zip that begins late", ".zip", lambda: b"#!/usr/bin/env python3\n" + bytes(good_zip()), ALL, ()),
    ("a zip cut off", ".zip", lambda: bytes(good_zip()[:-30]), (), (WHOLE,)),
    ("a zip without its beginning", ".zip", lambda: bytes(good_zip()[40:]), None, None),
    ("a directory of 2^30 bytes", ".zip", lambda: patched(good_zip(), len(good_zip()) - 10, "<L", 1 << 30), (), (("", "too_many_entries"),)),
    ("a directory elsewhere", ".zip", lambda: patched(good_zip(), len(good_zip()) - 6, "<L", 0xFFFFFFF0), (), tuple((name, "corrupt_entry") for name in ALL)),
    ("a zip64 end", ".zip", lambda: zip64_end(bytes(good_zip()), _directory_bytes()), ALL, ()),
    ("a zip64 directory of 2^62 bytes", ".zip", lambda: zip64_end(bytes(good_zip()), 1 << 62), (), (("", "too_many_entries"),)),
    ("a zip64 end that isn't there", ".zip", lambda: zip64_end(bytes(good_zip()), 0, record=b"", at=1 << 62), (), (WHOLE,)),
    ("a zip64 end of something else", ".zip", lambda: zip64_end(bytes(good_zip()), 0, record=bytes(56)), (), (WHOLE,)),
    ("a wrong CRC", ".zip", lambda: patched(good_zip(), central(good_zip(), b"a.py") + 16, "<L", 1), ALL[1:], (("a.py", "corrupt_entry"),)),
    ("a size that lies", ".zip", lambda: patched(good_zip(), central(good_zip(), b"pkg/b.py") + 24, "<L", 3), ("a.py", "c.py"), (("pkg/b.py", "corrupt_entry"),)),
    ("a compressed size of 4 GB", ".zip", lambda: patched(good_zip(), central(good_zip(), b"a.py") + 20, "<L", 0xFFFFFFF0), ALL[1:], (("a.py", "corrupt_entry"),)),
    ("a local header elsewhere", ".zip", lambda: patched(good_zip(), central(good_zip(), b"a.py") + 42, "<L", 0xFFFFFFF0), None, None),
    ("an unknown compression", ".zip", lambda: patched(good_zip(), central(good_zip(), b"a.py") + 10, "<H", 77), ALL[1:], (("a.py", "corrupt_entry"),)),
    ("ten entries in one place", ".zip", overlapping_zip, (), tuple((f"f{index}.py", "corrupt_entry") for index in range(10))),
    ("LZMA that asks for 4 GB", ".zip", lambda: lzma_with_memory(0xFFFFFFFF), (), (("a.py", "corrupt_entry"),)),
    ("an encrypted entry", ".zip", lambda: patched(good_zip(), central(good_zip(), b"a.py") + 8, "<H", 1), ALL[1:], (("a.py", "encrypted"),)),
    ("a link in a zip", ".zip", lambda: zip_with_mode("s", stat.S_IFLNK | 0o777), ALL, (("s", "link"),)),
    ("a pipe in a zip", ".zip", lambda: zip_with_mode("p", stat.S_IFIFO), ALL, (("p", "not_a_file"),)),
    ("a name that climbs in a zip", ".zip", lambda: bytes(good_zip({"../x": b"1", "a.py": b"2"})), ("a.py",), (("../x", "unsafe_path"),)),
    ("an absolute name in a zip", ".zip", lambda: bytes(good_zip({"/x": b"1", "a.py": b"2"})), ("a.py",), (("/x", "unsafe_path"),)),
    ("a name in a zip that isn't UTF-8", ".zip", lambda: bytes(good_zip({"XXXX.py": b"1", "a.py": b"2"})).replace(b"XXXX", b"\xce\xc4\xbc\xfe"), ("a.py",), (("\\udcce\\u013c\\udcfe.py", "unsafe_path"),)),
    ("a UTF-8 name in a zip without its flag", ".zip", lambda: bytes(good_zip({"gXXs.py": b"1"})).replace(b"XX", "ö".encode()), ("gös.py",), ()),
    ("the same name twice in a zip", ".zip", lambda: bytes(good_zip({"a.py": b"1", "b.py": b"2"})).replace(b"b.py", b"a.py"), ("a.py",), (("a.py", "duplicate_path"),)),
    ("an entry of 11 MB from 11 KB", ".zip", lambda: bytes(good_zip({"z": bytes(11 << 20), "a.py": b"1"})), ("a.py",), (("z", "content_too_large"),)),
    ("an archive inside a zip", ".zip", lambda: bytes(good_zip({"x.zip": bytes(good_zip())})), ("x.zip",), ()),
]  # fmt: skip


def hostile() -> Iterator[Kind]:
    """What is wrong, the suffix, how it is built, what is kept and refused (None: whatever is whole; any refusal)."""
    yield from _KINDS
    whole = tar(
        *(pax((b"comment", b"x")) + entry(name.encode(), data) for name, data in GOOD.items()),
        header(b"link", 0, b"2", link=b"x"),
    )
    for at in range(0, len(whole) - 512, 512):  # one block of the end mark is enough
        yield f"a tar cut off at block {at // 512}", ".tar", lambda at=at: whole[:at], None, (WHOLE,)
        yield f"a tar cut off within block {at // 512}", ".tar", lambda at=at: whole[: at + 300], None, (WHOLE,)


def _noisy_tar() -> bytes:
    return tar(*(entry(b"n%d.py" % index, random.Random(index).randbytes(20_000)) for index in range(4)))


def _flipped(data: bytes) -> bytes:
    """With damage where the third of four files lies."""
    at = len(data) * 5 // 8
    return data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + 2000]) + data[at + 2000 :]


def _flipped_xz_check() -> bytes:
    data = lzma.compress(good_tar(), check=lzma.CHECK_CRC32)
    at = data.rindex(b"\0", 0, len(data) - 12) - 20
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def _directory_bytes() -> int:
    data = bytes(good_zip())
    return struct.unpack_from("<L", data, data.rindex(b"PK\x05\x06") + 12)[0]
