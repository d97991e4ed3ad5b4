"""Reads answers out of texts: short answers, numbers, the last box. Each takes time that is linear in the text."""

from __future__ import annotations

import re
import string
from collections import deque
from fractions import Fraction
from typing import Final

_NUMBER: Final = re.compile(r"-?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
_STRICT: Final = re.compile(r"#### (-?[0-9.,]+)")
_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_TOKEN: Final = r"-?\d+(?:[.,]\d+)*|[a-zA-Z](?![a-zA-Z])|\\[a-zA-Z]+(?![a-zA-Z{])"
_BOX: Final = re.compile(rf"\\(?:boxed|fbox)(?![a-zA-Z])\s*(?:\{{|(?P<token>{_TOKEN}))")
MAX_DIGITS: Final = 400


def short_form(text: str) -> str:
    """A short answer without case, punctuation and further blanks.

    >>> short_form("  Sunset  Blvd.")
    'sunset blvd'
    """
    return " ".join(text.lower().translate(_NO_PUNCTUATION).split())


def strict_number(text: str) -> str | None:
    """The number behind the first `#### `; None if there is none.

    >>> strict_number("so 7 are left\\n#### 1,007.")
    '1007'
    """
    found = _STRICT.search(text)
    return None if found is None else _plain(found[1])


def last_number(text: str) -> str | None:
    """The last number; None if there is none.

    >>> last_number("that makes $1,234.50, or -3 less.")
    '-3'
    """
    found = _NUMBER.findall(text)
    return _plain(found[-1]) if found else None


def _plain(number: str) -> str | None:
    plain = number.replace(",", "").replace("$", "").rstrip(".")
    return plain if value_of(plain) is not None else None


def value_of(number: str) -> Fraction | None:
    """The value of a decimal number; None if it isn't one, or has hundreds of digits.

    >>> value_of("18.0") == value_of("18"), value_of("1.2.3")
    (True, None)
    """
    if len(number) > MAX_DIGITS or not re.fullmatch(r"-?(?:\d+(?:\.\d*)?|\.\d+)", number):
        return None
    return Fraction(number if not number.endswith(".") else number[:-1])


def last_box(text: str) -> str | None:
    r"""What stands in the last box; None if there is no box, or it isn't closed.

    A box without braces, as MATH's own solutions have some, holds the number, letter or command behind it.

    >>> last_box(r"so \boxed{1} or \boxed{\frac{1}{2}}.")
    '\\frac{1}{2}'
    >>> last_box(r"it is $\boxed 2$.")
    '2'
    """
    found = next(iter(deque(_BOX.finditer(text), maxlen=1)), None)
    if found is None:
        return None
    if found["token"] is not None:
        return found["token"]
    depth, begin = 1, found.end()
    for at in range(begin, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return text[begin:at].strip()
    return None
