r"""Whether two answers in LaTeX are the same: as texts, part by part, or as values.

    \frac{1}{2}   0.5       the same value
    x^2 - 1       (x-1)(x+1)    the same value at several points
    (1, 2]        (1,2]     the same brackets, and the same parts
    \{1, 2\}      2, 1      the same parts in any order

Values come from a parser of our own: no text is ever executed, and no size follows a number in it. Rational numbers are
exact up to `_MAX_BITS` bits, all else is floating point, so a tower of powers overflows instead of growing; length and
depth are bounded. Two formulas that agree at all points to nine digits count as the same, which a computer algebra
system might deny. Where the known answer can't be read, the verdict is None.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

_MAX_CHARS: Final = 1_000
_MAX_DEPTH: Final = 40
_MAX_BITS: Final = 2_048
_CLOSE: Final = 1e-9
Value = Fraction | complex

# Taken out or replaced, in this order, before anything is compared.
_REPLACED: Final = (
    (r"\\(?:left|right|big|Big|bigg|Bigg)(?![a-zA-Z])", ""),
    (r"(?<!\\)\\[!,;:> ]|\\q?quad(?![a-zA-Z])|~", " "),
    (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
    (r"\\(?:cdot|times)(?![a-zA-Z])", "*"),
    (r"\^\s*(?:\\circ|\{\s*\\circ\s*\})(?![a-zA-Z])", ""),
    (r"\\?%|\\?\$", ""),
    (r"\\(?:text|mbox|textrm|textbf|mathrm)\s*\{([^{}]*)\}", r" \1 "),
    (r"(?<=\d),(?=\d{3}(?!\d))", ""),
)
_TOKEN: Final = re.compile(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)|(\\[a-zA-Z]+)|([a-zA-Z])|(.))", re.S)
_PAIRS: Final = {"(": ")", "[": "]", "\\{": "\\}"}
_UNITS: Final = re.compile(r"(?<=[\d}])\s+[a-zA-Z][a-zA-Z ]*(?:\^\s*\{?\d\}?)?\s*$")


def same_formula(answer: str, gold: str) -> bool | None:
    r"""Whether an answer is the known one.

    >>> same_formula(r"\dfrac12", "0.5"), same_formula("x+1", "1 + x"), same_formula("2", "3")
    (True, True, False)
    """
    answer, gold = _plain(answer), _plain(gold)
    if answer.replace(" ", "") == gold.replace(" ", ""):
        return True
    if len(gold) > _MAX_CHARS:
        return None
    if len(answer) > _MAX_CHARS or not answer:
        return False
    return _same_parts(answer, gold, _MAX_DEPTH)


def _plain(text: str) -> str:
    text = text[: 4 * _MAX_CHARS].strip().rstrip(".").strip()
    for pattern, replacement in _REPLACED:
        text = re.sub(pattern, replacement, text)
    text = " ".join(text.split())
    without_unit = _UNITS.sub("", text)
    return without_unit or text


def _same_parts(answer: str, gold: str, depth: int) -> bool | None:
    if not depth:
        return None
    for opening in _PAIRS:
        ours, theirs = _inside(answer, opening), _inside(gold, opening)
        if opening == "\\{" and (ours is not None or theirs is not None):
            return _same_set(ours if ours is not None else answer, theirs if theirs is not None else gold, depth)
    if "\\begin{" in gold or "\\begin{" in answer:
        return _same_matrix(answer, gold, depth)
    for word in ("\\cup", "\\text{or}", " or "):
        if word in gold or word in answer:
            return _same_all(answer.split(word), gold.split(word), depth, in_order=False)
    ours_interval, theirs_interval = _interval(answer), _interval(gold)
    if theirs_interval is not None:
        if ours_interval is None or ours_interval[0] != theirs_interval[0]:
            return False
        return _same_all(ours_interval[1], theirs_interval[1], depth, in_order=True)
    if len(_split(gold)) > 1 or len(_split(answer)) > 1:
        return _same_set(answer, gold, depth)
    if "=" in gold or "=" in answer:
        return _same_equation(answer, gold, depth)
    return _same_value(answer, gold)


def _same_set(answer: str, gold: str, depth: int) -> bool | None:
    return _same_all(_split(answer), _split(gold), depth, in_order=False)


def _same_all(answer: list[str], gold: list[str], depth: int, *, in_order: bool) -> bool | None:
    if len(answer) != len(gold) or len(gold) > 20:
        return False
    verdicts: list[bool | None] = []
    left = list(answer)
    for part in gold:
        tries = [_same_or_equal(one, part, depth - 1) for one in (left[:1] if in_order else left)]
        found = tries.index(True) if True in tries else 0
        verdicts.append(True if True in tries else None if None in tries else False)
        left.pop(found)
    return False if False in verdicts else None if None in verdicts else True


def _same_or_equal(answer: str, gold: str, depth: int) -> bool | None:
    if answer.replace(" ", "") == gold.replace(" ", ""):
        return True
    return _same_parts(answer.strip(), gold.strip(), depth)


def _same_matrix(answer: str, gold: str, depth: int) -> bool | None:
    entries = []
    for text in (answer, gold):
        found = re.fullmatch(r"\s*\\begin\{[a-z]*matrix\}(.*)\\end\{[a-z]*matrix\}\s*", text, re.S)
        if found is None:
            return False if text is answer else None
        entries.append([row.split("&") for row in found[1].strip().removesuffix("\\\\").split("\\\\")])
    ours, theirs = entries
    if [len(row) for row in ours] != [len(row) for row in theirs]:
        return False
    flat = [[cell.strip() for row in rows for cell in row] for rows in entries]
    return _same_all(flat[0], flat[1], depth, in_order=True)


def _same_equation(answer: str, gold: str, depth: int) -> bool | None:
    ours, theirs = answer.split("="), gold.split("=")
    if len(ours) == len(theirs) == 2:
        return _same_all(ours, theirs, depth, in_order=False)
    # One names what it has found (x = 3), the other doesn't.
    for sides in (ours, theirs):
        if len(sides) == 2 and re.fullmatch(r"\s*[a-zA-Z](?:\([a-z]\))?\s*", sides[0]):
            del sides[0]
    if len(ours) != 1 or len(theirs) != 1:
        return False
    return _same_or_equal(ours[0], theirs[0], depth - 1)


def _inside(text: str, opening: str) -> str | None:
    """What stands in a pair of brackets around the whole text; None if there is none."""
    closing = _PAIRS[opening]
    if not (text.startswith(opening) and text.endswith(closing)):
        return None
    return text[len(opening) : -len(closing)]


def _interval(text: str) -> tuple[str, list[str]] | None:
    """Brackets and parts of an interval, a point or a vector; None if it is none."""
    if len(text) < 2 or text[0] not in "([" or text[-1] not in ")]":
        return None
    depth = 0
    for char in text[1:-1]:
        depth += (char in "([{") - (char in ")]}")
        if depth < 0:  # (1,2),(3,4): the first bracket isn't the last one's
            return None
    parts = _split(text[1:-1])
    return (text[0] + text[-1], parts) if len(parts) > 1 else None


def _split(text: str) -> list[str]:
    """The parts between commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth <= 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def _same_value(answer: str, gold: str) -> bool | None:
    words = re.compile(r"[a-zA-Z][a-zA-Z ]+|[A-Z]|\([A-Z]\)")
    if words.fullmatch(gold):  # a name, or one of several choices
        return answer.replace(" ", "").strip("()").lower() == gold.replace(" ", "").strip("()").lower()
    unknowns = sorted(set(re.findall(r"(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z])", f"{answer} {gold}")) - {"i"})
    for number in range(3 if unknowns else 1):
        point = {name: 0.37 + 0.83 * number + 0.29 * place for place, name in enumerate(unknowns)}
        theirs = value_at(gold, point)
        if theirs is None:
            return None
        ours = value_at(answer, point)
        if ours is None or not _is_close(ours, theirs):
            return False
    return True


def _is_close(a: Value, b: Value) -> bool:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    return cmath.isclose(_inexact(a), _inexact(b), rel_tol=_CLOSE, abs_tol=_CLOSE * _CLOSE)


def _inexact(value: Value) -> complex:
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
        self._tokens = [next(filter(None, found)) for found in _TOKEN.findall(text[:_MAX_CHARS].rstrip())]
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
        if self._depth > _MAX_DEPTH:
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
            elif token and (token[0].isalnum() or token == "(" or (token[0] == "\\" and token not in _PAIRS.values())):
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
            return self._group(token, _PAIRS[token])
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
            return cmath.log(_inexact(argument)) / cmath.log(_inexact(base))
        return _FUNCTIONS[token](_inexact(argument))


def _is_small(*values: Value) -> bool:
    return all(
        isinstance(value, Fraction) and max(value.numerator.bit_length(), value.denominator.bit_length()) <= _MAX_BITS
        for value in values
    )


def _add(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and _is_small(a, b):
        return a + b
    return _inexact(a) + _inexact(b)


def _multiply(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and _is_small(a, b):
        return a * b
    return _inexact(a) * _inexact(b)


def _divide(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and _is_small(a, b):
        return a / b
    return _inexact(a) / _inexact(b)


def _raise(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * bits <= _MAX_BITS:
            return base ** int(exponent)
    return _inexact(base) ** _inexact(exponent)


def _root(value: Value, degree: Value) -> Value:
    if isinstance(value, Fraction) and value < 0 and degree == 3:
        return -(_inexact(-value) ** (1 / 3))
    return _inexact(value) ** (1 / _inexact(degree))


def _factorial(value: Value) -> Value:
    if isinstance(value, Fraction) and value.denominator == 1 and 0 <= value <= 200:
        return Fraction(math.factorial(int(value)))
    raise _Unreadable
