"""Checks whether a documentation agrees with its symbol and is worth keeping, as named verdicts.

Each verdict is True, False or None (not decidable from the syntax alone); `REASONS` has the rejection reason for each
False one. Agreement: documented names are parameters (for a class: its constructor's); if it documents some parameters,
it documents all; it mentions a result only if there is one, with the right type; it names only raised types that the
code can raise. Worth keeping: prose in the language's own form, not empty, not just the name, not cut off, not
repetitive, no chatter, within the length bounds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from transforms.documentation.facts import DocFacts, PythonStyle
from transforms.documentation.prose import (
    is_chatter,
    is_template,
    is_unfinished,
    reads_as_code,
    repeats_itself,
    repeats_name,
)
from transforms.documentation.types import types_agree
from transforms.symbols import Symbol

# verdict -> rejection reason, in the order in which they are checked
REASONS: Final[Mapping[str, str]] = {
    "not_empty": "empty_documentation",
    "no_chatter": "chatter",
    "is_prose": "code_for_documentation",
    "not_cut_off": "cut_off",
    "right_style": "wrong_form",
    "not_the_name": "repeats_the_name",
    "length_in_bounds": "length_out_of_bounds",
    "not_repeating": "repeats_itself",
    "no_invented_parameter": "invented_parameter",
    "no_missing_parameter": "missing_parameter",
    "result_agrees": "result_disagrees",
    "raises_agree": "raises_disagree",
}

# Claims of a text, which the syntax alone can't always decide (a called function may raise anything): they reject a
# text that the code contradicts, and their null verdict is published. All other checks are required.
CLAIMS: Final = frozenset({"no_invented_parameter", "no_missing_parameter", "result_agrees", "raises_agree"})
REQUIRED: Final = tuple(check for check in REASONS if check not in CLAIMS)

_MIN_LETTERS = 3
# Types raised without being named, by `d[k]`, `a.b`, `a / b`, loops, imports and assertions.
_OPERATORS = re.compile(r"[\[.+*/%<>-]|\b(?:assert|import|for|with|yield|as)\b")
_OPERATOR_FAULTS = """
    KeyError IndexError LookupError TypeError AttributeError ZeroDivisionError ArithmeticError OverflowError ValueError
    AssertionError StopIteration StopAsyncIteration NameError ImportError ModuleNotFoundError RuntimeError RangeError
    ReferenceError NullPointerException ArithmeticException IndexOutOfBoundsException ArrayIndexOutOfBoundsException
    ClassCastException NullReferenceException InvalidCastException DivideByZeroException IndexOutOfRangeException
"""
_BY_OPERATORS = frozenset(_OPERATOR_FAULTS.split())


@dataclass(frozen=True, kw_only=True)
class DocBounds:
    """Bounds on a documentation's length, in characters of its plain text."""

    min_chars: int = 8
    max_chars: int = 4000


def verify(
    symbol: Symbol,
    facts: DocFacts,
    grammar: str,
    *,
    body: str,
    was_cut: bool,
    style: PythonStyle | None = None,
    bounds: DocBounds = DocBounds(),
) -> dict[str, bool | None]:
    """Checks the claims of a documentation.

    Args:
        symbol: The symbol that it documents.
        facts: Its claims (`read_facts`).
        grammar: The language.
        body: The symbol's code.
        was_cut: Whether generation stopped at its token limit.
        style: The required Python style; None accepts any one.
        bounds: Length limits.
    """
    text = facts.prose
    return {
        "not_empty": sum(c.isalpha() for c in text) >= _MIN_LETTERS and not is_template(text),
        "no_chatter": not is_chatter(text),
        "is_prose": not reads_as_code(text, grammar),
        "not_cut_off": not was_cut and not is_unfinished(text),
        "right_style": not facts.mixed_styles
        and not facts.foreign_form
        and not facts.is_broken
        and (style is None or facts.style in (None, style)),
        "length_in_bounds": bounds.min_chars <= len(text) <= bounds.max_chars,
        "not_the_name": not repeats_name(symbol.name, text),
        "not_repeating": not repeats_itself(text),
        **_parameter_verdicts(symbol, facts),
        "result_agrees": _result_agrees(symbol, facts, grammar),
        "raises_agree": _raises_agree(symbol, facts, body),
    }


def explain(
    check: str, symbol: Symbol, facts: DocFacts, *, style: PythonStyle | None = None, bounds: DocBounds = DocBounds()
) -> str:
    """A one-line explanation of a failed check; it quotes neither code nor text. "" if the reason is sufficient.

    Args:
        check: A key of `REASONS`.
        symbol, facts, style, bounds: As for `verify`.
    """
    real = symbol.constructor if symbol.constructor is not None else symbol.parameters
    known = {parameter.name for parameter in real} | set(symbol.type_parameters)
    match check:
        case "no_invented_parameter":
            invented = [name for name in facts.parameters if name not in known]
            return (
                f"{len(invented)} of {len(facts.parameters)} documented names are not among the {len(real)} parameters"
            )
        case "no_missing_parameter":
            missing = {parameter.name for parameter in real} - set(facts.parameters)
            return f"{len(missing)} of {len(real)} parameters are not documented, although others are"
        case "length_in_bounds":
            return f"{len(facts.prose)} characters, allowed: {bounds.min_chars} to {bounds.max_chars}"
        case "result_agrees":
            return (
                "documents another result type" if symbol.returns_value else "documents a result, the code returns none"
            )
        case "raises_agree":
            return f"{len(set(facts.raises) - set(symbol.raises))} documented exceptions that the code does not raise"
        case "right_style":
            if facts.foreign_form:
                return f"{facts.foreign_form} are not this language's documentation format"
            if facts.is_broken:
                return "its sections or tags can't be parsed: section content must be indented, XML must be well-formed"
            return (
                "sections in two styles" if facts.mixed_styles else f"sections in {facts.style} style, not in {style}"
            )
    return ""


def _parameter_verdicts(symbol: Symbol, facts: DocFacts) -> dict[str, bool | None]:
    if symbol.kind in ("class", "module"):
        # Attributes may be described as parameters; only a constructor's own list can be checked against the text.
        if not symbol.constructor:
            return {"no_invented_parameter": None, "no_missing_parameter": None}
        real = [parameter.name for parameter in symbol.constructor]
    else:
        real = [parameter.name for parameter in symbol.parameters]
    has_pattern = "" in real
    named = {name for name in real if name}
    allowed = named | set(symbol.type_parameters)
    invented = [name for name in facts.parameters if name not in allowed]
    if has_pattern:  # a destructured parameter may have any name, once each
        invented = invented[real.count("") :]
    wanted = {name for name in named if not name.startswith("_")}
    is_complete = wanted <= set(facts.parameters) if facts.parameters else True
    return {"no_invented_parameter": not invented, "no_missing_parameter": is_complete}


def _result_agrees(symbol: Symbol, facts: DocFacts, grammar: str) -> bool | None:
    if symbol.kind not in ("function", "method"):
        return None
    if symbol.returns_value is False:
        return not facts.has_result
    if facts.result_type and symbol.result_types and not symbol.yields:
        agree = types_agree(facts.result_type, symbol.result_types, grammar)
        if agree is not None:
            return agree
    return symbol.returns_value


def _raises_agree(symbol: Symbol, facts: DocFacts, body: str) -> bool | None:
    if symbol.kind not in ("function", "method"):
        return None
    unknown = set(facts.raises) - set(symbol.raises)
    if not unknown:
        return True
    # A called function may raise anything, an operator its own types, and a contract binds those who fulfill it.
    if symbol.has_calls or symbol.returns_value is None or (unknown <= _BY_OPERATORS and _OPERATORS.search(body)):
        return None
    return False
