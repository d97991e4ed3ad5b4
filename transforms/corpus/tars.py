"""Reads a tar header by header, with every number checked before it is believed.

    512-byte header | data, padded to 512 | header | data | ... | 512 zero bytes: the end

`tarfile` isn't used: it skips by loops over a size that the header claims, recurses once for each extended header, and
takes a damaged header for the end. Long names come in GNU's `L` and `K` entries or in pax `x` (the next entry) and `g`
(all that follow) records, a few of them in a row at most. Links, devices and sparse files are told and passed over.
Memory: one entry and one extended header. Source: POSIX.1-2017 pax; GNU tar manual 1.35, "Basic Tar Format".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from model.errors import RecordError
from transforms.corpus.entries import Budget, File, Refused, printable, safe_path, too_large
from transforms.corpus.streams import TimedFile, Unpacked

_BLOCK = 512
_MAX_EXTENDED_BYTES = 1 << 20  # a path and a few attributes
_MAX_EXTENDED_IN_A_ROW = 16
_MAX_SPARSE_BLOCKS = 4096
_PAX_RECORD = re.compile(rb"(\d{1,10}) ([^=\n]{1,200})=")
_PAX_KEYS = frozenset(("path", "size", "GNU.sparse.name"))

_FILE_TYPES = (b"0", b"\0", b"7")
_NO_DATA_TYPES = (b"1", b"2", b"3", b"4", b"5", b"6")
_KINDS = {
    b"1": ("link", "a hard link"),
    b"2": ("link", "a symbolic link"),
    b"3": ("not_a_file", "a device"),
    b"4": ("not_a_file", "a device"),
    b"6": ("not_a_file", "a pipe"),
}


@dataclass(slots=True)
class _Member:
    """One header, with what the extended headers before it say."""

    name: str
    size: int
    type: bytes
    is_sparse: bool

    @property
    def is_folder(self) -> bool:
        return self.type == b"5" or (self.type == b"\0" and self.name.endswith("/"))


@dataclass(slots=True)
class _Extended:
    """What extended headers said: for all that follow (`shared`) and for the next member."""

    shared: dict[str, str] = field(default_factory=dict)
    next: dict[str, str] = field(default_factory=dict)
    in_a_row: int = 0

    def apply(self, member: _Member) -> _Member:
        facts = self.shared | self.next
        self.next, self.in_a_row = {}, 0
        member.name = facts.get("GNU.sparse.name") or facts.get("path") or member.name
        if "size" in facts:
            member.size = _number(facts["size"].encode("ascii", "replace"), 10)
        member.is_sparse = member.is_sparse or "GNU.sparse" in facts
        return member


def read_tar(path: str, budget: Budget) -> Iterator[File | Refused]:
    """Yields what a tar holds. Raises RecordError, or what a decompressor raises, where it can't go on."""
    with TimedFile(path, budget) as file:
        stream = Unpacked(file, budget)
        extended = _Extended()
        while (member := _next_member(stream, extended, budget)) is not None:
            yield from _entry(stream, member, budget)
        if extended.in_a_row:
            raise RecordError("corrupt_archive", "an extended header is the last one")
        _check_rest(stream, budget)


def _next_member(stream: Unpacked, extended: _Extended, budget: Budget) -> _Member | None:
    """The next header that is no extended one; None at the end mark."""
    while True:
        block = stream.read_up_to(_BLOCK)
        if len(block) < _BLOCK:
            raise RecordError("corrupt_archive", "cut off: the end-of-archive mark is missing")
        if not block.strip(b"\0"):
            return None
        member = _member(block)
        if member.type in (b"L", b"K", b"x", b"X", b"g"):
            _read_extended(stream, member, extended)
            continue
        budget.count_entry()
        if member.type == b"S":
            _skip_sparse_map(stream, block)
        return extended.apply(member)


def _entry(stream: Unpacked, member: _Member, budget: Budget) -> Iterator[File | Refused]:
    """The member as a file or a refusal; its data are read or passed over."""
    num_bytes = 0 if member.type in _NO_DATA_TYPES else member.size
    padding = -num_bytes % _BLOCK
    what = printable(member.name)
    found = _judge(member, budget)
    if isinstance(found, str):
        yield File(found, stream.read(num_bytes, what))
    else:
        if found is not None:
            yield found
        stream.skip(num_bytes, what)
    stream.skip(padding, what)


def _judge(member: _Member, budget: Budget) -> str | Refused | None:
    """The path of a file that is to be read, the refusal of what can't be, None for what isn't wanted."""
    if member.is_folder:
        return None
    try:
        path = safe_path(member.name)
    except RecordError as error:
        return Refused(printable(member.name), error.reason, error.detail)
    if not budget.is_wanted(path):
        return None
    if member.type in _KINDS:
        return Refused(path, *_KINDS[member.type])
    if member.is_sparse:
        return Refused(path, "not_a_file", "a sparse file")
    if member.type not in _FILE_TYPES:
        return Refused(path, "not_a_file", f"an entry of the type {printable(member.type.decode('latin-1'))}")
    return too_large(path, budget.limits) if member.size > budget.limits.max_entry_bytes else path


def _check_rest(stream: Unpacked, budget: Budget) -> None:
    """Reads to the end, which lets decompressors compare checksums, and looks for another archive behind the mark."""
    while block := stream.read_up_to(_BLOCK):
        budget.check_time()
        if len(block) == _BLOCK and block.strip(b"\0") and _has_checksum(block) and block[257:262] == b"ustar":
            raise RecordError("corrupt_archive", "another archive stands behind the end-of-archive mark; it isn't read")


# --- headers -------------------------------------------------------------------------------------------


def _member(block: bytes) -> _Member:
    if not _has_checksum(block):
        raise RecordError("corrupt_archive", "a header with a wrong checksum")
    name = _text(block[0:100])
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):  # GNU's own format has no prefix
        name = f"{prefix}/{name}"
    kind = block[156:157]
    return _Member(name, _header_number(block[124:136]), kind, kind == b"S")


def _has_checksum(block: bytes) -> bool:
    """Whether the header's sum is right; some old tars summed signed bytes."""
    field = block[148:156].replace(b"\0", b" ").split()
    try:
        expected = int(field[0], 8) if field else -1
    except ValueError:
        return False
    rest = block[:148] + b" " * 8 + block[156:]
    return expected == sum(rest) or expected == sum(struct.unpack("512b", rest))


def _header_number(field: bytes) -> int:
    """Octal digits, or GNU's base 256 where the first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    if field[0] & 0x80:
        raise RecordError("corrupt_archive", "a header with a negative size")
    return _number(field.replace(b"\0", b" ").strip() or b"0", 8)


def _number(digits: bytes, base: int) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise RecordError("corrupt_archive", "a header with a size that is no number")
    try:
        return int(digits, base)
    except ValueError:
        raise RecordError("corrupt_archive", "a header with a size that is no number") from None


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _read_extended(stream: Unpacked, member: _Member, extended: _Extended) -> None:
    extended.in_a_row += 1
    if extended.in_a_row > _MAX_EXTENDED_IN_A_ROW:
        raise RecordError("corrupt_archive", f"more than {_MAX_EXTENDED_IN_A_ROW} extended headers in a row")
    if member.size > _MAX_EXTENDED_BYTES:
        raise RecordError(
            "corrupt_archive", f"an extended header of {member.size} bytes, the limit is {_MAX_EXTENDED_BYTES}"
        )
    data = stream.read(member.size, "an extended header")
    stream.skip(-member.size % _BLOCK, "an extended header")
    if member.type == b"L":
        extended.next["path"] = _text(data)
    elif member.type != b"K":  # the target of a link, which nothing follows
        (extended.shared if member.type == b"g" else extended.next).update(_pax_facts(data))


def _pax_facts(data: bytes) -> dict[str, str]:
    """The records that matter. Each is `length key=value` and a line feed, where length counts all of it."""
    facts = {}
    at = 0
    while at < len(data) and data[at]:
        found = _PAX_RECORD.match(data, at)
        length = int(found.group(1)) if found else 0
        if found is None or found.end() >= at + length or data[at + length - 1 : at + length] != b"\n":
            raise RecordError("corrupt_archive", "a pax header with a record that is none")
        key = found.group(2).decode("utf-8", "replace")
        if key.startswith("GNU.sparse."):
            facts["GNU.sparse"] = ""
        if key in _PAX_KEYS:
            facts[key] = data[found.end() : at + length - 1].decode("utf-8", "surrogateescape")
        at += length
    return facts


def _skip_sparse_map(stream: Unpacked, block: bytes) -> None:
    """Passes over the blocks between the header of an old GNU sparse file and its data."""
    goes_on = block[482]
    for _ in range(_MAX_SPARSE_BLOCKS):
        if not goes_on:
            return
        goes_on = stream.read(_BLOCK, "the map of a sparse file")[504]
    raise RecordError("corrupt_archive", "the map of a sparse file never ends")
