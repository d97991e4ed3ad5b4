# ruff: noqa: E501 - patterns read best unbroken
"""Validators of phone numbers: beside a word, in a column of phones, with a country code, or in a national form.

    +49 30 901820                     a country code: valid according to libphonenumber
    phone_home: 030 901820            beside a word: any number that could be one
    (030) 901820, 06 12 34 56 78      a form in which only phones are written, valid in one of its countries
    "09012345678"                     digits alone: in quotes without a name, or in prose, and valid

Source: libphonenumber's metadata (`phonenumberslite`), of the countries whose forms are known here.
"""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

from transforms.scanning.candidate import Candidate, Verdict
from transforms.scanning.personal.names import PHONE_NAME, PHONE_WORD, normalized
from transforms.scanning.validators.personal_places import is_in_prose, is_keyed, is_quoted, name_of

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

_FORMS = tuple(
    (re.compile(pattern), countries.split())
    for pattern, countries in (
        (rb"0[1-9]([ .-])\d\d(?:\1\d\d){3}\Z", "FR DE"),
        (rb"\(?0", "DE FR IT NL GB JP KR IN"),
        (rb"(?:\([1-9]\d\)|[1-9]\d) ?9?\d{4}-\d{4}\Z", "BR"),
        (rb"[6-9]\d{4}[ -]\d{5}\Z", "IN"),
        (rb"3\d\d \d{3} ?\d{3,4}\Z", "IT"),
        (rb"\d{3}([ -])\d{3}\1\d{3}\Z", "PL ES"),
        (rb"\d{3} \d\d \d\d \d\d\Z", "ES"),
        (rb"\d\d \d{3} \d\d \d\d\Z", "PL"),
        (rb"[2-9]\d\d[. ][2-9]\d\d[. -]\d{4}\Z", "US"),
        (rb"[6-9]\d{9}\Z", "IN"),
        (rb"3\d{9}\Z", "IT"),
    )
)
"""National forms, each with the countries that write it."""
_COUNTED = re.compile(rb"01234567|12345678|23456789|87654321|98765432")
_EPOCH = re.compile(rb"1[3-9]\d{8}(?:\d{3})?")  # seconds or milliseconds since 1970, of the years 2011 to 2033
_DATE_OR_DECIMAL = re.compile(
    rb"\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}(?:\D|$)|\d{1,2}([-/. ])\d{1,2}\1(?:19|20)\d\d$|\d{1,3}(?:\.\d{1,3}){3}$|\d+\.\d+$"
)
_MIN_DIFFERENT_DIGITS = 4
_NO_PHONE = re.compile(
    rb"\d{5}-\d{4}\Z"  # a ZIP code: "Boston, MA 02110-1301", in a million license headers
    rb"|0\d{3} 0\d{3} 0\d{3}\Z"  # code points: "0399 0308 0301", in Unicode's tables
    rb"|0\d{5} (?:19|20)\d\d\Z"  # an article and its year: "Rev. E 78, 046110 2008"
)
_BOOK_BEFORE = re.compile(rb"(?i)\b(?:isbn|issn|doi|pmid|oclc|lccn)\b[^\w]{0,4}(?:1[03])?[^\w]{0,3}$")
_GROUPED = re.compile(rb"\+\d{1,3}[ (.-]{1,2}\d{1,4}[ ).-]{1,2}\d[\d -]{4,}\Z")


def _is_constant(digits: bytes) -> bool:
    return len(set(digits)) < _MIN_DIFFERENT_DIGITS or _COUNTED.search(digits) is not None


def international_phone(candidate: Candidate) -> Verdict | None:
    """Accepts a phone number with country code that is valid according to libphonenumber, or possible and written in
    groups or beside a word for phones."""
    import phonenumbers  # 20 ms that most commands don't need

    start, _ = candidate.span
    value = candidate.value.rstrip(b" .-(")
    digits = re.sub(rb"\D", b"", value)
    if re.fullmatch(rb"\+\d+\.\d+", value):
        return None  # a number with a decimal point
    before = candidate.before(24)
    if (
        len(set(digits)) < _MIN_DIFFERENT_DIGITS
        or digits[-7:] in (b"1234567", b"2345678", b"3456789", b"4567890")
        or (re.search(rb"[\w)\]]\s?$", before) and not re.search(rb"(?i)[a-z\x80-\xff]\s?$", before))
    ):
        return None
    number = _parsed(value.decode("ascii"))
    if number is None:
        return None
    if phonenumbers.is_valid_number(number) or (
        phonenumbers.is_possible_number(number)
        and (_GROUPED.match(value) or PHONE_WORD.search(normalized(candidate.before(48))))
    ):
        return Verdict(start, start + len(value), validated=True)
    return None


def national_phone(candidate: Candidate) -> Verdict | None:
    """Accepts a phone number in national notation near a word such as phone, or in the North American notations
    `(ddd) ddd-dddd` and `ddd-ddd-dddd`."""
    start, _ = candidate.span
    value = candidate.value.rstrip(b" .-(/")
    digits = re.sub(rb"\D", b"", value.split(b"x")[0])
    if (
        not 7 <= len(digits) <= 15
        or len(set(digits)) < _MIN_DIFFERENT_DIGITS
        or digits in (b"1234567890", b"0123456789", b"123456789", b"12345678", b"1234567")
        or (digits == value and _EPOCH.fullmatch(digits))
        or _DATE_OR_DECIMAL.match(value)
        or (b"555" in digits[:6] and digits[-4:-2] == b"01")
    ):
        return None
    return Verdict(start, start + len(value))


def column_phone(candidate: Candidate) -> Verdict | None:
    """Accepts a number in a table's column that is named after phones."""
    column = candidate.document.columns.at(candidate.span[0])
    return national_phone(candidate) if column and PHONE_NAME.search(normalized(column)) else None


def formed_phone(candidate: Candidate) -> Verdict | None:
    """Accepts a number in a national form that is valid in one of the countries that write it so. Digits alone must
    be in quotes without another name, or in prose."""
    value = candidate.value
    digits = re.sub(rb"\D", b"", value)
    countries = next((countries for form, countries in _FORMS if form.match(value)), None)
    if countries is None or not 9 <= len(digits) <= 12 or _is_constant(digits) or _DATE_OR_DECIMAL.match(value):
        return None
    name = name_of(candidate)
    if PHONE_NAME.search(name) or PHONE_WORD.search(normalized(candidate.after(32))):
        return national_phone(candidate)
    if (
        _NO_PHONE.match(value)
        or _BOOK_BEFORE.search(candidate.before(24))
        or (digits == value and not _is_apart(candidate))
    ):
        return None
    is_valid = any(_is_valid(value.decode("ascii"), country) for country in countries)
    return candidate.verdict(validated=True) if is_valid else None


def _is_apart(candidate: Candidate) -> bool:
    """Whether digits alone are in quotes without a name, or in prose. Alone on a line, they must begin with a zero."""
    if not is_keyed(candidate) and is_quoted(candidate):
        return True
    has_words = candidate.value.startswith(b"0") or not candidate.document.is_code or bool(candidate.before(80).strip())
    return has_words and is_in_prose(candidate)


def _is_valid(text: str, country: str) -> bool:
    import phonenumbers

    number = _parsed(text, country)
    return number is not None and phonenumbers.is_valid_number_for_region(number, country)


def _parsed(text: str, country: str | None = None) -> PhoneNumber | None:
    """A phone number as libphonenumber reads it; None if it is none."""
    import phonenumbers

    try:
        return phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as refused:
        # The library keeps its traceback in a variable of a frame that it leads to: a cycle that would keep all callers'
        # variables, a unit's whole text among them, until a full collection.
        traceback.clear_frames(refused.__traceback__)
        return None
