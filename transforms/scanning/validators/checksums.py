"""Checksums that several validators and recipes use."""

from __future__ import annotations

import string
import zlib

_BECH32 = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def base62_crc32(text: str) -> str:
    """The six base-62 digits that GitHub and npm append: the CRC-32 of the random part (github.blog, 2021-04-05).

    >>> base62_crc32("")
    '000000'
    """
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    value, out = zlib.crc32(text.encode()), ""
    for _ in range(6):
        value, rest = divmod(value, 62)
        out = digits[rest] + out
    return out


def bech32_checksum(value: bytes) -> int:
    """The checksum of a bech32 text in lower case; 1 if it is valid (BIP 173).

    >>> bech32_checksum(b"a12uel5l")
    1
    """
    human, _, data = value.rpartition(b"1")
    words = [byte >> 5 for byte in human] + [0] + [byte & 31 for byte in human] + [_BECH32.find(byte) for byte in data]
    total = 1
    for word in words:
        top = total >> 25
        total = (total & 0x1FFFFFF) << 5 ^ word
        for bit, factor in enumerate(_BECH32_GENERATOR):
            total ^= factor if top >> bit & 1 else 0
    return total
