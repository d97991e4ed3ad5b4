# ruff: noqa: E501 - templates and word lists read best unbroken
"""Personal data of twelve countries, planted in the places where it stands in files of code, settings and data.

Nothing of it is real: Faker and the public rules of each number make the values, from a seed. Places are in two halves:
`DEVELOPED` was looked at while the rules were written, `HELD_OUT` only when they were done.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any

LOCALES = {
    "DE": "de_DE", "FR": "fr_FR", "ES": "es_ES", "IT": "it_IT", "NL": "nl_NL", "GB": "en_GB",
    "US": "en_US", "BR": "pt_BR", "JP": "ja_JP", "KR": "ko_KR", "IN": "en_IN", "PL": "pl_PL",
}  # fmt: skip
"""Countries with Faker's name of their locale."""
TYPES = ("email", "ip_address", "iban", "phone", "card", "national_id")
_NAMED = {
    "email": ["email", "mail", "user_email", "contact"],
    "ip_address": ["ip", "host", "remote_addr", "client_ip"],
    "iban": ["iban", "account", "bank_account"],
    "card": ["card", "card_number", "cc_number", "creditCard", "pan"],
}
_PHONE_NAMES = {
    "": ["phone", "phone_number", "phoneNumber", "mobile", "phone_home", "contact_phone", "tel"],
    "DE": ["telefon", "telefonnummer", "handy", "mobilnummer", "telefon_privat", "rufnummer"],
    "FR": ["telephone", "téléphone", "portable", "tel_domicile", "numero_telephone"],
    "ES": ["telefono", "teléfono", "movil", "telefono_casa", "numTelefono"],
    "IT": ["telefono", "cellulare", "numero_telefono", "telefono_casa", "recapito"],
    "NL": ["telefoon", "telefoonnummer", "mobiel", "telefoon_thuis", "gsm"],
    "BR": ["telefone", "celular", "telefone_residencial", "fone", "numeroTelefone"],
    "JP": ["電話", "電話番号", "携帯", "tel", "denwa"],
    "KR": ["전화", "전화번호", "휴대폰", "tel", "hp"],
    "PL": ["telefon", "komorka", "numer_telefonu", "telefon_domowy", "tel_kom"],
}
_ID_NAMES = {
    "DE": ["steuer_id", "steuerId", "idnr", "steueridentifikationsnummer"], "FR": ["nir", "insee", "securite_sociale", "numero_secu"],
    "ES": ["dni", "nif", "nie"], "IT": ["codice_fiscale", "codiceFiscale", "cf"], "NL": ["bsn", "burgerservicenummer"],
    "GB": ["nino", "national_insurance", "ni_number"], "US": ["ssn", "social_security", "socialSecurityNumber"], "BR": ["cpf", "cpf_cliente"],
    "JP": ["my_number", "mynumber", "マイナンバー", "kojin_bango"], "KR": ["rrn", "주민등록번호", "jumin"], "IN": ["aadhaar", "aadhaar_number"],
    "PL": ["pesel", "nr_pesel"],
}  # fmt: skip
_GENERIC_ID_NAMES = ["national_id", "id_number", "personal_id", "tax_id", "identity_number", "nationalId", "tax_number"]
_MODULES = {"DE": "de.idnr", "FR": "fr.nir", "ES": "es.dni", "IT": "it.codicefiscale", "NL": "nl.bsn", "BR": "br.cpf", "KR": "kr.rrn", "IN": "in_.aadhaar", "PL": "pl.pesel"}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where a value stands: a file's name, its language, and its text, in which `$K` is a name, `$V` the value, `$N` a
    person's name, and `$C` a city. `names` tells whether a name stands beside the value."""

    path: str
    language: str
    text: str
    names: bool = True


DEVELOPED = [
    Place("a.py", "python", '$K = "$V"\n'),
    Place("b.py", "python", 'users = [{"name": "$N", "$K": "$V"}]\n'),
    Place("c.js", "javascript", "const user = { name: '$N', $K: '$V' };\n"),
    Place("D.java", "java", '        customer.set$K("$V");\n'),
    Place("e.json", "json", '{\n  "name": "$N",\n  "$K": "$V",\n  "city": "$C"\n}\n'),
    Place("f.jsonl", "", '{"name": "$N", "$K": "$V", "city": "$C"}\n{"name": "$N", "$K": "", "city": "$C"}\n'),
    Place("g.csv", "", "id,name,$K,city\n1,$N,$V,$C\n2,$N,,$C\n"),
    Place("h.yaml", "yaml", "users:\n  - name: $N\n    $K: $V\n    city: $C\n"),
    Place("i.sql", "sql", "INSERT INTO customers (id, name, $K, city) VALUES (1, '$N', '$V', '$C');\n"),
    Place("j.md", "markdown", "Please contact $N ($K: $V) before Monday.\n"),
    Place("k.xml", "xml", "<person>\n  <name>$N</name>\n  <$K>$V</$K>\n</person>\n"),
    Place("l.go", "go", "// $K: $V\nfunc main() {}\n"),
    Place("m.py", "python", '# $N, $V\nprint("x")\n', names=False),
    Place("n.sql", "sql", "INSERT INTO people VALUES (17, '$N', '$V', '$C');\n", names=False),
    Place("o.rb", "ruby", "  let(:person) { create(:person, '$V') }\n", names=False),
    Place("p.md", "markdown", "You can reach $N at $V any time.\n", names=False),
]
HELD_OUT = [
    Place("a.ts", "typescript", 'export const seed: Person = { fullName: "$N", $K: "$V", active: true };\n'),
    Place("b.rb", "ruby", "User.create!(name: \"$N\", $K: '$V')\n"),
    Place("c.php", "php", "$data = ['name' => '$N', '$K' => '$V'];\n"),
    Place("d.cs", "csharp", 'var p = new Person { Name = "$N", $K = "$V" };\n'),
    Place("e.tsv", "", "name\t$K\tcity\n$N\t$V\t$C\n"),
    Place("f.csv", "", '"city";"$K";"name"\n"$C";"$V";"$N"\n'),
    Place("g.ndjson", "", '{"person":{"$K":"$V","name":"$N"}}\n'),
    Place("h.toml", "toml", '[owner]\nname = "$N"\n$K = "$V"\n'),
    Place("i.sql", "sql", "UPDATE clients SET $K = '$V' WHERE name = '$N';\n"),
    Place("j.sql", "sql", "INSERT INTO clients\n  (name, $K)\nVALUES\n  ('$N', '$V'),\n  ('$N', NULL);\n"),
    Place("k.html", "html", "<tr><td>$N</td><td>$K</td><td>$V</td></tr>\n"),
    Place("l.log", "", "2024-03-05 11:02:17 INFO saved customer $N with $K=$V in 12 ms\n"),
    Place("m.kt", "kotlin", '    assertEquals("$V", person.$K)\n'),
    Place("n.md", "markdown", "| name | $K | city |\n|---|---|---|\n| $N | $V | $C |\n"),
    Place("o.js", "javascript", "// ask $N: $V\nrun();\n", names=False),
    Place("p.py", "python", 'rows = [\n    ("$N", "$V", "$C"),\n]\n', names=False),
    Place("q.txt", "", "$N\n$C\n$V\n", names=False),
    Place("r.swift", "swift", '        XCTAssertTrue(isValid("$V"))\n', names=False),
]
PLACES = {"developed": DEVELOPED, "held-out": HELD_OUT}


@dataclass(frozen=True)
class Planted:
    """One planted value: its type, country, where it stands, whether a name stands beside it (`generic` for a name that
    many things have), and the text."""

    type: str
    country: str
    place: Place
    beside: str
    value: str
    text: str


def plant(half: str, per_country: int, seed: int) -> list[Planted]:
    """Plants `per_country` values of each type and country in places of one half."""
    from faker import Faker

    planted = []
    for country, locale in LOCALES.items():
        fake, rng = Faker(locale), random.Random(f"{seed}:{half}:{country}")
        fake.seed_instance(rng.randrange(1 << 30))
        for kind in TYPES:
            for number in range(per_country):
                place = PLACES[half][number % len(PLACES[half])]
                value = _value(kind, country, fake, rng)
                planted.append(_planted(kind, country, place, value, fake, rng))
    return planted


def _planted(kind: str, country: str, place: Place, value: str, fake: Any, rng: random.Random) -> Planted:
    beside = "nothing"
    name = ""
    if place.names:
        beside = "a word"
        names = _NAMED.get(kind) or (
            _ID_NAMES[country] if kind == "national_id" else [*_PHONE_NAMES[""], *_PHONE_NAMES.get(country, []) * 2]
        )
        if kind == "national_id" and rng.random() < 0.4:
            names, beside = _GENERIC_ID_NAMES, "a generic word"
        name = rng.choice(names)
        if "set$K" in place.text or place.language == "csharp":
            name = re.sub(r"(?:^|_)(\w)", lambda match: match[1].upper(), name)
    first, last, city = fake.first_name(), fake.last_name(), fake.city().replace("'", "")
    text = place.text.replace("$K", name).replace("$N", f"{first} {last}".replace("'", "")).replace("$C", city)
    return Planted(kind, country, place, beside, value, text.replace("$V", value))


def _value(kind: str, country: str, fake: Any, rng: random.Random) -> str:
    if kind == "email":
        return rng.choice([fake.ascii_free_email, fake.ascii_company_email])()
    if kind == "ip_address":
        return fake.ipv4_public() if rng.random() < 0.7 else fake.ipv6()
    if kind == "iban":
        return _iban(country, fake, rng)
    if kind == "phone":
        return fake.phone_number() if rng.random() < 0.5 else national_phone(country, rng)
    if kind == "card":
        number = fake.credit_card_number(rng.choice(["visa16", "mastercard", "amex", "discover"]))
        return number if rng.random() < 0.6 else _grouped(number, rng.choice(" -"))
    return national_id(country, fake, rng)


def _grouped(number: str, mark: str) -> str:
    parts = (4, 6, 5) if len(number) == 15 else (4, 4, 4, 4)
    groups, at = [], 0
    for size in parts:
        groups.append(number[at : at + size])
        at += size
    return mark.join(groups)


def _iban(country: str, fake: Any, rng: random.Random) -> str:
    from faker import Faker

    if country in ("US", "JP", "KR", "IN"):  # no IBANs there: an account abroad
        fake = Faker(rng.choice(["de_DE", "fr_FR", "nl_NL"]))
        fake.seed_instance(rng.randrange(1 << 30))
    number = fake.iban()
    return number if rng.random() < 0.7 else " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def national_phone(country: str, rng: random.Random) -> str:
    """A number that libphonenumber takes for valid, as it is written in its country."""
    import phonenumbers

    kinds = [phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]
    example = phonenumbers.example_number_for_type(country, rng.choice(kinds))
    while True:
        number = str(example.national_number)
        number = number[:-7] + "".join(rng.choices("0123456789", k=7))
        made = phonenumbers.parse(number, country) if country != "IT" else example
        if country == "IT":
            made.national_number = int(number)
        if phonenumbers.is_valid_number(made):
            form = phonenumbers.PhoneNumberFormat.NATIONAL
            text = phonenumbers.format_number(made, form)
            return text if rng.random() < 0.7 else re.sub(r"\D", "", text)


def national_id(country: str, fake: Any, rng: random.Random) -> str:
    """A valid number of the country's most common id of persons, written with or without its marks."""
    if country == "GB":
        text = rng.choice("ABCEHJLMPRSTWXY") + rng.choice("ABCEHJLMPRSTWXYZ")
        text += "".join(rng.choices("0123456789", k=6)) + rng.choice("ABCD")
        return text if rng.random() < 0.5 else " ".join(text[at : at + 2] for at in range(0, 9, 2))
    if country == "US":
        return fake.ssn()
    if country == "JP":
        digits = rng.choices("0123456789", k=11)
        weighted = sum(int(d) * (n + 1 if n <= 6 else n - 5) for n, d in enumerate(reversed(digits), start=1))
        text = "".join(digits) + str(0 if weighted % 11 <= 1 else 11 - weighted % 11)
        return text if rng.random() < 0.6 else " ".join(text[at : at + 4] for at in range(0, 12, 4))
    if country == "ES" and rng.random() < 0.3:
        return fake.nie()
    module: Any = import_module(f"stdnum.{_MODULES[country]}")
    while True:
        if country == "DE":  # of the first ten digits, one stands twice
            ten = rng.sample("0123456789", 9)
            ten.insert(rng.randrange(10), rng.choice(ten))
            text = _with_check_digit("iso7064.mod_11_10", "".join(ten))
        elif country == "IN":
            text = _with_check_digit("verhoeff", rng.choice("23456789") + "".join(rng.choices("0123456789", k=10)))
        else:
            text = fake.nif() if country == "ES" else fake.ssn()
        if module.is_valid(text) or country == "KR":  # Faker's have no valid check digit, nor have those since 2020
            break
    plain = re.sub(r"\W", "", text)
    if country == "BR" and rng.random() < 0.5:
        return f"{plain[:3]}.{plain[3:6]}.{plain[6:9]}-{plain[9:]}"
    if country == "IN" and rng.random() < 0.5:
        return f"{plain[:4]} {plain[4:8]} {plain[8:]}"
    if country == "FR" and rng.random() < 0.5:
        return f"{plain[0]} {plain[1:3]} {plain[3:5]} {plain[5:7]} {plain[7:10]} {plain[10:13]} {plain[13:]}"
    if country == "DE" and rng.random() < 0.3:
        return f"{plain[:2]} {plain[2:5]} {plain[5:8]} {plain[8:]}"
    return text


def _with_check_digit(algorithm: str, digits: str) -> str:
    return digits + str(import_module(f"stdnum.{algorithm}").calc_check_digit(digits))
