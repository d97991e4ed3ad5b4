"""A symbol: one thing that can have documentation, with what that documentation must agree with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SymbolKind = Literal["module", "class", "function", "method"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's name; "" where a pattern takes the argument apart."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Symbol:
    """One thing that can have documentation. Offsets are bytes of the file's UTF-8.

    Args:
        kind: `module`, `class`, `function` or `method`.
        name: Its own name; "" for the module.
        qualified_name: With the names around it, by dots.
        start, end: The definition with its decorators, export or template; documentation before it isn't in.
        body_start, body_end: What follows the signature; empty at `end` where there is no body.
        doc: Where its documentation stands, or None.
        insert_at: Where new documentation goes: for Python the first statement of the body, elsewhere the line that
            documentation is put above of, or the definition's own start within a line.
        indent: The blanks that begin the documentation's lines.
        parameters: In order; receivers left out.
        type_parameters: Names that documentation may describe too.
        returns_value: Whether a call gives a value; None where the syntax alone can't tell.
        yields: Whether it is a generator.
        raises: Names of types that its own body raises.
        result_types: Types of what it returns, as declared or told by literals; empty where neither tells.
        has_calls: Whether its body calls anything, so that types may be raised and things happen that it doesn't name.
        constructor: Classes: the parameters of the one constructor, receiver left out; None without one, or with more.
        is_inline_body: Python: the body stands on the line of the colon.
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


def line_start(data: bytes, offset: int) -> int:
    """Where the line of an offset begins."""
    return max(data.rfind(b"\n", 0, offset), data.rfind(b"\r", 0, offset)) + 1


def blanks_before(data: bytes, offset: int) -> str | None:
    """The blanks between the line's start and `offset`; None where something else stands there."""
    before = data[line_start(data, offset) : offset].removeprefix(b"\xef\xbb\xbf")  # a byte order mark is no code
    return before.decode() if not before.strip(b" \t\f") else None
