"""Compares the claims of a documentation with its symbol: parameters, types, defaults, result, what is raised.

Each verdict is True, False, or None where the syntax alone can't decide.
"""

from __future__ import annotations

import re
from typing import Final

from transforms.documentation.defaults import defaults_agree
from transforms.documentation.facts import DocFacts
from transforms.documentation.types import is_no_generator, types_agree
from transforms.symbols import Parameter, Symbol

# Types raised without being named, by `d[k]`, `a.b`, `a / b`, loops, imports and assertions.
_OPERATORS = re.compile(r"[\[.+*/%<>-]|\b(?:assert|import|for|with|yield|as)\b")
_OPERATOR_FAULTS = """
    KeyError IndexError LookupError TypeError AttributeError ZeroDivisionError ArithmeticError OverflowError ValueError
    AssertionError StopIteration StopAsyncIteration NameError ImportError ModuleNotFoundError RuntimeError RangeError
    ReferenceError NullPointerException ArithmeticException IndexOutOfBoundsException ArrayIndexOutOfBoundsException
    ClassCastException NullReferenceException InvalidCastException DivideByZeroException IndexOutOfRangeException
"""
_BY_OPERATORS = frozenset(_OPERATOR_FAULTS.split())
# Rust's results that hold no error: a signed number may be a code of one.
_NO_ERROR: Final = re.compile(
    r"&?(?:'\w+ )?(?:mut )?(?:u(?:8|16|32|64|128|size)|f32|f64|bool|char|str|String)|Option<(?!.*Result\b).*>"
)
# Rust's operators that may panic: indices, arithmetic, and shifts by something that is no number.
_MAY_PANIC: Final = re.compile(r"[\[+*/%-]|<<|>>(?!=?\s*\d)")
_RUST_COMMENT: Final = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
# Languages in which a declaration repeats or omits what another one says: virtual functions, JSDoc's own types.
_TYPED: Final = ("python", "javascript", "typescript", "tsx")
_LITERAL_TYPES: Final = (
    (re.compile(r"[-+]?\d[\d_]*"), "int", "number"),
    (re.compile(r"[-+]?\d[\d_]*\.\d*"), "float", "number"),
    (re.compile(r"(['\"]).*\1", re.S), "str", "string"),
)


# Python: `**options`
_KEYWORDS: Final = re.compile(r"\*\*\s*(\w+)")


def parameters_of(symbol: Symbol) -> tuple[Parameter, ...]:
    """The parameters that documentation may describe: a class's are its constructor's."""
    return symbol.constructor if symbol.constructor is not None else symbol.parameters


def parameter_verdicts(symbol: Symbol, facts: DocFacts, grammar: str, header: str = "") -> dict[str, bool | None]:
    """Whether all documented names are parameters, all parameters are documented, and types and defaults agree.

    Args:
        symbol: The symbol that is documented.
        facts: The documentation's claims.
        grammar: The language.
        header: Python: the code that declares the parameters, in which those with two stars take any name.
    """
    names = _type_parameters_exist(symbol, facts, grammar)
    if symbol.kind in ("class", "module") and not symbol.constructor:
        # Attributes may be described as parameters; only a constructor's own list can be checked against the text.
        return {
            "no_invented_parameter": False if names is False else None,
            "no_missing_parameter": None,
            "parameter_types_agree": None,
            "defaults_agree": None,
        }
    real = parameters_of(symbol)
    patterns = sum(not parameter.name for parameter in real)
    named = {parameter.name.lstrip("@") for parameter in real if parameter.name}
    invented = [name for name in facts.parameters if name not in named and name not in symbol.type_parameters]
    invented = invented[patterns:]  # a destructured parameter may have any name, once each
    documented = set(facts.parameters) - set(symbol.type_parameters)
    # What takes the arguments that are left need not be documented; a mapping of them may be, by its names.
    left = {parameter.name for parameter in real if parameter.takes_several}
    wanted = {name for name in named if not name.startswith("_")} - facts.mentioned - left
    takes_any = grammar == "python" and bool(left & set(_KEYWORDS.findall(header)))
    no_invented = None if invented and takes_any else not invented
    return {
        "no_invented_parameter": False if names is False else no_invented,
        "no_missing_parameter": wanted <= documented if documented else True,
        "parameter_types_agree": _parameter_types_agree(real, facts, grammar),
        "defaults_agree": _defaults_agree(real, facts, grammar),
    }


def _type_parameters_exist(symbol: Symbol, facts: DocFacts, grammar: str) -> bool | None:
    if not facts.type_parameters or grammar == "javascript":  # JSDoc's @template declares them
        return None
    if not symbol.type_parameters and grammar in ("c", "cpp"):  # those of its class
        return None
    return set(facts.type_parameters) <= set(symbol.type_parameters)


def _parameter_types_agree(real: tuple[Parameter, ...], facts: DocFacts, grammar: str) -> bool | None:
    if grammar not in _TYPED:
        return None
    verdicts = []
    for parameter in real:
        told = facts.parameter_types.get(parameter.name, "")
        known = parameter.type or _type_of_literal(parameter.default, grammar)
        if told and known and not told.lstrip("{").startswith(("...", "*")):
            verdicts.append(types_agree(told, [known], grammar))
    return _all(verdicts)


def _type_of_literal(default: str, grammar: str) -> str:
    """A number's or a text's type; "" for others: `None` and `False` often stand for another type."""
    if grammar in ("typescript", "tsx") and default in ("true", "false"):  # the compiler takes its type from it
        return "boolean"
    for pattern, python, other in _LITERAL_TYPES:
        if pattern.fullmatch(default):
            return python if grammar == "python" else other
    return ""


def _defaults_agree(real: tuple[Parameter, ...], facts: DocFacts, grammar: str) -> bool | None:
    verdicts = []
    for parameter in real:
        stated = facts.defaults.get(parameter.name.lstrip("@"))
        if stated is None:
            continue
        if parameter.default:
            verdicts.append(defaults_agree(stated, parameter.default))
        else:  # elsewhere a body, a declaration or an overridden function may give it
            is_required = grammar == "python" and not parameter.takes_several and "ptional" not in parameter.type
            verdicts.append(False if is_required and "none" not in parameter.type.lower() + stated.lower() else None)
    return _all(verdicts)


def _all(verdicts: list[bool | None]) -> bool | None:
    """False if one is, else None if nothing was comparable."""
    return False if False in verdicts else True if True in verdicts else None


def result_agrees(symbol: Symbol, facts: DocFacts, grammar: str) -> bool | None:
    """Whether a documented result exists and has the documented type."""
    if symbol.kind not in ("function", "method"):
        return None
    if symbol.returns_value is False:
        return not facts.has_result
    if symbol.yields:
        if facts.result_type and not symbol.is_decorated and is_no_generator(facts.result_type, grammar):
            return False
    elif facts.result_type and symbol.result_types:
        agree = types_agree(facts.result_type, symbol.result_types, grammar)
        if agree is not None:
            return agree
    return symbol.returns_value


def raises_agree(symbol: Symbol, facts: DocFacts, body: str, grammar: str) -> bool | None:
    """Whether the code can raise what the documentation says is raised."""
    if symbol.kind not in ("function", "method"):
        return None
    if grammar == "rust":
        return _rust_sections_agree(symbol, facts, body)
    unknown = set(facts.raises) - set(symbol.raises)
    if not unknown:
        return True
    # A called function may raise anything, an operator its own types, and a contract binds those who fulfill it.
    if symbol.has_calls or symbol.returns_value is None or (unknown <= _BY_OPERATORS and _OPERATORS.search(body)):
        return None
    return False


def _rust_sections_agree(symbol: Symbol, facts: DocFacts, body: str) -> bool | None:
    if not facts.sections:
        return True
    is_plain = symbol.returns_value is False or any(map(_NO_ERROR.fullmatch, symbol.result_types))
    if "errors" in facts.sections and is_plain:
        return False
    may_panic = symbol.has_calls or not body or _MAY_PANIC.search(_RUST_COMMENT.sub("", body)) is not None
    return None if may_panic or "panics" not in facts.sections else False
