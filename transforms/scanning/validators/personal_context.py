"""Validators of personal data that the words beside it tell: addresses of devices and homes, places, passports."""

from __future__ import annotations

import itertools
import re

from transforms.scanning.candidate import Candidate, Verdict

_MIN_DIFFERENT_BYTES = 4
_MAX_REPEATED_DIGITS = 0.5
_COUNTED = re.compile(rb"0123456|1234567|2345678|7654321|8765432")
_STREET_NAME = re.compile(r"(?:[A-ZÄÖÜ][\w.äöüß'-]{1,24}[ -])?[A-ZÄÖÜ][\wäöüß-]{1,24}[ -]?\Z")
_NAME_BYTES = 64
_BOUND_BEFORE = re.compile(
    rb"(?i)(?:max|min|mean|avg|delta|step|epsilon|bounds?|limit)[_.]?l(?:at|on|ng)\w{0,8}\W{1,6}$"
)
_TOWN_BYTES = 60
_WORD = rb"(?:[A-Z]|\xc3[\x80-\x9e]|\xc5[\x80-\xbf])[\w\x80-\xf4.'-]{1,24}+"
_TOWN = re.compile(
    rb"(?:,\s{0,2}|\s{1,2})(?:(?:[A-Z]{1,2}-)?(?:\d{4,5}|\d{2}-\d{3})(?: ?[A-Z]{2})? %(word)b(?: %(word)b){0,2}"
    rb"|%(word)b(?: %(word)b){0,2}(?: ?[-,] ?[A-Z]{2})?,? "
    rb"(?:\d{5}-\d{3}|\d{5}(?:-\d{4})?|\d{6}|\d{3} \d{3}|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}))(?!\w)" % {b"word": _WORD}
)
"""The postal code and the town, in either order, with a state."""
_NO_ADDRESS = re.compile(rb"(?i)https?:|www\.|@|\d{1,3}\.\d{1,3}\.\d{1,3}|0x|[_#|*^]|^\W*\w+\W*$|:\d{2,5}\Z")


def mac_address(candidate: Candidate) -> Verdict | None:
    """Accepts a device's address (EUI-48): neither a group's, nor one of documentation, nor a pattern of digits."""
    text = candidate.value.lower().replace(b"-", b":")
    octets = [int(part, 16) for part in text.split(b":")]
    if octets[0] & 1 or text.startswith(b"00:00:5e:00:53") or len(set(octets)) < _MIN_DIFFERENT_BYTES:
        return None  # a group's (IEEE 802), of documentation (RFC 9542), or made up
    steps = {b - a for a, b in itertools.pairwise(octets)}
    pairs = sum(part[:1] == part[1:] for part in text.split(b":"))
    if len(steps) == 1 or pairs > len(octets) * _MAX_REPEATED_DIGITS or octets[:5] == [0x12, 0x34, 0x56, 0x78, 0x9A]:
        return None
    if candidate.before(80).strip() == b"" and candidate.after(8).strip() == b"":
        return None  # the last line of a certificate's serial number or of a dump
    if b"-" in candidate.value and candidate.value.replace(b"-", b"").isdigit():
        return None  # a date, or numbers in a row
    return candidate.verdict()


def coordinate(candidate: Candidate) -> Verdict | None:
    """Accepts a latitude or longitude in degrees with four decimals or more (ten meters), unless it is a bound."""
    if _BOUND_BEFORE.search(candidate.before(60)):
        return None
    degrees = float(candidate.value)
    decimals = candidate.value.rpartition(b".")[2]
    if abs(degrees) > 180 or abs(degrees) < 1 or len(set(decimals)) < 3 or decimals.startswith(b"1234"):
        return None
    return candidate.verdict()


def passport_number(candidate: Candidate) -> Verdict | None:
    """Accepts a passport's number (ICAO 9303: up to nine letters and digits) that isn't made up."""
    value = candidate.value
    digits = re.sub(rb"\D", b"", value)
    if not 6 <= len(value) <= 9 or len(set(digits)) < 3 or _COUNTED.search(digits):
        return None
    return candidate.verdict()


def street_after_name(candidate: Candidate) -> Verdict | None:
    """Accepts a German or Dutch street and house number, with the capitalized name that the word for street ends."""
    start, end = candidate.span
    before = candidate.before(_NAME_BYTES).decode("utf-8", "ignore")
    name = _STREET_NAME.search(before)
    if name is None:
        return None
    return Verdict(start - len(name[0].encode()), _end_of_town(candidate, end))


def street_address(candidate: Candidate) -> Verdict | None:
    """Accepts a street and number, and takes the postal code and the town behind them."""
    return Verdict(candidate.span[0], _end_of_town(candidate, candidate.span[1]))


def _end_of_town(candidate: Candidate, end: int) -> int:
    town = _TOWN.match(candidate.data, end, end + _TOWN_BYTES)
    return town.end() if town else end


def labeled_address(candidate: Candidate) -> Verdict | None:
    """Accepts a text under a name for postal addresses that has words and a house number."""
    value = candidate.value
    has_parts = re.search(rb"\d", value) and re.search(rb"[^\W\d_]{3}|[\x80-\xff]{3}", value) and b" " in value
    return None if not has_parts or _NO_ADDRESS.search(value) else candidate.verdict()
