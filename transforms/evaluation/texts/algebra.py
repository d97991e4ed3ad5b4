"""Compares formulas with math-verify and sympy, without any limits: only `transforms.bounded`'s child does that."""

from __future__ import annotations

import logging
from typing import Any, Final

try:
    from math_verify import LatexExtractionConfig, parse, verify
    from sympy import Expr, I
except (
    ImportError
):  # the extra codemill[math] isn't installed, which `formulas.check_comparing` tells before a job starts
    LatexExtractionConfig = None


# Math-verify's own 6 take 0.333333 for a third; sympy evaluates to 15.
_FLOAT_DIGITS: Final = 12


def same_here(answer: str, gold: str) -> bool | None:
    """Whether an answer is the known one, in whatever time and memory it takes.

    Args:
        answer: In LaTeX.
        gold: The known answer.

    Returns:
        The verdict; None if the known answer isn't a formula that can be read, nor the same text.
    """
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    known, found = _read(gold), _read(answer)
    if verify(known, found, float_rounding=_FLOAT_DIGITS, timeout_seconds=None):
        return True
    # It compares an unknown or a fraction by its form: 2x/2 isn't x before it is evaluated.
    if verify(_evaluated(known), _evaluated(found), float_rounding=_FLOAT_DIGITS, timeout_seconds=None):
        return True
    return False if any(not isinstance(one, str) for one in known) else None


def _read(text: str) -> list[Any]:
    """What a text is, as expressions; behind them, itself in a normal form.

    The limits are the child's, in processor time, so math-verify's alarms are off. Its other way to read, as Python
    (`ExprExtractionConfig`), isn't used: sympy evaluates such texts.
    """
    found = parse(
        rf"\boxed{{{text}}}",
        [LatexExtractionConfig(boxed_match_priority=0)],
        extraction_mode="first_match",
        parsing_timeout=None,
    )
    return [_with_imaginary_unit(one) for one in found]


def _evaluated(found: list[Any]) -> list[Any]:
    try:
        return [one.doit() if isinstance(one, Expr) else one for one in found]
    except (ArithmeticError, AttributeError, NotImplementedError, TypeError, ValueError):
        return found  # what sympy can't evaluate was compared as it is


def _with_imaginary_unit(found: Any) -> Any:
    """Takes the letter i as the imaginary unit, which math-verify reads as an unknown."""
    if not isinstance(found, Expr):
        return found
    return found.xreplace({symbol: I for symbol in found.free_symbols if str(symbol) == "i"})
