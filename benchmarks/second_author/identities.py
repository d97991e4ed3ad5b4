"""Made-up personal data with valid check digits, by country: ids, accounts, cards, telephone numbers, addresses."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

from benchmarks.second_author.values import FAMILY, GIVEN, WORDS

COUNTRIES = ["DE", "FR", "ES", "IT", "NL", "GB", "US", "BR", "JP", "KR", "IN", "PL"]


def _digits(count: int, rng: random.Random, first: str = "123456789") -> str:
    return rng.choice(first) + "".join(rng.choice(string.digits) for _ in range(count - 1))


def luhn(payload: str) -> str:
    """The payload and its check digit (ISO/IEC 7812-1)."""
    total = 0
    for place, char in enumerate(reversed(payload)):
        digit = int(char) * (2 if place % 2 == 0 else 1)
        total += digit - 9 if digit > 9 else digit
    return payload + str(-total % 10)


def card(rng: random.Random) -> str:
    """A card of an issuer, 15 or 16 bare digits, not one of the well-known test numbers."""
    issuer = rng.choice(["4539", "4716", "5214", "5377", "3714", "6011", "2231"])
    return luhn(issuer + _digits((15 if issuer == "3714" else 16) - 5, rng, string.digits))


def card_spaced(rng: random.Random) -> str:
    """A card in groups of four."""
    number = luhn(rng.choice(["4539", "5214", "6011"]) + _digits(11, rng, string.digits))
    return rng.choice(" -").join(number[i : i + 4] for i in range(0, 16, 4))


def iban(country: str, rng: random.Random) -> str:
    """An IBAN whose check digits are right (ISO 13616), with the country's length."""
    upper = string.ascii_uppercase
    body = {
        "DE": lambda: _digits(18, rng), "FR": lambda: _digits(23, rng), "ES": lambda: _digits(20, rng),
        "IT": lambda: rng.choice(upper) + _digits(22, rng), "PL": lambda: _digits(24, rng),
        "NL": lambda: rng.choice(["INGB", "RABO", "ABNA"]) + _digits(10, rng),
        "GB": lambda: rng.choice(["BARC", "LOYD", "HBUK"]) + _digits(14, rng),
        "BR": lambda: _digits(23, rng) + "C1",
    }[country]()  # fmt: skip
    if country in ("ES", "FR"):  # national check digits, which some validators compare as well
        body = _spanish_account(rng) if country == "ES" else _french_account(rng)
    if country == "IT":
        body = _italian_account(rng)
    if country == "PL":
        body = _polish_account(rng)
    value = "".join(str(int(char, 36)) for char in body + country + "00")
    return f"{country}{98 - int(value) % 97:02d}{body}"


def _spanish_account(rng: random.Random) -> str:
    weights = (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)

    def check(text: str) -> str:
        rest = 11 - sum(int(d) * w for d, w in zip(text.zfill(10), weights, strict=True)) % 11
        return str({10: 1, 11: 0}.get(rest, rest))

    bank, account = _digits(8, rng), _digits(10, rng)
    return bank + check(bank) + check(account) + account


def _french_account(rng: random.Random) -> str:
    bank, desk, account = _digits(5, rng), _digits(5, rng), _digits(11, rng)
    key = 97 - (89 * int(bank) + 15 * int(desk) + 3 * int(account)) % 97
    return f"{bank}{desk}{account}{key:02d}"


def _italian_account(rng: random.Random) -> str:
    odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21]
    body = _digits(10, rng) + _digits(12, rng)
    total = sum(odd[int(d)] if place % 2 == 0 else int(d) for place, d in enumerate(body))
    return chr(ord("A") + total % 26) + body


def _polish_account(rng: random.Random) -> str:
    bank = _digits(7, rng)
    check = -sum(int(d) * w for d, w in zip(bank, (3, 9, 7, 1, 3, 9, 7), strict=True)) % 10
    return bank + str(check) + _digits(16, rng)


def _verhoeff(payload: str) -> str:
    d = [
        [(i + j) % 5 if i < 5 and j < 5 else 5 + (i + j) % 5 if i < 5 else 5 + (i - j) % 5 if j < 5 else (i - j) % 5
         for j in range(10)]
        for i in range(10)
    ]  # fmt: skip
    p = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    for _ in range(6):
        p.append([p[-1][p[1][j]] for j in range(10)])
    inverse = [0, 4, 3, 2, 1, 5, 6, 7, 8, 9]
    check = 0
    for place, char in enumerate(reversed(payload)):
        check = d[check][p[(place + 1) % 8][int(char)]]
    return payload + str(inverse[check])


def national_id(country: str, rng: random.Random) -> str:
    """The id that the country's people have, with its checks: as written without or with usual marks."""
    return _IDS[country](rng)


def _de(rng: random.Random) -> str:
    """Tax id: one digit of ten comes twice, ISO 7064 MOD 11,10."""
    digits = rng.sample(string.digits, 9)
    digits.insert(rng.randint(0, 9), rng.choice(digits))
    while digits[0] == "0" or any(digits[i] == digits[i + 1] for i in range(9)):
        rng.shuffle(digits)
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return "".join(digits) + str((11 - product) % 10)


def _fr(rng: random.Random) -> str:
    born = f"{rng.choice('12')}{rng.randint(40, 99)}{rng.randint(1, 12):02d}"
    body = f"{born}{rng.randint(1, 19):02d}{rng.randint(1, 400):03d}{rng.randint(1, 900):03d}"
    return f"{body}{97 - int(body) % 97:02d}"


def _es(rng: random.Random) -> str:
    number = rng.randint(10_000_000, 79_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def _it(rng: random.Random) -> str:
    odd = dict(zip(string.digits + string.ascii_uppercase,
                   [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8,
                    12, 14, 16, 10, 22, 25, 24, 23], strict=True))  # fmt: skip
    consonants = "BCDFGLMNPRSTVZ"
    body = "".join(rng.choice(consonants) for _ in range(6)) + f"{rng.randint(40, 99)}{rng.choice('ABCDEHLMPRST')}"
    body += f"{rng.randint(1, 28):02d}{rng.choice('AFHL')}{rng.randint(100, 899)}"
    total = sum(odd[c] if place % 2 == 0 else int(c) if c.isdigit() else ord(c) - 65 for place, c in enumerate(body))
    return body + chr(65 + total % 26)


def _nl(rng: random.Random) -> str:
    while True:
        digits = _digits(8, rng)
        last = sum(int(d) * w for d, w in zip(digits, range(9, 1, -1), strict=True)) % 11
        if last < 10:
            return digits + str(last)


def _gb(rng: random.Random) -> str:
    letters = rng.choice(["AB", "CE", "JG", "LM", "PR", "SK", "WX"])
    n = _digits(6, rng)
    return rng.choice([f"{letters}{n}C", f"{letters} {n[:2]} {n[2:4]} {n[4:]} A"])


def _us(rng: random.Random) -> str:
    return f"{rng.randint(101, 665)}-{rng.randint(11, 99)}-{rng.randint(1001, 9989)}"


def _br(rng: random.Random) -> str:
    digits = [int(d) for d in _digits(9, rng)]
    for _ in range(2):
        rest = sum(d * w for d, w in zip(digits, range(len(digits) + 1, 1, -1), strict=True)) * 10 % 11
        digits.append(rest % 10)
    text = "".join(map(str, digits))
    return rng.choice([text, f"{text[:3]}.{text[3:6]}.{text[6:9]}-{text[9:]}"])


def _jp(rng: random.Random) -> str:
    digits = _digits(11, rng)
    total = sum(int(d) * (n + 1 if n <= 6 else n - 5) for n, d in enumerate(reversed(digits), 1))
    rest = total % 11
    return digits + str(0 if rest <= 1 else 11 - rest)


def _kr(rng: random.Random) -> str:
    head = f"{rng.randint(50, 99)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    body = head + rng.choice("12") + _digits(5, rng, "012345678")
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    check = (11 - sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11) % 10
    return f"{head}-{body[6:]}{check}"


def _in(rng: random.Random) -> str:
    number = _verhoeff(_digits(11, rng, "23456789"))
    return rng.choice([number, f"{number[:4]} {number[4:8]} {number[8:]}"])


def _pl(rng: random.Random) -> str:
    body = f"{rng.randint(50, 99)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}" + _digits(4, rng, string.digits)
    check = -sum(int(d) * w for d, w in zip(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=True)) % 10
    return body + str(check)


_IDS: dict[str, Callable[[random.Random], str]] = {
    "DE": _de, "FR": _fr, "ES": _es, "IT": _it, "NL": _nl, "GB": _gb, "US": _us, "BR": _br, "JP": _jp, "KR": _kr,
    "IN": _in, "PL": _pl,
}  # fmt: skip

# National formats as people write them; `D` a digit, `N` one that isn't 0.
PHONES = {
    "DE": ["030 NDDDDDDD", "0171 NDDDDDD", "089/NDDDDDD", "0221-NDDDDDD"],
    "FR": ["01 4D 3D 6D 5D", "06.1D.4D.7D.3D", "064D7D2D6D"],
    "ES": ["912 D4 6D 5D", "612 D45 D6D", "93 4D2 6D 5D"],
    "IT": ["06 698D DD5D", "347 N2DDD6D", "02 8D5D 4D6D"],
    "NL": ["020-624DDDD", "06-2D4D6D5D", "06 2D4D6D5D"],
    "GB": ["020 7946 DDDD", "07911 9DD3DD", "0161 496 DDDD", "01223 96DDDD"],
    "US": ["(415) N8D-DDDD", "212-N6D-DDDD", "650.N4D.DDDD"],
    "BR": ["(11) 9N5DD-DDDD", "(21) 3N2D-DDDD", "11 98D4D-DDDD"],
    "JP": ["03-3D4D-DDDD", "090-N4DD-DDDD", "06-62DD-DDDD"],
    "KR": ["02-7D4-DDDD", "010-N4DD-DDDD", "031-7D4-DDDD"],
    "IN": ["98D5D 6DD4D", "022 2D4D 6DDD", "9N4D6DD5DD"],
    "PL": ["601 D3D 4D6", "22 6D5 4D 3D", "(22) 62D 4D 5D", "512-D4D-6D3"],
}  # fmt: skip
CODES = {
    "DE": 49, "FR": 33, "ES": 34, "IT": 39, "NL": 31, "GB": 44, "US": 1, "BR": 55, "JP": 81, "KR": 82, "IN": 91,
    "PL": 48,
}  # fmt: skip


def phone(country: str, rng: random.Random) -> str:
    """A telephone number in a national format."""
    pattern = rng.choice(PHONES[country])
    return "".join(
        {"D": lambda: rng.choice(string.digits), "N": lambda: rng.choice("23456789")}.get(c, lambda c=c: c)()
        for c in pattern
    )


def international(country: str, rng: random.Random) -> str:
    """The same with the country's code."""
    number = phone(country, rng).replace("(", "").replace(")", "").replace("/", " ")
    return f"+{CODES[country]} {number if country == 'IT' else number.removeprefix('0')}"


def email(rng: random.Random) -> str:
    """An address at a host that isn't reserved for examples."""
    local = rng.choice(
        [
            f"{rng.choice(GIVEN)}.{rng.choice(FAMILY)}",
            f"{rng.choice(GIVEN)[0]}{rng.choice(FAMILY)}",
            f"{rng.choice(WORDS)}{rng.randint(1, 99)}",
        ]
    )
    host = f"{rng.choice(WORDS)}{rng.choice(WORDS)}"
    return f"{local.lower()}@{host}.{rng.choice(['de', 'com', 'co.uk', 'fr', 'org', 'io'])}"


def ipv4(rng: random.Random) -> str:
    """A public address."""
    last = f"{rng.randint(1, 250)}.{rng.randint(2, 250)}"
    return f"{rng.choice([23, 45, 81, 91, 131, 151, 178, 188, 212])}.{rng.randint(16, 250)}.{last}"


def ipv6(rng: random.Random) -> str:
    """A public address."""
    last = f"{rng.randint(0x10, 0xFFFF):x}"
    return f"2a0{rng.choice('1234')}:{rng.randint(0x1000, 0xFFFF):x}:{rng.randint(1, 0xFFFF):x}::{last}"


def mac(rng: random.Random) -> str:
    """A device's address."""
    return rng.choice(":-").join(f"{byte:02x}" for byte in (rng.choice([0x00, 0x3C, 0xA4, 0x78]), *rng.randbytes(5)))


def latitude(rng: random.Random) -> str:
    """Degrees with six places."""
    return f"{rng.uniform(36, 59):.6f}"


def longitude(rng: random.Random) -> str:
    """Degrees with six places."""
    return f"{rng.uniform(1.2, 24):.6f}"


def birth(rng: random.Random) -> str:
    """A day in a person's life span."""
    return f"{rng.randint(1940, 2004)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def passport(rng: random.Random) -> str:
    """Letters and digits as passports of Germany, France, Italy and the United Kingdom have them."""
    return rng.choice(
        [
            f"C{rng.choice('FGHJK')}{_digits(7, rng)}",
            f"{_digits(2, rng)}{rng.choice('AB')}{rng.choice('CD')}{_digits(5, rng)}",
            f"Y{rng.choice('AB')}{_digits(7, rng)}",
            _digits(9, rng),
        ]
    )


STREETS = {
    "DE": "{w}straße {n}, 8{d} München", "FR": "{n} rue {W}, 750{s} Paris", "ES": "Calle {W} {n}, 280{s} Madrid",
    "IT": "Via {W} {n}, 001{s} Roma", "NL": "{W}straat {n}, 10{s} AB Amsterdam",
    "GB": "{n} {W} Street, London SW1A 2AA",
    "US": "{n} {W} Avenue, Springfield, IL 627{s}", "BR": "Rua {W}, {n}, São Paulo - SP, 013{s}-000",
    "JP": "〒100-00{s} 東京都千代田区丸の内1-{n}", "KR": "서울특별시 종로구 세종대로 {n}",
    "IN": "{n} {W} Road, Bengaluru 5600{s}",
    "PL": "ul. {W} {n}, 00-9{s} Warszawa",
}  # fmt: skip


def address(country: str, rng: random.Random) -> str:
    """Street, number, postal code and town as the country writes them."""
    word = rng.choice(WORDS)
    return STREETS[country].format(
        w=word.capitalize(),
        W=word.capitalize(),
        n=rng.randint(2, 98),
        d=f"{rng.randint(300, 999):04d}",
        s=rng.randint(10, 18),
    )


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "card": card, "cards": card_spaced, "email": email, "ipv4": ipv4, "ipv6": ipv6, "mac": mac, "lat": latitude,
    "lon": longitude, "birth": birth, "passport": passport,
    "person": lambda rng: f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}",
    "word": lambda rng: rng.choice(WORDS),
    "four": lambda rng: _digits(4, rng),
    "luhn4": lambda rng: " ".join(luhn("4" + _digits(14, rng, string.digits))[i : i + 4] for i in range(0, 16, 4)),
    "luhn16": lambda rng: luhn(rng.choice("79") + _digits(14, rng, string.digits)),
    **{f"id{c}": lambda rng, c=c: national_id(c, rng) for c in COUNTRIES},
    **{f"tel{c}": lambda rng, c=c: phone(c, rng) for c in COUNTRIES},
    **{f"int{c}": lambda rng, c=c: international(c, rng) for c in COUNTRIES},
    **{f"home{c}": lambda rng, c=c: address(c, rng) for c in COUNTRIES},
    **{f"iban{c}": lambda rng, c=c: iban(c, rng) for c in ["DE", "FR", "ES", "IT", "NL", "GB", "BR", "PL"]},
}  # fmt: skip
