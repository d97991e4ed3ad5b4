"""National id numbers: requires a word that names the number, then the issuing state's checksum or structure
(`python-stdnum`).

One number in ten passes most checksums, so the word determines which checksum is used: "pesel" uses that of Poland,
"ssn" that of the United States. The word must precede the number on the same line, as a separate word: `userSsn`,
`user_ssn` and `"SSN":` all contain "ssn".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module

from transforms.scanning.candidate import Candidate, Verdict

_BEFORE_BYTES = 80
_MIN_DIFFERENT_DIGITS = 4
_WORDS: dict[str, tuple[str, ...]] = {
    "us.ssn": ("ssn", "social security"),
    "us.itin": ("itin",),
    "gb.nhs": ("nhs",),
    "gb.utr": ("utr", "unique taxpayer"),
    "de.idnr": ("steuer id", "steuerid", "steueridentifikationsnummer", "idnr", "steuernummer"),
    "fr.nir": ("nir", "insee", "securite sociale", "sécurité sociale"),
    "fr.nif": ("spi", "numero fiscal", "numéro fiscal"),
    "es.dni": ("dni", "nif"),
    "nl.bsn": ("bsn", "burgerservicenummer", "sofinummer"),
    "be.nn": ("rijksregisternummer", "rijksregister", "numero national", "registre national", "insz", "niss"),
    "pt.nif": ("nif", "contribuinte"),
    "pl.pesel": ("pesel",),
    "se.personnummer": ("personnummer", "personnr"),
    "no.fodselsnummer": ("fodselsnummer", "fødselsnummer", "personnummer"),
    "dk.cpr": ("cpr", "personnummer"),
    "ch.ssn": ("ahv", "avs", "sozialversicherungsnummer"),
    "br.cpf": ("cpf",),
    "ar.cuit": ("cuit", "cuil"),
    "cl.rut": ("rut", "rol unico"),
    "co.nit": ("nit", "cedula", "cédula"),
    "in_.aadhaar": ("aadhaar", "aadhar"),
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
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NO_WORD = re.compile(r"[\W_]+")


def national_id_number(candidate: Candidate) -> Verdict | None:
    """Accepts a number that a preceding word names and whose checksum or structure is valid."""
    text = candidate.value.decode("ascii")
    if len(set(re.sub(r"\D", "", text))) < _MIN_DIFFERENT_DIGITS:
        return None
    before = candidate.before(_BEFORE_BYTES).decode("utf-8", "replace")
    words = f" {_NO_WORD.sub(' ', _CAMEL.sub(' ', before)).lower().strip()} "
    if _FIRST_WORDS.isdisjoint(words.split()):
        return None
    for module, names in _WORDS.items():
        if any(f" {name} " in words for name in names) and _is_valid(module)(text):
            return candidate.verdict(validated=True)
    return None


@cache
def _is_valid(module: str) -> Callable[[str], bool]:
    return import_module(f"stdnum.{module}").is_valid
