# ruff: noqa: E501 - patterns, word lists and printed lines read best unbroken
"""Recipes of examples: text with fields such as `{alnum:36}` that are filled at run time from a seed.

No token-shaped literal is committed, yet each rule has examples that must be found and examples that must not.

    "ghp_{alnum:36}"   ->   the four characters, then 36 random letters and digits
    "{{"               ->   one brace
"""

from __future__ import annotations

import base64
import json
import random
import re
import string
import uuid
from collections.abc import Callable

from transforms.scanning.validators.checksums import base62_crc32, bech32_checksum

_HEX = "0123456789abcdef"
ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "digit": string.digits,
    "nonzero": "123456789",
    "hex": _HEX,
    "HEX": "0123456789ABCDEF",
    "lowalnum": string.ascii_lowercase + string.digits,
    "upalnum": string.ascii_uppercase + string.digits,
    "b32": string.ascii_uppercase + "234567",
    "b64": string.ascii_letters + string.digits + "+/",
    "b64url": string.ascii_letters + string.digits + "-_",
    "word": string.ascii_letters + string.digits + "_",
    "base58": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    "bech32": "qpzry9x8gf2tvdw0s3jn54khce6mua7l",
    "password": string.ascii_letters + string.digits + "!#*+-",
}
_FIELD = re.compile(r"\{\{|\{([A-Za-z0-9]+)(?::(\d+))?\}")


def fill(recipe: str, rng: random.Random) -> str:
    """Fills a recipe's fields. Raises KeyError for an unknown field.

    >>> len(fill("tok_{hex:8}", random.Random(1)))
    12
    """

    def replace(match: re.Match[str]) -> str:
        if match.group() == "{{":
            return "{"
        name, count = match.group(1), int(match.group(2) or 1)
        if name in ALPHABETS:
            return "".join(rng.choices(ALPHABETS[name], k=count))
        return SPECIAL[name](rng)

    return _FIELD.sub(replace, recipe)


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def _jwt(rng: random.Random) -> str:
    claims = {"sub": fill("{digit:10}", rng), "iat": rng.randrange(10**9), "jti": _uuid(rng)}
    return ".".join([_segment({"alg": "HS256", "typ": "JWT"}), _segment(claims), fill("{b64url:43}", rng)])


def _crc_token(rng: random.Random) -> str:
    body = fill("{alnum:30}", rng)
    return body + base62_crc32(body)


def _pem(rng: random.Random) -> str:
    raw = base64.b64encode(rng.randbytes(600)).decode()
    lines = [raw[i : i + 64] for i in range(0, len(raw), 64)]
    dashes = "-" * 5
    return "\n".join([f"{dashes}BEGIN RSA PRIVATE KEY{dashes}", *lines, f"{dashes}END RSA PRIVATE KEY{dashes}"])


def _luhn_digit(body: str) -> str:
    total = 0
    for index, char in enumerate(reversed(body)):
        value = int(char) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def _card(rng: random.Random) -> str:
    body = "4" + fill("{digit:14}", rng)
    return body + _luhn_digit(body)


def _iban(rng: random.Random) -> str:
    account = fill("{digit:18}", rng)
    check = 98 - int(account + "131400") % 97  # "DE00": D is 13, E is 14 (ISO 13616)
    return f"DE{check:02d}{account}"


def _global_ip(rng: random.Random) -> str:
    return f"{rng.choice((23, 45, 63, 81, 93, 151, 178))}.{rng.randrange(1, 255)}.{rng.randrange(1, 255)}.{rng.randrange(11, 254)}"


def _bech32(prefix: str, rng: random.Random) -> str:
    body = fill("{bech32:52}", rng)
    checksum = bech32_checksum(f"{prefix}1{body}qqqqqq".encode()) ^ 1
    return f"{prefix}1{body}" + "".join(ALPHABETS["bech32"][checksum >> 5 * (5 - i) & 31] for i in range(6))


def _ssn(rng: random.Random) -> str:
    return f"{rng.randrange(100, 666)}-{rng.randrange(11, 99)}-{rng.randrange(1012, 9999)}"


def _pesel(rng: random.Random) -> str:
    body = f"{rng.randrange(40, 99)}{rng.randrange(1, 13):02}{rng.randrange(1, 28):02}{fill('{digit:4}', rng)}"
    weighted = sum(int(digit) * weight for digit, weight in zip(body, (1, 3, 7, 9) * 3, strict=False))
    return body + str(-weighted % 10)


def _cpf(rng: random.Random) -> str:
    digits = [int(digit) for digit in fill("{digit:9}", rng)]
    for _ in range(2):
        weights = range(len(digits) + 1, 1, -1)
        digits.append(sum(d * w for d, w in zip(digits, weights, strict=True)) * 10 % 11 % 10)
    text = "".join(map(str, digits))
    return f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"


def _codice_fiscale(rng: random.Random) -> str:
    body = f"{fill('{upper:6}', rng)}{rng.randrange(40, 99)}{rng.choice('ABCDEHLMPRST')}{rng.randrange(1, 29):02}"
    body += f"{rng.choice('ABCDEFGHIL')}{rng.randrange(101, 999)}"
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    values = [int(char) if char.isdigit() else ord(char) - 65 for char in body]
    total = sum(value if n % 2 else odd[value] for n, value in enumerate(values))
    return body + chr(65 + total % 26)


SPECIAL: dict[str, Callable[[random.Random], str]] = {
    "uuid": _uuid,
    "jwt": _jwt,
    "crctoken": _crc_token,
    "pem": _pem,
    "card": _card,
    "iban": _iban,
    "ip": _global_ip,
    "nsec": lambda rng: _bech32("nsec", rng),
    "age": lambda rng: _bech32("age-secret-key-", rng).upper(),
    "ssn": _ssn,
    "pesel": _pesel,
    "cpf": _cpf,
    "cf": _codice_fiscale,
}
