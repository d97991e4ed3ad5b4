"""Whether a body stays within its place: the file parses with it, and it is still the body of the same function."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import Final

import tree_sitter

from transforms.bodies.holes import BodyHole
from transforms.languages.parsing import compiles, parses_as_before
from transforms.languages.syntax import Source, parse
from transforms.symbols import Symbol
from transforms.symbols.find import item_span

# A larger file isn't parsed again for each of its functions, only the item that contains the function.
WHOLE_FILE_BYTES: Final = 16_000


def body_parses(source: Source, symbol: Symbol, hole: BodyHole, body: str) -> bool | None:
    """Whether the file is as sound with a new body: in Python whether it compiles (if the file itself doesn't, whether
    the function does), in other languages whether there are no more syntax errors than before.
    """
    data = source.data
    changed = data[: hole.start] + body.encode() + data[hole.end :]
    if len(data) <= WHOLE_FILE_BYTES:
        verdict = parses_as_before(changed.decode(), data.decode(), source.grammar)
        if verdict is not None or source.grammar != "python":
            return verdict
    elif source.grammar != "python":
        start, end = item_span(source, symbol)
        grown = len(changed) - len(data)
        return parses_as_before(changed[start : end + grown].decode(), data[start:end].decode(), source.grammar)
    alone = _python_alone(changed, symbol, len(changed) - len(data))
    verdict = compiles(alone)
    if verdict is False and "nonlocal" in alone:  # its names are bound in the enclosing functions
        return parses_as_before(changed.decode(), data.decode(), source.grammar)
    return verdict


@dataclass(frozen=True, slots=True)
class Placed:
    """A body in its place: the top-level item with it, and its node there; the item's start in the file, in bytes."""

    item: Source
    block: tree_sitter.Node
    start: int


def keeps_python_function(source: Source, symbol: Symbol, hole: BodyHole, body: str) -> bool | None:
    """Whether, with a new body, a Python function is still one function of the same name and signature, so that no code
    was added outside it. None if the definition didn't parse before.
    """
    changed = source.data[: hole.start] + body.encode() + source.data[hole.end :]
    grown = len(changed) - len(source.data)
    before, after = (_python_signature(_python_alone(d, symbol, g)) for d, g in ((source.data, 0), (changed, grown)))
    return None if before is None else before == after


def placed_body(source: Source, symbol: Symbol, hole: BodyHole, body: str) -> Placed | bool | None:
    """A new body in its function; false if the function doesn't end where the body ends, because code was added outside
    it. None if the parser gives up. Not for Python.
    """
    data = source.data
    changed = data[: hole.start] + body.encode() + data[hole.end :]
    grown = len(changed) - len(data)
    start, end = item_span(source, symbol)
    item = parse(changed[start : end + grown], source.grammar)
    if item is None:
        return None
    # The content of the brackets must be one block as before: `{ ... } function g() { ... }` is not.
    old = block_at(source, symbol.body_start, symbol.body_end)
    new = block_at(item, symbol.body_start - start, symbol.body_end - start + grown)
    if old is None or new is None or old.type != new.type or new.has_error:
        return False
    return Placed(item, new, start)


def block_at(source: Source, start: int, end: int) -> tree_sitter.Node | None:
    """The innermost node with exactly this range of bytes."""
    node = source.tree.root_node.descendant_for_byte_range(start, end - 1)
    while node is not None and node.start_byte >= start and node.end_byte <= end:
        if (node.start_byte, node.end_byte) == (start, end):
            return node
        node = node.parent
    return None


def _python_alone(data: bytes, symbol: Symbol, grown: int) -> str:
    """The definition's own lines, wrapped in an `if` if they are indented."""
    start = data.rfind(b"\n", 0, symbol.start) + 1
    is_first = not data[start : symbol.start].strip()
    text = data[start if is_first else symbol.start : symbol.end + grown].decode()
    return "if True:\n" + text if text[:1] in (" ", "\t", "\f") else text


def _python_signature(text: str) -> str | None:
    """The definition without its body; None if there isn't exactly one definition."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if text.startswith("if True:\n") and len(found) == 1 and isinstance(found[0], ast.If):
        found = found[0].body
    if len(found) != 1 or not isinstance(found[0], ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    found[0].body = []
    try:
        return ast.dump(found[0])
    except RecursionError:
        return None
