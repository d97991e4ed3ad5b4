r"""Whether two answers in LaTeX are the same: as texts, else by math-verify, in a child process with limits.

    \frac{1}{2}   0.5           the same value
    x^2 - 1       (x-1)(x+1)    the same expression
    (1, 2]        (1,2]         the same interval
    \{1, 2\}      2, 1          the same set

math-verify parses LaTeX and compares with sympy, which bounds neither time nor memory: 9^{9^9} takes all of both.
It also takes some answers for the same that aren't: without their brackets, with elements repeated, without their base.
No option of it changes that (`strict`, its strictest, is on), so these are told from the texts before it is asked.

So it runs in `transforms.bounded`'s child (`texts.algebra`), as the extra `codemill[math]`. An answer that exceeds the
limits hasn't been shown to be right, as a program that runs out of time. Where the known answer can't be read, or
exceeds them itself, the verdict is None. Cost: a second for the first formula, then about 20 ms each.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from typing import Final

from model.errors import ConfigError
from transforms import bounded

MAX_CHARS: Final = 1_000
_BASE: Final = re.compile(r"\d\s*_\s*\{?\s*(\d+)")
_DECIMAL: Final = "10"
# A pair or interval at the beginning or behind a comma, a sign of equality or an operator of sets; no argument list.
# Brackets in its elements may be one deep.
_ELEMENT: Final = r"(?:[^()\[\]]|[(\[][^()\[\]]*[)\]])*"
_TUPLE: Final = re.compile(rf"(?:^|[,=]|\\cup|\\cap|\\in)\s*(?:\\left)?\s*[(\[]{_ELEMENT},{_ELEMENT}[)\]]")
# 1,000,000, which is no list; math-verify reads it so as well.
_GROUPED: Final = re.compile(r"(?<![\d,])\d{1,3}(?:,\d{3})+(?![\d,])")
CPU_S: Final = 5.0
"""Processor seconds for one comparison; math-verify's own limit, in seconds of wall time, is the same."""


@functools.cache
def check_comparing() -> None:
    """Compares two formulas, to see that it can be done. Raises ConfigError if it can't."""
    if importlib.util.find_spec("math_verify") is None:
        raise ConfigError("comparing formulas needs math-verify, which isn't installed; pip install 'codemill[math]'")
    try:
        works = bounded.call("same_formula", (r"\frac{1}{2}", "0.5"), cpu_s=CPU_S) is True
    except bounded.LimitExceeded:
        works = False
    if not works:
        raise ConfigError("math-verify is installed but doesn't work; pip install --force-reinstall 'codemill[math]'")


def same_formula(answer: str, gold: str) -> bool | None:
    r"""Whether an answer is the known one; None if that can't be told.

    Args:
        answer: In LaTeX.
        gold: The known answer; the comparison isn't symmetric (`x = 5` is the known `5`).

    Raises:
        ConfigError: Formulas can't be compared here.

    >>> same_formula("x + 1", "x+1"), same_formula("", "2")
    (True, False)
    """
    if "".join(answer.split()) == "".join(gold.split()):
        return True
    if len(gold) > MAX_CHARS:
        return None
    if len(answer) > MAX_CHARS or not answer.strip() or _are_of_other_forms(answer, gold):
        return False
    check_comparing()
    try:
        return _compared(answer, gold)
    except bounded.LimitExceeded:
        return False if _is_within_limits(gold) else None


def _are_of_other_forms(answer: str, gold: str) -> bool:
    """Whether the texts differ in what math-verify passes over: 101 and 101_2, 1,2 and (1,2), 1,1 and 1.

    >>> _are_of_other_forms("1,2", "(1,2)"), _are_of_other_forms("2, 1", "1,2")
    (True, False)
    """
    if _bases(answer) != _bases(gold):
        return True
    forms = [_TUPLE.search(text) is not None for text in (answer, gold)]
    if forms[0] != forms[1] and "," in answer and "," in gold:
        return True
    return _repeated(answer) != _repeated(gold)


def _bases(text: str) -> list[str]:
    return [base for base in _BASE.findall(text) if base != _DECIMAL]


def _repeated(text: str) -> int:
    """How many elements of a list are written twice."""
    text = _GROUPED.sub(lambda number: number[0].replace(",", ""), text)
    parts = ["".join(part.split()) for part in _elements(text)]
    return len(parts) - len(set(parts))


def _elements(text: str) -> list[str]:
    """The text at its commas outside of brackets; sets without their braces."""
    text = text.strip().removeprefix("\\{").removesuffix("\\}")
    parts, depth, begin = [], 0, 0
    for place, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth <= 0:
            parts.append(text[begin:place])
            begin = place + 1
    return [*parts, text[begin:]]


def _is_within_limits(gold: str) -> bool:
    try:
        return _compared("0", gold) is not None
    except bounded.LimitExceeded:
        return False


def _compared(answer: str, gold: str) -> bool | None:
    verdict: bool | None = bounded.call("same_formula", (answer, gold), cpu_s=CPU_S)
    return verdict
