"""Finds Python's symbols with Python's own parser, for files that it accepts and tree-sitter doesn't.

This affects about one file in a thousand of real code, where tree-sitter's error recovery drops existing definitions.
The fields are the same as in `find`; a test compares the two.
"""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Final

from transforms.symbols.symbol import Parameter, Symbol, SymbolKind, blanks_before, line_start

Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LITERALS: Final[dict[type[ast.expr], str]] = {
    ast.List: "list",
    ast.ListComp: "list",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Set: "set",
    ast.SetComp: "set",
    ast.Tuple: "tuple",
    ast.JoinedStr: "str",
}


def python_symbols(data: bytes) -> list[Symbol] | None:
    """Returns all symbols of a file, the module first, then in the order in which they start; None if Python can't
    parse it, or if it nests too deeply.

    Args:
        data: The file, in UTF-8.
    """
    text = data.decode("utf-8", "replace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.removeprefix("\ufeff"))
        places = _Places(data)
        found = [_symbol(places, node, path, inside) for node, path, inside in _definitions(tree, (), "module")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return [_module(places, tree), *sorted(found, key=lambda symbol: (symbol.start, -symbol.end))]


class _Places:
    """Converts the lines and columns (of UTF-8) of `ast` to byte offsets."""

    def __init__(self, data: bytes):
        self.data = data
        self._starts = [0, *(found.end() for found in re.finditer(rb"\r\n|\r|\n", data))]
        self._mark = 3 if data.startswith(b"\xef\xbb\xbf") else 0

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._offset(node.end_lineno, node.end_col_offset)

    def text(self, node: ast.expr | None) -> str:
        """A node as written, without brackets around it; "" for no node."""
        return "" if node is None else self.data[self.start(node) : self.end(node)].decode("utf-8", "replace")

    def outer_start(self, node: ast.stmt) -> int:
        """The start of a definition's first decorator, else of the statement itself."""
        decorators = getattr(node, "decorator_list", [])
        if not decorators:
            return self.start(node)
        first = self.start(decorators[0])
        return self.data.rfind(b"@", self._starts[bisect_right(self._starts, first) - 1], first)

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column + (self._mark if line == 1 else 0)


def _definitions(
    holder: ast.AST, path: tuple[str, ...], inside: str
) -> Iterator[tuple[Function | ast.ClassDef, tuple[str, ...], str]]:
    """Definitions with their enclosing names and the kind of the nearest enclosing one."""
    for node in ast.iter_child_nodes(holder):
        if isinstance(node, _DEFINITIONS):
            yield node, path, inside
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield from _definitions(node, (*path, node.name), kind)
        else:
            yield from _definitions(node, path, inside)


def _module(places: _Places, tree: ast.Module) -> Symbol:
    size = len(places.data)
    at = places.outer_start(tree.body[0]) if tree.body else size
    return Symbol(
        kind="module",
        name="",
        qualified_name="",
        start=0,
        end=size,
        body_start=at,
        body_end=size,
        doc=_docstring(places, tree.body[0]) if tree.body else None,
        insert_at=at,
        indent="",
    )


def _symbol(places: _Places, node: Function | ast.ClassDef, path: Sequence[str], inside: str) -> Symbol:
    data, first = places.data, node.body[0]
    at = places.outer_start(first)
    line = line_start(data, places.start(node))
    blanks = blanks_before(data, at)
    is_inline = blanks is None or line_start(data, at) == line
    if is_inline:
        own = data[line : places.start(node)]
        indent = own[: len(own) - len(own.lstrip(b" \t"))].decode()
        blanks = indent + ("\t" if "\t" in indent else "    ")
    is_function = not isinstance(node, ast.ClassDef)
    kind: SymbolKind = "class" if not is_function else "method" if inside == "class" else "function"
    assert blanks is not None
    return Symbol(
        kind=kind,
        name=node.name,
        qualified_name=".".join([*path, node.name]),
        start=places.outer_start(node),
        end=places.end(node),
        body_start=at,
        body_end=places.end(node),
        doc=_docstring(places, first),
        insert_at=at,
        indent=blanks,
        has_calls=_has_calls(node),
        is_inline_body=is_inline,
        is_decorated=bool(node.decorator_list),
        **(_facts(places, node, kind) if isinstance(node, Function) else {}),
    )


def _docstring(places: _Places, first: ast.stmt) -> tuple[int, int] | None:
    value = first.value if isinstance(first, ast.Expr) else None
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
        return None
    return places.start(value), places.end(value)


def _facts(places: _Places, node: Function, kind: SymbolKind) -> dict[str, Any]:
    own = list(_own_nodes(node.body))
    returned = [n.value for n in own if isinstance(n, ast.Return) and n.value is not None]
    yields = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in own)
    is_value = yields or any(not (isinstance(n, ast.Constant) and n.value is None) for n in returned)
    raised = [n.exc for n in own if isinstance(n, ast.Raise) and n.exc is not None]
    types = [_literal_type(value) for value in returned]
    declared = ast.unparse(node.returns) if node.returns is not None else ""
    return {
        "parameters": tuple(_parameters(places, node, kind)),
        "returns_value": True if is_value else None if _is_placeholder(node.body) else False,
        "yields": yields,
        "raises": tuple(dict.fromkeys(filter(None, map(_raised_name, raised)))),
        "result_types": (declared,) if declared else tuple(dict.fromkeys(types)) if all(types) and not yields else (),
    }


def _has_calls(node: Function | ast.ClassDef) -> bool:
    every = [n for statement in node.body for n in ast.walk(statement)]
    raised = [n.exc for n in every if isinstance(n, ast.Raise)]
    return any(isinstance(n, ast.Call | ast.Await) and n not in raised for n in every)


def _own_nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of a body that aren't in a definition or lambda within it, in file order."""
    for node in body:
        yield node
        if not isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            yield from _own_nodes(list(ast.iter_child_nodes(node)))


def _parameters(places: _Places, node: Function, kind: SymbolKind) -> list[Parameter]:
    a = node.args
    positional = [*a.posonlyargs, *a.args]
    defaults = [*[None] * (len(positional) - len(a.defaults)), *a.defaults]
    found = [_parameter(places, *item) for item in zip(positional, defaults, strict=True)]
    found += [Parameter(a.vararg.arg, takes_several=True)] if a.vararg else []
    found += [_parameter(places, *item) for item in zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    found += [Parameter(a.kwarg.arg, takes_several=True)] if a.kwarg else []
    is_static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    return found[1:] if kind == "method" and not is_static else found


def _parameter(places: _Places, argument: ast.arg, default: ast.expr | None) -> Parameter:
    return Parameter(argument.arg, places.text(argument.annotation), places.text(default))


def _raised_name(raised: ast.expr) -> str:
    name = raised.func if isinstance(raised, ast.Call) else raised
    text = name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""
    return text if text[:1].isupper() else ""


def _literal_type(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return "none" if value.value is None else type(value.value).__name__.replace("bytes", "")
    return _LITERALS.get(type(value), "")


def _is_placeholder(body: Sequence[ast.stmt]) -> bool:
    return all(
        isinstance(n, ast.Pass | ast.Raise) or (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
        for n in body
    )
