"""Keys that are written byte by byte: `aes_key[16] = {0x2b, 0x7e, ...}`, `SECRET_KEY = bytes([43, 126, ...])`.

What counts is the name and that the bytes look drawn: tables of bits, alphabets and counters repeat or rise.
"""

from __future__ import annotations

import itertools
import re

from transforms.scanning.candidate import Candidate, Verdict
from transforms.scanning.validators.other_trades import is_of_another_trade
from transforms.scanning.validators.secret_names import HASH_NAME, MAX_NAME_BYTES, name_kind, whole_name

_BYTE = re.compile(rb"-?(?:0[xX][0-9a-fA-F]{1,2}|\d{1,3})")
_CAST = re.compile(rb"\(byte\)|_?u8")
_KEY_SIZES = (16, 24, 32, 48, 64)
_MIN_STEPS = 6
"""Different differences of neighbors: a counter has one, an alphabet few."""


def key_bytes(candidate: Candidate) -> Verdict | None:
    """Accepts 16 or more drawn bytes under a key's name; if the name says little, as `key` does, in a key's size."""
    name = whole_name(candidate.data, candidate.match.start("word"), candidate.match.end("name"))
    kind = "" if is_of_another_trade(name, candidate.before_match(MAX_NAME_BYTES)) else name_kind(name)
    if not kind or HASH_NAME.search(name):
        return None
    numbers = [int(found, 0) if b"x" in found.lower() else int(found) for found in _bytes_of(candidate.value)]
    if any(not -128 <= number <= 255 for number in numbers) or not _look_drawn(numbers):
        return None
    if kind == "weak" and len(numbers) not in _KEY_SIZES:
        return None
    return candidate.verdict()


def _bytes_of(value: bytes) -> list[bytes]:
    return _BYTE.findall(_CAST.sub(b"", value))


def _look_drawn(numbers: list[int]) -> bool:
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    unsigned = [number & 255 for number in numbers]
    has_upper_half = sum(number >= 128 for number in unsigned) * 8 >= len(unsigned)
    return len(set(unsigned)) * 2 >= min(len(unsigned), 64) and len(steps) >= _MIN_STEPS and has_upper_half
