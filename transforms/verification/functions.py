"""Finds functions that can be called by themselves, and how: at the top level of their file, with plain parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Final

import tree_sitter

from transforms.languages.grammars import grammar_name
from transforms.languages.syntax import Source, parse
from transforms.symbols import Symbol, find_symbols
from transforms.verification.calls import Function
from transforms.verification.python_context import python_tree
from transforms.verification.typed.signature import TYPED, signature_of
from transforms.verification.typed.types import type_of

_CALLED: Final = ("Python", "JavaScript", "Go", *TYPED)


def called_function(language: str, code: str, name: str) -> tuple[Function, list[tuple[str, str]]] | None:
    """A function with the names and annotations of its parameters; None if it can't be called by itself.

    Args:
        language: Linguist name.
        code: The text that it stands in.
        name: Its qualified name; "" for none.
    """
    if language == "Python" and name:
        parameters = _python_parameters(code, name)
        return None if parameters is None else (Function(language=language, code=code, name=name), parameters)
    if language == "JavaScript" and name:
        found = [one for one in _functions(language, code)[1] if one.qualified_name == name]
        if found and all(one.name for one in found[0].parameters):
            parameters = [(one.name, "") for one in found[0].parameters]
            return Function(language=language, code=code, name=name), parameters
    if language in (*TYPED, "Go") and name:
        return _typed_function(language, code, name)
    return None


def _typed_function(language: str, code: str, name: str) -> tuple[Function, list[tuple[str, str]]] | None:
    """A function whose types say what it takes."""
    source, symbols = _symbols(language, code)
    found = [one for one in symbols if one.qualified_name == name]
    if source is None or len(found) != 1:
        return None
    if language == "Go":
        function = _go_function(source, code, found[0], len(found[0].parameters))
    else:
        function = _of_signature(language, code, source, found[0], symbols)
    if function is None:
        return None
    kinds = [type_of(language, text) for text in function.types]
    annotations = [kind.annotation if kind is not None else None for kind in kinds]
    if None in annotations:
        return None
    names = [one.name for one in found[0].parameters]
    return function, list(zip(names, map(str, annotations), strict=True))


def _of_signature(
    language: str, code: str, source: Source, symbol: Symbol, symbols: Sequence[Symbol]
) -> Function | None:
    """A function whose parameters' types are known; None: it can't be called with plain values."""
    signature = signature_of(language, source, symbol, symbols)
    if signature is None or any(type_of(language, text) is None for text in signature[0]):
        return None
    return Function(language=language, code=code, name=symbol.name, types=signature[0], call=signature[1])


def function_like(language: str, code: str, name: str, arity: int) -> Function | None:
    """The function of an answer that has another one's name, in the language's style, or that is the only one.

    Args:
        language: The answer's language, by its Linguist name.
        code: The answer.
        name: The other function's name.
        arity: How many parameters it must have.
    """
    if language not in _CALLED:
        return None
    source, functions = _functions(language, code)
    named = [one for one in functions if _plain(one.name) == _plain(name.rpartition(".")[2])]
    found = named[0] if named else functions[0] if len(functions) == 1 else None
    if found is None or source is None:
        return None
    if language == "Go":
        return _go_function(source, code, found, arity)
    if language in TYPED:
        function = _of_signature(language, code, source, found, _symbols(language, code)[1])
        return function if function is not None and len(function.types) == arity and len(named) < 2 else None
    if len(found.parameters) != arity:
        return None
    return Function(language=language, code=code, name=found.name)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _functions(language: str, code: str) -> tuple[Source | None, list[Symbol]]:
    source, symbols = _symbols(language, code)
    if language in ("C#", "Java"):
        return source, [one for one in symbols if one.kind == "method" and one.name not in ("main", "Main")]
    return source, [one for one in symbols if one.kind == "function" and one.qualified_name == one.name]


def _symbols(language: str, code: str) -> tuple[Source | None, list[Symbol]]:
    grammar = grammar_name(language)
    source = parse(code.encode("utf-8", "replace"), grammar) if grammar else None
    return source, find_symbols(source) if source is not None else []


def _python_parameters(code: str, name: str) -> list[tuple[str, str]] | None:
    tree = python_tree(code)
    found = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name] if tree else []
    if len(found) != 1:
        return None
    given = found[0].args
    is_generator = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in ast.walk(found[0]))
    if is_generator or given.vararg or given.kwarg or any(default is None for default in given.kw_defaults):
        return None
    return [
        (one.arg, ast.unparse(one.annotation) if one.annotation is not None else "")
        for one in (*given.posonlyargs, *given.args)
    ]


def _go_function(source: Source, code: str, symbol: Symbol, arity: int) -> Function | None:
    node = source.tree.root_node.descendant_for_byte_range(symbol.start, symbol.end)
    while node is not None and node.type != "function_declaration":
        node = node.parent
    parameters = node.child_by_field_name("parameters") if node is not None else None
    if node is None or parameters is None or node.child_by_field_name("type_parameters") is not None:
        return None
    types = _go_types(source, parameters)
    result = node.child_by_field_name("result")
    results = [] if result is None else [source.text(result)]
    if result is not None and result.type == "parameter_list":
        results = _go_types(source, result)
    if len(types) != arity:
        return None
    has_error = bool(results) and results[-1] == "error"
    return Function(
        language="Go", code=code, name=symbol.name, types=tuple(types), results=len(results), has_error=has_error
    )


def _go_types(source: Source, parameters: tree_sitter.Node) -> list[str]:
    types: list[str] = []
    for one in parameters.named_children:
        kind = source.text(one.child_by_field_name("type"))
        names = [child for child in one.children if child.type == "identifier"]
        variadic = one.type == "variadic_parameter_declaration"
        types += ["" if variadic else re.sub(r"\s+", "", kind)] * max(1, len(names))
    return types
