# ruff: noqa: E501 - patterns and word lists read best unbroken
"""Validators of personal data: they distinguish a person's address, number or id from an example, a version or a
constant.

Sources: IANA special-purpose address registries (through `ipaddress`),
libphonenumber's metadata (`phonenumberslite`), ISO/IEC 7812 (cards), ISO 13616 (IBAN), and the issuing states'
checksums (`python-stdnum`).
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable
from importlib import import_module

from transforms.scanning.candidate import Candidate, Verdict
from transforms.scanning.validators.national_ids import NINO
from transforms.scanning.validators.personal_places import is_in_prose, is_keyed

_RESOLVERS = frozenset(
    [
        "8.8.8.8",
        "8.8.4.4",
        "1.1.1.1",
        "1.0.0.1",
        "9.9.9.9",
        "149.112.112.112",
        "208.67.222.222",
        "208.67.220.220",
        "4.2.2.1",
        "4.2.2.2",
        "4.2.2.3",
        "4.2.2.4",
        "64.6.64.6",
        "64.6.65.6",
        "114.114.114.114",
        "223.5.5.5",
        "223.6.6.6",
        "119.29.29.29",
        "77.88.8.8",
        "77.88.8.1",
        "94.140.14.14",
        "94.140.15.15",
        "185.228.168.9",
        "2001:4860:4860::8888",
        "2001:4860:4860::8844",
        "2606:4700:4700::1111",
        "2606:4700:4700::1001",
        "2620:fe::fe",
        "2620:fe::9",
    ]
)
_EXAMPLE_IPS = frozenset(
    ["123.45.67.89", "12.34.56.78", "98.76.54.32", "11.22.33.44", "111.222.111.222", "123.123.123.123"]
)
_VERSION_BEFORE = re.compile(
    rb"(?i)(?:versions?|ver|rel|release|build|assembly\w*|fileversion|oid|firmware|sdk|object_?identifier|chrome|firefox|safari|opera|edge|webkit|gecko|msie|trident)[\w ._\-\"'=:/(<>]{0,16}$|[~^]$|->[ \t]*$|[<>=~!]=\s*[\"']?$|,v[ \t]$|(?:[\w]-|[\w]/|\bv\.?)$|(?i:sections?|chapters?|figure|clauses?)\s*[\"']?$"
)
_TEST_CARDS = frozenset(
    b"4111111111111111 4012888888881881 4242424242424242 5555555555554444 5105105105105100 378282246310005 371449635398431 378734493671000 "
    b"6011111111111117 6011000990139424 30569309025904 38520000023237 3530111333300000 3566002020360505 4222222222222 4000056655665556 5200828282828210 2223003122003222".split()
)
_CARD_WORD = re.compile(
    rb"(?i)card|visa|master|amex|american.?express|discover|diners|jcb|(?<![a-z])cc(?![a-z])|ccn|credit|debit|payment|(?<![a-z])pan(?![a-z])|billing"
)
_ISSUERS = re.compile(
    rb"(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}(?:\d{3})?|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|(?:5018|5020|5038|5[6-8]\d\d|6304|6759|676[1-3])\d{8,15}|62\d{14,17})\Z"
)


def _validated(candidate: Candidate, is_valid: bool) -> Verdict | None:
    return candidate.verdict(validated=True) if is_valid else None


def global_ipv4(candidate: Candidate) -> Verdict | None:
    """Accepts a public IPv4 address that is not a version, netmask, object identifier or well-known resolver."""
    text = candidate.value.decode("ascii")
    octets = [int(part) for part in text.split(".")]
    if any(part != str(octet) for part, octet in zip(text.split("."), octets, strict=True)) or max(octets) > 255:
        return None
    address = ipaddress.IPv4Address(text)
    if not address.is_global or address.is_multicast or text in _RESOLVERS or text in _EXAMPLE_IPS:
        return None
    if max(octets) < 32 or len(set(octets)) < 3 or octets[3] in (0, 255) or _is_progression(octets):
        return None
    if max(octets[:3]) < 10:
        return None  # a section number or a version: 1 address in 16,000 has this shape
    before = candidate.before(40)
    if _VERSION_BEFORE.search(before) and not re.search(rb"://$", before):
        return None
    return candidate.verdict(validated=True)


def _is_progression(octets: list[int]) -> bool:
    return len({b - a for a, b in itertools.pairwise(octets)}) == 1


def global_ipv6(candidate: Candidate) -> Verdict | None:
    """Accepts a public IPv6 address: not `::`, loopback, link-local, a documentation address, or a scope operator
    between names."""
    text = candidate.value.decode("ascii")
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    groups = [group for group in text.split(":") if group]
    if not address.is_global or address.is_multicast or str(address) in _RESOLVERS or len(groups) < 3:
        return None
    if len({group.lower() for group in groups}) < 3 or len("".join(groups)) < 8 or text.lower().startswith("2001:db8"):
        return None
    if "::" not in text and (max(map(len, groups)) < 3 or len("".join(groups)) < 12):
        return None
    return candidate.verdict(validated=True)


def payment_card(candidate: Candidate) -> Verdict | None:
    """Accepts a card number: an issuer's prefix and length, a valid Luhn checksum, not a published test number. One
    number in ten passes Luhn, so digits without hyphens require quotes or a word such as card nearby, or stand in a
    column of that name; groups of digits that go on to the left or right are rows of a table."""
    value = candidate.value
    if not _is_card_number(value):
        return None
    before, after = candidate.before(60), candidate.after(12)
    if b" " in value and (_NUMBER_BEFORE.search(before) or _NUMBER_AFTER.match(after)):
        return None
    if b"-" not in value and not _is_card_place(candidate, before, after):
        return None
    return candidate.verdict(validated=True)


_COUNTED = re.compile(rb"0123456|1234567|2345678|7654321|6543210|8765432")
_NUMBER_BEFORE, _NUMBER_AFTER = re.compile(rb"[\d.][ \t,;|]{1,8}$"), re.compile(rb"[ \t,;|]{1,8}[-+.\d]")
_CARD_CELL = re.compile(rb"\d{12,19}|\d{4}(?:[ -]\d{4}){2}[ -]\d{1,7}")
_ID_BEFORE = re.compile(
    rb"(?i)(?:^|[^a-z])(?:\w*_)?u?g?id[\"']?[ \t]{0,3}[:=>][ \t]{0,3}[\"']?$|[a-z]Id[\"']?[ \t]{0,3}[:=>][ \t]{0,3}[\"']?$"
)
_PROSE_BEFORE = re.compile(rb"[A-Za-z]{2,}[:=]?[ \t]$")


def _is_card_number(value: bytes) -> bool:
    digits = re.sub(rb"\D", b"", value)
    if not _ISSUERS.match(digits) or digits in _TEST_CARDS or len(set(digits)) < 5 or not _luhn(digits):
        return False
    return _COUNTED.search(digits) is None


def _is_column_of_cards(candidate: Candidate) -> bool:
    """Whether all cells of the value's column are numbers of cards, two different ones at least: one of fifty numbers
    with 16 digits happens to be, hardly ever all of several."""
    cells = candidate.document.columns.cells(candidate.span[0])
    return len(set(cells)) > 1 and all(_CARD_CELL.fullmatch(cell) and _is_card_number(cell) for cell in cells)


def _is_card_place(candidate: Candidate, before: bytes, after: bytes) -> bool:
    """Whether digits stand where a card's number would: quoted, beside a word for cards, or in a column of cards."""
    if _CARD_WORD.search(before) or _CARD_WORD.search(candidate.document.columns.at(candidate.span[0])):
        return True
    if _ID_BEFORE.search(before):
        return False
    if _is_column_of_cards(candidate):
        return True
    is_quoted = before[-1:] in (b'"', b"'", b">", b"=") and after[:1] in (b'"', b"'", b"<", b"&")
    if b" " in candidate.value:
        return is_quoted or _PROSE_BEFORE.search(before) is not None
    return is_quoted or (bool(before.strip()) and not is_keyed(candidate) and is_in_prose(candidate))


def _luhn(digits: bytes) -> bool:
    total = 0
    for index, byte in enumerate(reversed(digits)):
        value = (byte - 48) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban(candidate: Candidate) -> Verdict | None:
    """Accepts an IBAN (ISO 13616): country, length and check digits (mod 97)."""
    from stdnum import iban as standard

    text = candidate.value.decode("ascii")
    return _validated(candidate, len(set(text)) > 5 and standard.is_valid(text, check_country=False))


_NO_PERSON = re.compile(
    rb"(?i)\b(?:inc|llc|ltd|co|gmbh|corp|corporation|foundation|authors|contributors|project|team|university|software|company|group|developers|rights"
    rb"|media|security|systems|labs|services|institute|international|networks?|technolog\w+|solutions|library|community|consortium|committee|association|limited|consulting|studios?|free|the)\b|[@<>/]"
)
_END_OF_SENTENCE = re.compile(rb"[^\s.]{3,}\.(?:\s|$)")


def author_name(candidate: Candidate) -> Verdict | None:
    """Accepts a name in an author's place: two to four capitalized words, not a company, a project, or a license's
    text in capitals."""
    value = candidate.value
    if end := _END_OF_SENTENCE.search(value):
        value = value[: end.end()]
    value = value.strip(b" .,;-")
    words = value.split()
    if not 2 <= len(words) <= 4 or value.isupper() or _NO_PERSON.search(value):
        return None
    start = candidate.span[0] + candidate.value.index(words[0])
    return Verdict(start, start + len(value))


def _national_id(module: str) -> Callable[[Candidate], Verdict | None]:
    def validate(candidate: Candidate) -> Verdict | None:
        text = candidate.value.decode("ascii", "replace")
        digits = re.sub(r"\W", "", text)
        return _validated(candidate, len(set(digits)) > 3 and import_module(f"stdnum.{module}").is_valid(text))

    validate.__name__ = f"id_{module.replace('.', '_')}"
    validate.__doc__ = f"The checksum of `stdnum.{module}`."
    return validate


NATIONAL_ID_VALIDATORS = tuple(
    _national_id(module)
    for module in (
        "us.ssn", "us.itin", "gb.nhs", "gb.utr", "de.idnr", "fr.nir", "fr.nif", "es.dni", "es.nie", "it.codicefiscale", "nl.bsn", "be.nn", "pt.nif", "pl.pesel", "se.personnummer",
        "no.fodselsnummer", "dk.cpr", "fi.hetu", "ch.ssn", "br.cpf", "mx.curp", "ar.cuit", "cl.rut", "co.nit", "in_.aadhaar", "in_.pan", "cn.ric", "kr.rrn", "za.idnr", "au.tfn",
        "ca.sin", "ro.cnp", "cz.rc", "bg.egn", "tr.tckimlik", "il.idnr", "hr.oib", "ee.ik", "lt.asmens", "ie.pps", "th.pin", "my.nric", "sg.uen",
    )
)  # fmt: skip


def id_gb_nino(candidate: Candidate) -> Verdict | None:
    """Accepts a UK National Insurance number by the prefix rules of HMRC's manual NIM39110; it has no checksum."""
    return _validated(candidate, NINO.match(candidate.value.decode("ascii", "replace")) is not None)


NATIONAL_ID_VALIDATORS = (*NATIONAL_ID_VALIDATORS, id_gb_nino)
