"""A symbol: one definition that can have documentation, with the facts that the documentation must agree with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SymbolKind = Literal["module", "class", "function", "method"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as it is declared.

    Args:
        name: Its name; "" if a pattern destructures the argument.
        type: Its type as written; "" if it declares none, or takes several arguments.
        default: Its default as written; "" for none.
        takes_several: Whether it takes any number of arguments (`*rest`).
    """

    name: str
    type: str = ""
    default: str = ""
    takes_several: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Symbol:
    """One definition that can have documentation. Offsets are bytes of the file's UTF-8.

    Args:
        kind: `module`, `class`, `function` or `method`.
        name: Its own name; "" for the module.
        qualified_name: Its name with those of the enclosing definitions, separated by dots.
        start, end: The definition with its decorators, export or template; documentation before it is excluded.
        body_start, body_end: The range after the signature; empty at `end` if there is no body.
        doc: The span of its documentation, or None.
        insert_at: Where new documentation is inserted: for Python the first statement of the body, in other languages
            the line above which it goes, or the definition's own start within a line.
        indent: The whitespace that starts the documentation's lines.
        parameters: In order, without receivers.
        type_parameters: Names that documentation may describe too.
        returns_value: Whether a call returns a value; None if the syntax alone can't decide.
        yields: Whether it is a generator.
        raises: Names of types that its own body raises.
        result_types: Types of its result, as declared or implied by literals; empty if unknown.
        has_calls: Whether its body calls anything, so that other types may be raised and other effects may occur.
        constructor: Classes: the parameters of the only constructor, without receiver; None without one, or with
            several.
        is_inline_body: Python: whether the body is on the line of the colon.
        is_decorated: Python: whether decorators may replace it, and so its result.
    """

    kind: SymbolKind
    name: str
    qualified_name: str
    start: int
    end: int
    body_start: int
    body_end: int
    doc: tuple[int, int] | None
    insert_at: int
    indent: str
    parameters: tuple[Parameter, ...] = ()
    type_parameters: tuple[str, ...] = ()
    returns_value: bool | None = None
    yields: bool = False
    raises: tuple[str, ...] = ()
    result_types: tuple[str, ...] = ()
    has_calls: bool = True
    constructor: tuple[Parameter, ...] | None = None
    is_inline_body: bool = False
    is_decorated: bool = False


def line_start(data: bytes, offset: int) -> int:
    """The start of the line that contains an offset."""
    return max(data.rfind(b"\n", 0, offset), data.rfind(b"\r", 0, offset)) + 1


def blanks_before(data: bytes, offset: int) -> str | None:
    """The whitespace between the line's start and `offset`; None if anything else is there."""
    before = data[line_start(data, offset) : offset].removeprefix(b"\xef\xbb\xbf")  # a byte order mark is not code
    return before.decode() if not before.strip(b" \t\f") else None
