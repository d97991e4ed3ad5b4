r"""The value of an expression in LaTeX, by a parser that evaluates as it reads.

No text is ever executed, and no size follows a number in it: rational numbers are exact up to `_MAX_BITS` bits, all
else is floating point, so a tower of powers overflows instead of growing. Time is linear in the text; length and depth
are bounded.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

MAX_CHARS: Final = 1_000
MAX_DEPTH: Final = 40
_MAX_BITS: Final = 2_048
Value = Fraction | complex
BRACKETS: Final = {"(": ")", "[": "]", "\\{": "\\}"}
_TOKEN: Final = re.compile(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)|(\\[a-zA-Z]+)|([a-zA-Z])|(.))", re.S)


def inexact(value: Value) -> complex:
    """A value as a floating-point number."""
    return complex(float(value)) if isinstance(value, Fraction) else value


def value_at(text: str, point: Mapping[str, float]) -> Value | None:
    r"""The value of an expression; None if it can't be read, or has none there.

    Args:
        text: In LaTeX.
        point: The values of its unknowns.

    >>> value_at(r"\frac{x}{3} + 2^{-1}", {"x": 3}), value_at("9^{9^{9^9}}", {}), value_at("(", {})
    ((1.5+0j), None, None)
    """
    try:
        found = _Reader(text, point).whole()
        is_finite = isinstance(found, Fraction) or cmath.isfinite(found)
        return found if is_finite else None
    except (_Unreadable, ArithmeticError, ValueError):
        return None


class _Unreadable(Exception):
    pass


_FUNCTIONS: Final[Mapping[str, Callable[[complex], complex]]] = {
    "\\sin": cmath.sin,
    "\\cos": cmath.cos,
    "\\tan": cmath.tan,
    "\\ln": cmath.log,
    "\\log": cmath.log10,
    "\\exp": cmath.exp,
    "\\arcsin": cmath.asin,
    "\\arccos": cmath.acos,
    "\\arctan": cmath.atan,
}


class _Reader:
    """A recursive-descent parser that evaluates as it reads. Time is linear in the text, depth is bounded."""

    def __init__(self, text: str, point: Mapping[str, float]):
        self._tokens = [next(filter(None, found)) for found in _TOKEN.findall(text[:MAX_CHARS].rstrip())]
        self._at = 0
        self._depth = 0
        self._point = point

    def whole(self) -> Value:
        found = self._sum()
        if self._at < len(self._tokens):
            raise _Unreadable
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise _Unreadable

    def _sum(self) -> Value:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Unreadable
        total: Value = Fraction(0)
        sign, is_first = 1, True
        while is_first or self._peek() in ("+", "-"):
            sign = 1
            while self._peek() in ("+", "-"):
                sign = -sign if self._next() == "-" else sign
            total = _add(total, _multiply(Fraction(sign), self._product()))
            is_first = False
        self._depth -= 1
        return total

    def _product(self) -> Value:
        total = self._power()
        while True:
            token = self._peek()
            if token in ("*", "/", "\\div"):
                self._next()
                sign = -1 if self._peek() == "-" and self._next() else 1
                factor = _multiply(Fraction(sign), self._power())
                total = _multiply(total, factor) if token == "*" else _divide(total, factor)
            elif token and (
                token[0].isalnum() or token == "(" or (token[0] == "\\" and token not in BRACKETS.values())
            ):
                total = _multiply(total, self._power())  # 2x, 2(x+1), 2\sqrt{2}
            else:
                return total

    def _power(self) -> Value:
        base = self._atom()
        while self._peek() == "!":
            self._next()
            base = _factorial(base)
        if self._peek() != "^":
            return base
        self._next()
        return _raise(base, self._argument())

    def _argument(self) -> Value:
        """What a command takes: a group, or one character."""
        if self._peek() == "{":
            return self._group("{", "}")
        token = self._peek()
        if token[:1].isdigit() and len(token) > 1:  # \frac12 and x^23 take one digit
            self._tokens[self._at] = token[1:]
            return Fraction(token[0])
        return self._atom()

    def _group(self, opening: str, closing: str) -> Value:
        self._expect(opening)
        found = self._sum()
        self._expect(closing)
        return found

    def _atom(self) -> Value:
        token = self._peek()
        if token in ("(", "["):
            return self._group(token, BRACKETS[token])
        if token == "{":
            return self._group("{", "}")
        self._next()
        if token[:1].isdigit() or token[:1] == ".":
            return self._number(token)
        if token in self._point:
            return complex(self._point[token])
        if token in ("\\pi", "i"):
            return complex(math.pi) if token == "\\pi" else 1j
        if token == "\\frac":
            return _divide(self._argument(), self._argument())
        if token == "\\sqrt":
            degree = self._group("[", "]") if self._peek() == "[" else Fraction(2)
            return _root(self._argument(), degree)
        if token in _FUNCTIONS:
            return self._function(token)
        raise _Unreadable

    def _number(self, token: str) -> Value:
        value = Fraction(token.rstrip("."))
        if self._peek() == "\\frac" and value.denominator == 1:  # 1\frac{1}{2} is a mixed number
            self._next()
            return _add(value, _divide(self._argument(), self._argument()))
        return value

    def _function(self, token: str) -> Value:
        base: Value | None = None
        if self._peek() == "_" and token == "\\log":
            self._next()
            base = self._argument()
        argument = self._argument() if self._peek() in ("{", "(") else self._power()
        if base is not None:
            return cmath.log(inexact(argument)) / cmath.log(inexact(base))
        return _FUNCTIONS[token](inexact(argument))


def _is_small(*values: Value) -> bool:
    return all(
        isinstance(value, Fraction) and max(value.numerator.bit_length(), value.denominator.bit_length()) <= _MAX_BITS
        for value in values
    )


def _add(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and _is_small(a, b):
        return a + b
    return inexact(a) + inexact(b)


def _multiply(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and _is_small(a, b):
        return a * b
    return inexact(a) * inexact(b)


def _divide(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and _is_small(a, b):
        return a / b
    return inexact(a) / inexact(b)


def _raise(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * bits <= _MAX_BITS:
            return base ** int(exponent)
    return inexact(base) ** inexact(exponent)


def _root(value: Value, degree: Value) -> Value:
    if isinstance(value, Fraction) and value < 0 and degree == 3:
        return -(inexact(-value) ** (1 / 3))
    return inexact(value) ** (1 / inexact(degree))


def _factorial(value: Value) -> Value:
    if isinstance(value, Fraction) and value.denominator == 1 and 0 <= value <= 200:
        return Fraction(math.factorial(int(value)))
    raise _Unreadable
