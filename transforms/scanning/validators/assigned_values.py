"""Whether a value assigned to a secret's name is one, by its shape."""

from __future__ import annotations

import re

from transforms.scanning.validators.other_trades import is_no_secret
from transforms.scanning.validators.secret_names import HASH_NAME
from transforms.scanning.validators.secret_values import (
    is_hex_hash,
    is_path_or_url,
    is_placeholder,
    is_punctuation_mix,
    is_symbol_mix,
    is_uuid,
    is_wordlike,
    looks_random,
    shannon_entropy,
    word_share,
)

MAX_VALUE_BYTES = 2048
MIN_BYTES, MIN_WEAK_BYTES = 5, 16
"""Minimum length of a value, and its minimum length if the name is weak evidence."""
_REGEX = re.compile(rb"\(\.[*+]|\][+*?{]|\\[dwsDWSb]|\(\?[:=!P<]|^\^.+\$$")
_CHARSET_NAME = re.compile(
    rb"(?i)(?:utf|iso|cp|latin|windows|koi8|euc|shift|us)[-_]?(?:\d[\d_-]*|ascii|jis|jp|kr|r|u)(?:[-_](?:sig|le|be))?\Z"
)
_CASE_CHANGE = re.compile(rb"[a-z][A-Z]|[A-Z]{2}[a-z]")


def value_confidence(kind: str, name: bytes, value: bytes, *, quoted: bool) -> float | None:
    """The confidence that a value is a secret, or None.

    Args:
        kind: What `name_kind` says of the name.
        name: The name.
        value: The value.
        quoted: Whether it is in quotes, or the content of an element.
    """
    size = len(value)
    if size < (MIN_WEAK_BYTES if kind == "weak" else MIN_BYTES) or size >= MAX_VALUE_BYTES:
        return None
    if is_placeholder(value) or is_path_or_url(value):
        return None
    if _REGEX.search(value) or _CHARSET_NAME.match(value) or is_no_secret(value):
        return None
    if value.lower().replace(b"-", b"_").strip(b"_") in name.lower().replace(b"-", b"_") or b"\x00" in value:
        return None
    if value.count(b" ") > (1 if size > 24 else 0) and word_share(value) > 0.4:
        return None
    if kind != "weak" and is_punctuation_mix(value):
        return 0.6
    if kind == "password":
        return _password_confidence(value, quoted)
    if is_uuid(value) or is_hex_hash(value):
        return 0.7 if kind == "strong" and not HASH_NAME.search(name) else None
    if kind == "strong":
        good = size >= 8 and looks_random(value, 2.8) and not HASH_NAME.search(name)
        good = good or (size >= 16 and value.isdigit() and len(set(value)) >= 5 and not HASH_NAME.search(name))
        return (0.9 if shannon_entropy(value) > 3.5 else 0.7) if good else None
    good = looks_random(value, 3.5) and not re.search(rb"[\s:.]", value) and not HASH_NAME.search(name)
    return 0.5 if good else None


def _password_confidence(value: bytes, quoted: bool) -> float | None:
    """The confidence of a password, or None. A password need not be random, but must not be a word, label or
    sentence."""
    classes = [re.search(p, value) is not None for p in (rb"[a-z]", rb"[A-Z]", rb"\d", rb"[^A-Za-z0-9\s_.\-\x80-\xff]")]
    if re.search(rb"\s", value) and word_share(value) > 0.35:
        return None
    if classes[2] and (classes[0] or classes[1]):
        return 0.8
    if is_symbol_mix(value):
        return 0.7
    if classes[3] and sum(classes) >= 2 and not re.search(rb"[.?:,;]\Z|^[#.@:%&]|[<>=]|\s", value) and size_ok(value):
        return 0.7
    if classes[2] and not classes[0] and not classes[1]:
        return 0.5 if quoted and len(value) >= 6 else None
    if len(value) >= 8 and word_share(value) < 0.4 and not _is_identifier(value):
        return 0.6
    return None


def size_ok(value: bytes) -> bool:
    """Whether a value with special characters is long enough for a password and is not an identifier with
    punctuation."""
    return len(value) >= 6 and not (is_wordlike(value) and len(value) > 16)


def _is_identifier(value: bytes) -> bool:
    return re.fullmatch(rb"[A-Za-z]+(?:[_.-][A-Za-z]+)+", value) is not None or (
        _CASE_CHANGE.search(value) is not None and word_share(value) > (0.45 if len(value) >= 16 else 0.3)
    )
