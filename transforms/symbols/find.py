"""Finds symbols: definitions by one query, names by their enclosing definitions, and the place of their documentation
by `transforms.symbols.places`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import tree_sitter

from transforms.languages.syntax import Source, captures
from transforms.symbols.grammars import SYMBOL_GRAMMARS, SymbolGrammar, symbol_query
from transforms.symbols.parameters import declared_parameters
from transforms.symbols.places import place_before, place_in_body, place_in_module, place_of_file
from transforms.symbols.python_ast import python_symbols
from transforms.symbols.signatures import Signatures
from transforms.symbols.symbol import Symbol, SymbolKind, line_start

Node = tree_sitter.Node


def find_symbols(source: Source, *, facts: bool = True) -> list[Symbol]:
    """Returns all symbols of a file, the module first, then in the order in which they start.

    Without `facts`, of each only its kind, names and places are read, which takes half the time.

    A file in which tree-sitter finds an error, but Python doesn't, is read by Python's own parser. Otherwise a
    definition with a syntax error in its signature or body is omitted, because its documentation could not be checked.
    Returns an empty list for languages without a symbol grammar.
    """
    spec = SYMBOL_GRAMMARS.get(source.grammar)
    if spec is None:
        return []
    if source.grammar == "python" and source.tree.root_node.has_error:
        by_python = python_symbols(source.data)
        if by_python is not None:
            return _with_constructors(by_python)
    signatures = Signatures(source)
    symbols = []
    scopes: list[tuple[int, str, str]] = []  # (end, kind, name) of the definitions around the current one
    for node, kind in _definitions(source):
        while scopes and scopes[-1][0] <= node.start_byte:
            scopes.pop()
        name = signatures.name_of(node)
        if not name:
            continue
        own_scope = signatures.scope_of(node)
        is_method = kind == "function" and (bool(own_scope) or (bool(scopes) and scopes[-1][1] != "function"))
        path = ".".join([scope[2] for scope in scopes] + [own_scope] * bool(own_scope) + [name])
        scopes.append((node.end_byte, kind, name))
        if node.has_error or kind == "scope":
            continue
        symbol_kind: SymbolKind = "class" if kind == "class" else "method" if is_method else "function"
        found = _place_of(source, spec, signatures, node, symbol_kind, name, path)
        symbols.append(_with_facts(found, source, spec, signatures, node) if facts else found)
    symbols = _with_constructors(symbols) if facts else symbols
    module = _module(source, spec, symbols)
    return [module, *symbols] if module is not None else symbols


def _definitions(source: Source) -> list[tuple[Node, str]]:
    """The nodes of symbols and scopes with their kinds, in the order in which they start, outer ones first."""
    found = captures(source, symbol_query(source.grammar))
    definitions = [(node, kind) for kind in ("class", "scope", "function") for node in found.get(kind, ())]
    definitions = [(node, kind) for node, kind in definitions if not _is_local_variable(node)]
    return sorted(definitions, key=lambda item: (item[0].start_byte, -item[0].end_byte))


def _is_local_variable(node: Node) -> bool:
    """C++: `Lock lock(mutex);` in a body parses as the declaration of a function."""
    return node.type == "declaration" and node.parent is not None and node.parent.type == "compound_statement"


_CONSTRUCTORS = ("__init__", "constructor")


def _with_constructors(symbols: Sequence[Symbol]) -> list[Symbol]:
    """The symbols, each class with its constructor's parameters: its own (records, Kotlin) or those of its only
    constructor method.
    """
    found: dict[str, list[Symbol]] = {}
    for symbol in symbols:
        path, _, name = symbol.qualified_name.rpartition(".")
        if symbol.kind == "method" and (name in _CONSTRUCTORS or name == path.rpartition(".")[2]):
            found.setdefault(path, []).append(symbol)
    finished = []
    for symbol in symbols:
        if symbol.kind == "class":
            inside = [c for c in found.get(symbol.qualified_name, ()) if symbol.start <= c.start < symbol.end]
            if symbol.parameters:
                symbol = replace(symbol, constructor=symbol.parameters)
            elif len(inside) == 1:
                symbol = replace(symbol, constructor=inside[0].parameters)
        finished.append(symbol)
    return finished


def _place_of(
    source: Source,
    spec: SymbolGrammar,
    signatures: Signatures,
    node: Node,
    kind: SymbolKind,
    name: str,
    qualified_name: str,
) -> Symbol:
    outer = _outermost(source, spec, node)
    function = signatures.function_of(node)
    body = _body(function)
    if source.grammar == "python":
        assert body is not None, "a Python definition without an error has a body"
        place = place_in_body(source, body, node)
    else:
        place = place_before(source, spec, outer)
    return Symbol(
        kind=kind,
        name=name,
        qualified_name=qualified_name,
        start=outer.start_byte,
        end=outer.end_byte,
        body_start=body.start_byte if body is not None else outer.end_byte,
        body_end=body.end_byte if body is not None else outer.end_byte,
        doc=place.doc,
        insert_at=place.insert_at,
        indent=place.indent,
        is_inline_body=place.is_inline_body,
    )


# Languages whose constructors call others in front of their body.
_INITIALIZED: Final = ("csharp", "cpp", "kotlin")


def _begin(source: Source, function: Node, body: Node) -> int:
    """Where the code that a call of a function runs begins."""
    return function.start_byte if source.grammar in _INITIALIZED else body.start_byte


def _with_facts(symbol: Symbol, source: Source, spec: SymbolGrammar, signatures: Signatures, node: Node) -> Symbol:
    """The symbol with what its declaration and body say."""
    is_function = symbol.kind in ("function", "method")
    function = signatures.function_of(node)
    body = _body(function)
    parameters = declared_parameters(signatures, node)
    is_bound = symbol.kind == "method" and source.grammar == "python"
    if is_bound and not _is_static(source, _outermost(source, spec, node), node):
        parameters = parameters[1:]
    return replace(
        symbol,
        parameters=parameters,
        type_parameters=tuple(signatures.type_parameters_of(node)),
        returns_value=signatures.returns_value(node) if is_function else None,
        yields=is_function and signatures.effects.is_generator(function),
        raises=tuple(signatures.effects.raised_names(function)) if is_function else (),
        result_types=signatures.result_types(node) if is_function else (),
        is_decorated=source.grammar == "python" and symbol.start < node.start_byte,
        has_calls=signatures.effects.has_calls(_begin(source, function, body), body.end_byte) if body else True,
    )


def _outermost(source: Source, spec: SymbolGrammar, node: Node) -> Node:
    """The definition with its wrappers; Go's grouped `type ( ... )` doesn't belong to any one of its types."""
    while (parent := node.parent) is not None and parent.type in spec.wrappers:
        if source.grammar == "go" and any(child.type == "(" for child in parent.children):
            break
        node = parent
    return node


def _body(node: Node) -> Node | None:
    body = node.child_by_field_name("body")
    if body is not None:
        return body
    for child in node.named_children:
        if child.type in ("function_body", "class_body", "enum_class_body"):  # Kotlin has no field for it
            return child
    kind = node.child_by_field_name("type")  # Go: type T struct { ... }
    return kind if node.type == "type_spec" else None


def _is_static(source: Source, outer: Node, node: Node) -> bool:
    """Whether a Python method takes no receiver."""
    decorators = source.data[outer.start_byte : node.start_byte]
    return b"@staticmethod" in decorators


def _module(source: Source, spec: SymbolGrammar, symbols: Sequence[Symbol]) -> Symbol | None:
    """The file itself, in languages whose files have documentation."""
    if source.grammar == "python":
        place = None if source.tree.root_node.has_error else place_in_module(source)
    else:
        place = place_of_file(source, spec, {symbol.doc for symbol in symbols if symbol.doc is not None})
    if place is None:
        return None
    size = len(source.data)
    return Symbol(
        kind="module",
        name="",
        qualified_name="",
        start=0,
        end=size,
        body_start=place.insert_at,
        body_end=size,
        doc=place.doc,
        insert_at=place.doc[0] if place.doc is not None else place.insert_at,
        indent="",
    )


def item_span(source: Source, symbol: Symbol) -> tuple[int, int]:
    """The top-level item of the file that contains a symbol, from its line's start: it parses alone as it does in the
    file.

    It includes the symbol's own documentation, or the place for it.
    """
    cursor = source.tree.walk()
    first = min(symbol.start, symbol.insert_at, symbol.doc[0] if symbol.doc is not None else symbol.start)
    if symbol.kind == "module" or cursor.goto_first_child_for_byte(symbol.start) is None or cursor.node is None:
        return 0, len(source.data)
    start = line_start(source.data, min(first, cursor.node.start_byte))
    return start, max(cursor.node.end_byte, symbol.end)
