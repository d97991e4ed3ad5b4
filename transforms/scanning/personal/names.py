# ruff: noqa: E501 - word lists read best unbroken
"""Names of values that are phone numbers, in the languages of twelve countries, as people write them in code and tables.

    phoneNumber, phone_home, "Telefon privat", téléphone, teléfono, telefoonnummer, cellulare, celular, komórka, 電話番号, 휴대폰

Languages: English, German, French, Spanish, Italian, Dutch, Portuguese, Polish, Japanese, Korean, Swedish, Danish and
Norwegian.
"""

from __future__ import annotations

import re

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[\W_]+")
_SUFFIXES = (
    "number|numbers|num|no|nr|n|nummer|numero|número|home|work|office|private|privat|prive|privé|primary|secondary|main|business|mobile|cell|fax|"
    "day|evening|emergency|customer|user|contact|domicile|bureau|pro|perso|casa|trabajo|oficina|ufficio|lavoro|thuis|werk|geschaeftlich|geschäftlich|dienst|dienstlich|"
    "residencial|comercial|trabalho|domowy|sluzbowy|służbowy|kom|mobil|mobiel|mobilny|value|str|string|raw|e164|\\d"
)
_WORDS = (
    r"phones?|telephones?|cellphones?|mobiles?|cell|telf?|tfno|fax|faxnummer|gsm|whatsapp|sms|hotline|msisdn|handy\w{0,8}|mobil|mobiltelefon|mobilnummer|mobilfunk\w{0,8}|rufnummer|festnetz\w{0,8}|durchwahl|"
    r"telefon\w{0,10}|téléphone|teléfonos?|portable|móvil|movil|celular|cellulare|recapito|telefoon\w{0,10}|mobiel|fone|telemóvel|telemovel|komórka|komorka|denwa|keitai|hp|"
    r"電話\w{0,4}|携帯\w{0,4}|전화\w{0,4}|휴대폰\w{0,4}|휴대전화|연락처"
)
PHONE_NAME = re.compile(rf"(?:^| )(?:{_WORDS})(?: (?:{_SUFFIXES}))* ?$")
"""A name that ends in a word for phones, over `normalized` text."""
PHONE_WORD = re.compile(rf"(?:^| )(?:{_WORDS})(?: |$)")
"""A word for phones anywhere in `normalized` text."""


def normalized(text: bytes) -> str:
    """The words of a text or a name in lower case, separated by single spaces.

    >>> normalized(b'user.phoneHome = "')
    'user phone home '
    """
    words = text.decode("utf-8", "replace")
    lowered = words.lower()
    if words != lowered:
        lowered = _CAMEL.sub(" ", words).lower()
    return _NO_WORD.sub(" ", lowered)
