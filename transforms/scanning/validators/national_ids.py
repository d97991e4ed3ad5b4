# ruff: noqa: E501 - patterns and word lists read best unbroken
"""National id numbers: requires a word that names the number, then the issuing state's checksum or structure
(`python-stdnum`).

    bsn = "123456782"             its own name: the checksum of that state
    national_id: 123456782        a name for ids of any state: the checksum of one of twelve
    "RSSMRA85T10A562S"            no name: a form that hardly anything else has, and its checksum, in quotes or prose

One number in ten passes most checksums, so the word determines which checksum is used: "pesel" uses that of Poland,
"ssn" that of the United States. The word must precede the number on the same line, as a separate word: `userSsn`,
`user_ssn` and `"SSN":` all contain "ssn". In a table, the name of the column counts instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module

from transforms.scanning.candidate import Candidate, Verdict
from transforms.scanning.validators.personal_places import is_in_prose, is_keyed, is_quoted, name_of

_MIN_DIFFERENT_DIGITS = 4
_DIGITS = frozenset(b"0123456789")
_WORDS: dict[str, tuple[str, ...]] = {
    "us.ssn": ("ssn", "social security", "socialsecurity"),
    "us.itin": ("itin",),
    "gb.nhs": ("nhs",),
    "gb.utr": ("utr", "unique taxpayer"),
    "de.idnr": (
        "steuer id",
        "steuerid",
        "steuer identifikationsnummer",
        "idnr",
        "steuer nr",
        "tin",
        "steueridentifikationsnummer",
        "steuernummer",
    ),
    "fr.nir": (
        "nir",
        "insee",
        "numero secu",
        "numéro sécu",
        "no secu",
        "num secu",
        "secu",
        "securite sociale",
        "sécurité sociale",
    ),
    "fr.nif": ("spi", "numero fiscal", "numéro fiscal"),
    "es.dni": ("dni", "nif", "nie"),
    "es.nie": ("nie", "dni", "nif"),
    "it.codicefiscale": ("codice fiscale", "codicefiscale", "cod fisc", "cf", "fiscal code"),
    "gb.nino": ("nino", "national insurance", "ni number", "ni no", "nationalinsurance"),
    "jp.in_": ("my number", "mynumber", "マイナンバー", "個人番号", "kojin bango"),
    "nl.bsn": ("bsn", "burgerservicenummer", "sofinummer"),
    "be.nn": ("rijksregisternummer", "rijksregister", "numero national", "registre national", "insz", "niss"),
    "pt.nif": ("nif", "contribuinte"),
    "pl.pesel": ("pesel", "nr pesel"),
    "se.personnummer": ("personnummer", "personnr"),
    "no.fodselsnummer": ("fodselsnummer", "fødselsnummer", "personnummer"),
    "dk.cpr": ("cpr", "personnummer"),
    "ch.ssn": ("ahv", "avs", "sozialversicherungsnummer"),
    "br.cpf": ("cpf", "cpf cliente"),
    "ar.cuit": ("cuit", "cuil"),
    "cl.rut": ("rut", "rol unico"),
    "co.nit": ("nit", "cedula", "cédula"),
    "in_.aadhaar": ("aadhaar", "aadhar", "uidai"),
    "cn.ric": ("身份证", "id card", "idcard", "resident identity"),
    "kr.rrn": ("rrn", "jumin", "주민등록번호", "resident registration"),
    "za.idnr": ("sa id", "rsa id", "south african id", "id number"),
    "au.tfn": ("tfn", "tax file"),
    "ca.sin": ("sin", "social insurance"),
    "ro.cnp": ("cnp",),
    "cz.rc": ("rodne cislo", "rodné číslo", "birth number"),
    "bg.egn": ("egn", "егн"),
    "tr.tckimlik": ("tckn", "tc kimlik", "tckimlik", "kimlik"),
    "il.idnr": ("teudat zehut", "israeli id"),
    "hr.oib": ("oib",),
    "ee.ik": ("isikukood",),
    "lt.asmens": ("asmens kodas", "asmens"),
    "ie.pps": ("pps", "ppsn"),
    "th.pin": ("thai id",),
    "my.nric": ("nric", "mykad"),
}
"""Modules of `stdnum`, each with the words that name its numbers."""
_FIRST_WORDS = frozenset(name.split()[0] for names in _WORDS.values() for name in names)
_GENERIC_NAME = re.compile(
    r"(?:^| )(?:(?:national|personal|citizen|resident|state|government|govt|civil|fiscal|tax|taxpayer|identity|identification|ident)"
    r" (?:id|ids|identity|identification|identifier|number|no|nr|num|code|card|document)(?: (?:number|no|nr|num|code|value))?"
    r"|id (?:number|no|nr|card|card number|document)|nationalid|taxid|personalid|idnumber|tin|personalausweis(?:nummer)?|ausweis(?:nummer)?|documento(?: (?:identidad|nacional))?|cedula|cédula"
    r"|carte (?:d )?identit[eé]|pi[eè]ce identit[eé]|carta identit[aà]|documento identita|identiteitsnummer|identificatienummer|persoonsnummer|numer identyfikacyjny|dowod osobisty|身分証番号|신분증번호) ?$"
)
"""Names for ids of any state: the last words before the number."""
_GENERIC_BYTES = 48
_LAST_WORDS = frozenset(
    [
        "id",
        "ids",
        "identity",
        "identification",
        "identifier",
        "number",
        "no",
        "nr",
        "num",
        "code",
        "card",
        "document",
        "documento",
        "value",
        "nationalid",
        "taxid",
        "personalid",
        "idnumber",
        "tin",
        "cedula",
        "cédula",
        "identidad",
        "nacional",
        "identite",
        "identita",
        "identità",
        "identité",
        "identiteitsnummer",
        "identificatienummer",
        "persoonsnummer",
        "identyfikacyjny",
        "osobisty",
        "身分証番号",
        "신분증번호",
        "personalausweis",
        "personalausweisnummer",
        "ausweis",
        "ausweisnummer",
    ]
)
"""The last words of those names: looked up first, since the search is slow."""
_RRN = re.compile(r"\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])-?[1-8]\d{6}\Z")
NINO = re.compile(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]\Z")
"""UK National Insurance numbers, which have no checksum, by the prefix rules of HMRC's manual NIM39110."""
_FORMS = {
    "us.ssn": re.compile(r"\d{3}-\d{2}-\d{4}\Z"),
    "de.idnr": re.compile(r"\d{11}\Z|\d{2} \d{3} \d{3} \d{3}\Z"),
    "fr.nir": re.compile(r"[12]\d{14}\Z|[12] ?\d\d ?\d\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d\Z"),
    "es.dni": re.compile(r"\d{8}-?[A-Z]\Z"),
    "es.nie": re.compile(r"[XYZ]-?\d{7}-?[A-Z]\Z"),
    "it.codicefiscale": re.compile(r"[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]\Z"),
    "nl.bsn": re.compile(r"\d{9}\Z"),
    "gb.nino": NINO,
    "br.cpf": re.compile(r"\d{11}\Z|\d{3}\.\d{3}\.\d{3}-\d\d\Z"),
    "jp.in_": re.compile(r"\d{12}\Z|\d{4}[ -]\d{4}[ -]\d{4}\Z"),
    "kr.rrn": re.compile(r"\d{6}-[1-8]\d{6}\Z"),
    "in_.aadhaar": re.compile(r"[2-9]\d{11}\Z|[2-9]\d{3} \d{4} \d{4}\Z"),
    "pl.pesel": re.compile(r"\d{11}\Z"),
}
"""How the ids of twelve countries are written; beside a name for ids of any state, one of these must be valid."""
_STRONG = tuple(module for module in _FORMS if module not in ("nl.bsn", "es.dni"))
"""Without a name, those two are too weak: other things have their form, and one in ten or twenty passes."""
_ANY_FORM = re.compile("|".join(_FORMS[module].pattern for module in _STRONG))
_THREE_GROUPS = re.compile(r"\d{4}[ -]\d{4}[ -]\d{4}\Z")
_MADE_UP = re.compile(r"\d{12}\Z|\d*(?:01234567|12345678|23456789|87654321|98765432)")


def national_id_number(candidate: Candidate) -> Verdict | None:
    """Accepts a number that a preceding word or its column names and whose checksum or structure is valid, and a
    number without a name that has the form and the checksum of one of twelve countries."""
    if len(_DIGITS.intersection(candidate.value)) < _MIN_DIFFERENT_DIGITS:
        return None
    text = candidate.value.decode("ascii")
    words = f" {name_of(candidate)}"
    if not _FIRST_WORDS.isdisjoint(words.split()):
        for module, names in _WORDS.items():
            if any(f" {name} " in words for name in names) and _is_valid(module)(text):
                return candidate.verdict(validated=True)
    if _has_generic_name(words):
        is_id = any(form.match(text) and _is_valid(module)(text) for module, form in _FORMS.items())
        return candidate.verdict(validated=True) if is_id else None
    return candidate.verdict(validated=True) if _is_evident(candidate, text) else None


def _has_generic_name(words: str) -> bool:
    last = words[-_GENERIC_BYTES:]
    return last.rstrip().rpartition(" ")[2] in _LAST_WORDS and _GENERIC_NAME.search(last) is not None


def _is_evident(candidate: Candidate, text: str) -> bool:
    """Whether a number without a name is an id by its form and checksum, and stands where a value does."""
    if not _ANY_FORM.match(text) or _MADE_UP.match(text):  # twelve digits are as well an account
        return False
    if is_quoted(candidate):
        is_place = not is_keyed(candidate)
    else:  # three groups of four digits are as well ports or slots
        is_place = not _THREE_GROUPS.match(text) and is_in_prose(candidate)
    return is_place and any(_FORMS[module].match(text) and _is_valid(module)(text) for module in _STRONG)


@cache
def _is_valid(module: str) -> Callable[[str], bool]:
    return _OWN.get(module) or import_module(f"stdnum.{module}").is_valid


def _is_my_number(text: str) -> bool:
    """The check digit of Japan's individual numbers (ordinance 85 of 2014 of the Ministry of Internal Affairs)."""
    digits = [int(digit) for digit in re.sub(r"\D", "", text)]
    if len(digits) != 12:
        return False
    total = sum(digit * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(digits[:-1]), start=1))
    return digits[-1] == (0 if total % 11 <= 1 else 11 - total % 11)


_OWN: dict[str, Callable[[str], bool]] = {
    "gb.nino": lambda text: NINO.match(text) is not None,
    "jp.in_": _is_my_number,
    "kr.rrn": lambda text: _RRN.match(text) is not None,  # numbers since October 2020 have no check digit
}
"""Ids that `stdnum` doesn't have, or that have no checksum."""
