"""The finder: definitions from one query, their documentation from what stands beside them.

Documentation stands *inside* in Python (the body's first statement, a string) and *before* elsewhere: the run of
comments that ends directly above the definition (no blank line between) and begins like documentation. Attributes
(Rust) and decorators may stand between. A file's own documentation is Python's module docstring, Rust's `//!`, Go's
comment above `package`, and a leading documentation comment that a blank line parts from the first definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tree_sitter

from transforms.fim.syntax import Source, captures
from transforms.symbols.grammars import SYMBOL_GRAMMARS, SymbolGrammar, symbol_query
from transforms.symbols.python_ast import python_symbols
from transforms.symbols.signatures import Signatures
from transforms.symbols.symbol import Parameter, Symbol, SymbolKind, blanks_before, line_start

Node = tree_sitter.Node


def find_symbols(source: Source) -> list[Symbol]:
    """Finds all symbols of a file, the module first, then in the order in which they begin.

    A file that tree-sitter finds an error in and Python none is read by Python's own parser. Else a definition with a
    syntax error in its signature or body is left out, since nothing said of it could be checked.
    Languages without a symbol grammar give an empty list.
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
        symbols.append(_symbol(source, spec, signatures, node, symbol_kind, name, path))
    symbols = _with_constructors(symbols)
    module = _module(source, spec, symbols)
    return [module, *symbols] if module is not None else symbols


def _definitions(source: Source) -> list[tuple[Node, str]]:
    """The nodes of symbols and scopes with what they are, in the order in which they begin, outer ones first."""
    found = captures(source, symbol_query(source.grammar))
    definitions = [(node, kind) for kind in ("class", "scope", "function") for node in found.get(kind, ())]
    return sorted(definitions, key=lambda item: (item[0].start_byte, -item[0].end_byte))


_CONSTRUCTORS = ("__init__", "constructor")


def _with_constructors(symbols: Sequence[Symbol]) -> list[Symbol]:
    """The symbols, each class with its constructor's parameters: its own (records, Kotlin) or those of its one method
    that constructs."""
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


def _symbol(
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
        place = _place_in_body(source, body, node)
    else:
        place = _place_before(source, spec, outer)
    is_function = kind in ("function", "method")
    names = signatures.parameters_of(node)
    if kind == "method" and source.grammar == "python" and not _is_static(source, outer, node):
        names = names[1:]
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
        parameters=tuple(map(Parameter, names)),
        type_parameters=tuple(signatures.type_parameters_of(node)),
        returns_value=signatures.returns_value(node) if is_function else None,
        yields=is_function and signatures.effects.is_generator(function),
        raises=tuple(signatures.effects.raised_names(function)) if is_function else (),
        result_types=signatures.result_types(node) if is_function else (),
        has_calls=signatures.effects.has_calls(body.start_byte, body.end_byte) if body is not None else True,
        is_inline_body=place.is_inline_body,
    )


def _outermost(source: Source, spec: SymbolGrammar, node: Node) -> Node:
    """The definition with what wraps it; Go's grouped `type ( ... )` doesn't belong to one of its types."""
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


# --- where documentation stands and goes ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    doc: tuple[int, int] | None
    insert_at: int
    indent: str
    is_inline_body: bool = False


def _place_in_body(source: Source, body: Node, definition: Node) -> _Place:
    statements = [child for child in body.named_children if child.type != "comment"]
    first = statements[0] if statements else body
    doc = _docstring(source.data, first)
    blanks = blanks_before(source.data, first.start_byte)
    if blanks is not None and first.start_point.row > definition.start_point.row:
        return _Place(doc, first.start_byte, blanks)
    line = line_start(source.data, definition.start_byte)
    own = source.data[line : definition.start_byte]
    indent = own[: len(own) - len(own.lstrip(b" \t"))].decode()
    return _Place(doc, first.start_byte, indent + ("\t" if "\t" in indent else "    "), is_inline_body=True)


def _docstring(data: bytes, statement: Node) -> tuple[int, int] | None:
    """The span of a body's first statement where it is a plain string, as Python itself takes it."""
    is_wrapped = statement.type == "expression_statement" and statement.named_child_count > 0
    inner = statement.named_child(0) if is_wrapped else statement
    if inner is None or inner.type not in ("string", "concatenated_string"):
        return None
    if statement.type == "expression_statement" and statement.named_child_count > 1:
        return None
    parts = inner.named_children if inner.type == "concatenated_string" else [inner]
    openings = [data[part.start_byte : part.start_byte + 3] for part in parts if part.type == "string"]
    prefixes = {opening[: min(opening.find(q) for q in (b"'", b'"') if q in opening)].lower() for opening in openings}
    return (inner.start_byte, inner.end_byte) if prefixes <= {b"", b"r", b"u"} else None


def _place_before(source: Source, spec: SymbolGrammar, outer: Node) -> _Place:
    anchor = outer
    while (previous := anchor.prev_named_sibling) is not None and previous.type in spec.attributes:
        anchor = previous
    block = _comments_above(source, spec, anchor)
    doc = None
    if block and source.data.startswith(spec.doc_openers, block[0].start_byte):
        doc = (block[0].start_byte, _comment_end(source, block[-1]))
    blanks = blanks_before(source.data, anchor.start_byte)
    return _Place(doc, anchor.start_byte, blanks if blanks is not None else "", is_inline_body=blanks is None)


def _comment_end(source: Source, comment: Node) -> int:
    """Where a comment ends, without the line break that some grammars count in."""
    end = comment.end_byte
    while end > comment.start_byte and source.data[end - 1 : end] in (b"\n", b"\r"):
        end -= 1
    return end


def _comments_above(source: Source, spec: SymbolGrammar, anchor: Node) -> list[Node]:
    """The run of comments, each on lines of its own, that ends on the line above `anchor` (or on its line)."""
    run: list[Node] = []
    below = anchor
    while (previous := below.prev_named_sibling) is not None and previous.type in spec.comments:
        gap = source.data[_comment_end(source, previous) : below.start_byte]
        if gap.strip() or gap.count(b"\n") > 1 or gap.count(b"\r") > 1:
            break
        if blanks_before(source.data, previous.start_byte) is None:
            break  # it belongs to the code before it on its line
        is_block = source.data.startswith(b"/*", previous.start_byte)
        if run and is_block != source.data.startswith(b"/*", run[0].start_byte):
            break
        run.insert(0, previous)
        if is_block:
            break
        below = previous
    return run


def _module(source: Source, spec: SymbolGrammar, symbols: Sequence[Symbol]) -> Symbol | None:
    """The file itself, in languages whose files have documentation."""
    root, data = source.tree.root_node, source.data
    if source.grammar == "python":
        if root.has_error:
            return None
        statements = [child for child in root.named_children if child.type != "comment"]
        doc = _docstring(data, statements[0]) if statements else None
        at = statements[0].start_byte if statements else len(data)
    elif spec.module_doc_openers:
        at = _after_leading_comments(source, spec)
        doc = _leading_doc(source, spec, symbols)
    else:
        return None
    return Symbol(
        kind="module",
        name="",
        qualified_name="",
        start=0,
        end=len(data),
        body_start=at,
        body_end=len(data),
        doc=doc,
        insert_at=doc[0] if doc is not None else at,
        indent="",
    )


def _after_leading_comments(source: Source, spec: SymbolGrammar) -> int:
    """The start of the first thing that is no comment and no `#!` line: licence headers stay on top."""
    for child in source.tree.root_node.named_children:
        if child.type not in spec.comments and child.type not in ("hash_bang_line", "shebang"):
            return child.start_byte
    return len(source.data)


def _leading_doc(source: Source, spec: SymbolGrammar, symbols: Sequence[Symbol]) -> tuple[int, int] | None:
    taken = {symbol.doc for symbol in symbols if symbol.doc is not None}
    run: list[Node] = []
    for child in source.tree.root_node.named_children:
        if child.type not in spec.comments:
            break
        if run and not source.data.startswith(spec.module_doc_openers, child.start_byte):
            break
        if source.data.startswith(spec.module_doc_openers, child.start_byte):
            run.append(child)
            if source.data.startswith(b"/*", child.start_byte):
                break
    if not run:
        return None
    found = (run[0].start_byte, _comment_end(source, run[-1]))
    return None if found in taken else found


def item_span(source: Source, symbol: Symbol) -> tuple[int, int]:
    """The top-level item of the file that holds a symbol, from its line's start: it parses alone as in the file.

    The symbol's own documentation, or the place for it, is in it.
    """
    cursor = source.tree.walk()
    first = min(symbol.start, symbol.insert_at, symbol.doc[0] if symbol.doc is not None else symbol.start)
    if symbol.kind == "module" or cursor.goto_first_child_for_byte(symbol.start) is None or cursor.node is None:
        return 0, len(source.data)
    start = line_start(source.data, min(first, cursor.node.start_byte))
    return start, max(cursor.node.end_byte, symbol.end)
