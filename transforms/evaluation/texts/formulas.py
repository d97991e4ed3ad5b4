r"""Whether two answers in LaTeX are the same: as texts, part by part, or as values.

    \frac{1}{2}   0.5           the same value
    x^2 - 1       (x-1)(x+1)    the same value at several points
    (1, 2]        (1,2]         the same brackets, and the same parts
    \{1, 2\}      2, 1          the same parts in any order

Values come from a parser of our own (`transforms.evaluation.texts.values`), whose work is bounded. Two formulas that
agree at all points to nine digits count as the same, which a computer algebra system might deny. Where the known answer
can't be read, the verdict is None.
"""

from __future__ import annotations

import cmath
import re
from fractions import Fraction
from typing import Final

from transforms.evaluation.texts.values import BRACKETS, MAX_CHARS, MAX_DEPTH, Value, inexact, value_at

_CLOSE: Final = 1e-9

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
_UNITS: Final = re.compile(r"(?<=[\d}])\s+[a-zA-Z][a-zA-Z ]*(?:\^\s*\{?\d\}?)?\s*$")


def same_formula(answer: str, gold: str) -> bool | None:
    r"""Whether an answer is the known one.

    >>> same_formula(r"\dfrac12", "0.5"), same_formula("x+1", "1 + x"), same_formula("2", "3")
    (True, True, False)
    """
    answer, gold = _plain(answer), _plain(gold)
    if answer.replace(" ", "") == gold.replace(" ", ""):
        return True
    if len(gold) > MAX_CHARS:
        return None
    if len(answer) > MAX_CHARS or not answer:
        return False
    return _same_parts(answer, gold, MAX_DEPTH)


def _plain(text: str) -> str:
    text = text[: 4 * MAX_CHARS].strip().rstrip(".").strip()
    for pattern, replacement in _REPLACED:
        text = re.sub(pattern, replacement, text)
    text = " ".join(text.split())
    without_unit = _UNITS.sub("", text)
    return without_unit or text


def _same_parts(answer: str, gold: str, depth: int) -> bool | None:
    if not depth:
        return None
    for opening in BRACKETS:
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
    closing = BRACKETS[opening]
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
    return cmath.isclose(inexact(a), inexact(b), rel_tol=_CLOSE, abs_tol=_CLOSE * _CLOSE)
