"""Random damages of a file's bytes, and of the fields that a SentencePiece model consists of, by seed."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Mapping

# (number, wire type, value) of a protocol buffer's field: an int for type 0, else bytes.
Fields = list[tuple[int, int, "int | bytes"]]
Change = Callable[[random.Random, bytearray], object]

_LENGTHS = (b"\x00", b"\x7f", b"\x80\x80\x80\x01", b"\xff\xff\xff\xff\x07", b"\xff" * 9 + b"\x01")
_NUMBERS = (0, 1, 99, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 63, (1 << 64) - 1)
_HDF5_SIGNATURES = re.compile(rb"\x89HDF|TREE|SNOD|HEAP|OHDR|FRHP|BTHD|GCOL")


def _range(rng: random.Random, content: bytearray) -> slice:
    begin = rng.randrange(len(content))
    return slice(begin, begin + rng.choice((1, 4, 64, 1000)))


def _flip(rng: random.Random, content: bytearray) -> None:
    for _ in range(rng.choice((1, 3, 100))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _set_length(rng: random.Random, content: bytearray) -> None:
    at = rng.randrange(len(content))
    content[at : at + 1] = rng.choice(_LENGTHS)


def _repeat(rng: random.Random, content: bytearray) -> None:
    part = _range(rng, content)
    content[part.start : part.start] = content[part] * rng.choice((1, 3))


def _blank(rng: random.Random, content: bytearray) -> None:
    part = _range(rng, content)
    content[part] = bytes([rng.choice((0, 255))]) * len(content[part])


def _swap(rng: random.Random, content: bytearray) -> None:
    here, there = _range(rng, content), _range(rng, content)
    content[here], content[there] = content[there], content[here]


ANY_FILE: Mapping[str, Change] = {
    "bits are flipped": _flip,
    "it is cut short": lambda rng, content: content.__delitem__(slice(rng.randrange(len(content)), None)),
    "a range is cut out": lambda rng, content: content.__delitem__(_range(rng, content)),
    "a range is repeated": _repeat,
    "a range is blank": _blank,
    "two ranges are swapped": _swap,
    "a length is changed": _set_length,
}


# --- HDF5: where its structures begin ----------------------------------------------------------------


def _near_structures(rng: random.Random, content: bytearray) -> None:
    starts = [match.start() for match in _HDF5_SIGNATURES.finditer(content)]
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = min(rng.choice(starts) + rng.randrange(rng.choice((16, 64, 400))), len(content) - 8)
        width = rng.choice((1, 4, 8))
        number = rng.choice((*_NUMBERS, rng.choice(starts), len(content)))
        content[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, "little")


HDF5: Mapping[str, Change] = {**ANY_FILE, "numbers of its structures are changed": _near_structures}


# --- SentencePiece: by its fields --------------------------------------------------------------------

PIECE, SETTINGS, NORMALIZER = 1, 2, 3
_TEXTS = (b"", b"\0", b"\xff", b"\n", b"<0x41>", b"<|fim_prefix|>", b"\xed\xa0\x80", b"a" * 9999, b"\xe2\x96\x81" * 50)


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    number = place = 0
    while True:
        number |= (content[at] & 0x7F) << place
        at, place = at + 1, place + 7
        if content[at - 1] < 0x80:
            return number, at


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def read_fields(content: bytes) -> Fields:
    fields, at = [], 0
    while at < len(content):
        tag, at = _read_varint(content, at)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == 0:
            value, at = _read_varint(content, at)
        else:
            length, at = _read_varint(content, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = content[at : at + length], at + length
        fields.append((number, kind, value))
    return fields


def write_fields(fields: Fields) -> bytes:
    written = bytearray()
    for number, kind, value in fields:
        written += _varint(number << 3 | kind)
        if isinstance(value, int):
            written += _varint(value)
        else:
            written += (_varint(len(value)) if kind == 2 else b"") + value
    return bytes(written)


def _changed_inside(fields: Fields, rng: random.Random, of: int, number: int, kind: int, value: int | bytes) -> None:
    """Sets a field of one of the messages with the number `of`."""
    at = rng.choice([place for place, field in enumerate(fields) if field[0] == of])
    content = fields[at][2]
    assert isinstance(content, bytes)
    inner = [field for field in read_fields(content) if field[0] != number]
    fields[at] = (of, 2, write_fields([*inner, (number, kind, value)]))


def _rules(rng: random.Random) -> bytes:
    """Rules of normalization: a length, a trie of that length, texts."""
    stated = rng.choice((0, 4, 1024, 4096, 1 << 20, (1 << 32) - 1))
    return struct.pack("<I", stated) + rng.choice((bytes(4096), rng.randbytes(4096), rng.randbytes(30), b""))


def _drop_pieces(fields: Fields, rng: random.Random) -> None:
    del fields[: rng.choice((1, 5, len(fields) // 2, len(fields)))]


FieldChange = Callable[[Fields, random.Random], object]
_FIELD_CHANGES: Mapping[str, FieldChange] = {
    "pieces are dropped": _drop_pieces,
    "pieces are doubled": lambda fields, rng: fields.insert(0, rng.choice(fields)),
    "fields are shuffled": lambda fields, rng: rng.shuffle(fields),
    "a piece's text is changed": lambda fields, rng: _changed_inside(fields, rng, PIECE, 1, 2, rng.choice(_TEXTS)),
    "a piece's type is changed": lambda fields, rng: _changed_inside(
        fields, rng, PIECE, 3, 0, rng.choice((*range(8), *_NUMBERS))
    ),
    "a piece's score is changed": lambda fields, rng: _changed_inside(
        fields, rng, PIECE, 2, 5, struct.pack("<f", rng.choice((float("nan"), float("inf"), 3e38, -3e38)))
    ),
    "a setting is changed": lambda fields, rng: _changed_inside(
        fields, rng, SETTINGS, rng.choice((3, 4, 24, 35, 40, 41, 42, 43)), 0, rng.choice((*range(5), *_NUMBERS))
    ),
    "a flag of the normalizer is changed": lambda fields, rng: _changed_inside(
        fields, rng, NORMALIZER, rng.choice((3, 4, 5)), 0, rng.choice((0, 1, 2))
    ),
    "the normalizer has rules": lambda fields, rng: _changed_inside(fields, rng, NORMALIZER, 2, 2, _rules(rng)),
    "the denormalizer has rules": lambda fields, rng: fields.append((5, 2, write_fields([(2, 2, _rules(rng))]))),
}


def _by_fields(change: FieldChange) -> Change:
    def apply(rng: random.Random, content: bytearray) -> None:
        fields = read_fields(bytes(content))
        change(fields, rng)
        content[:] = write_fields(fields)

    return apply


SENTENCEPIECE: Mapping[str, Change] = {
    **ANY_FILE,
    **{name: _by_fields(change) for name, change in _FIELD_CHANGES.items()},
}


def damaged(content: bytes, change: Change, seed: int) -> bytes:
    result = bytearray(content)
    change(random.Random(seed), result)
    return bytes(result)
