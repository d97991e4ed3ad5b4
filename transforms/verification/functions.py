"""Finds functions that can be called by themselves, and how: at the top level of their file, with plain parameters."""

from __future__ import annotations

import ast
import re
from typing import Final

import tree_sitter

from transforms.languages.grammars import grammar_name
from transforms.languages.syntax import Source, parse
from transforms.symbols import Symbol, find_symbols
from transforms.verification.calls import Function
from transforms.verification.python_context import python_tree

_CALLED: Final = ("Python", "JavaScript", "Go")


def called_function(language: str, code: str, name: str) -> tuple[Function, list[tuple[str, str]]] | None:
    """A function with the names and annotations of its parameters; None if it can't be called by itself.

    Args:
        language: Linguist name; inputs can be drawn for Python and JavaScript.
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
    return None


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
    named = [one for one in functions if _plain(one.name) == _plain(name)]
    found = named[0] if named else functions[0] if len(functions) == 1 else None
    if found is None or source is None:
        return None
    if language == "Go":
        return _go_function(source, code, found, arity)
    if len(found.parameters) != arity:
        return None
    return Function(language=language, code=code, name=found.name)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _functions(language: str, code: str) -> tuple[Source | None, list[Symbol]]:
    grammar = grammar_name(language)
    source = parse(code.encode("utf-8", "replace"), grammar) if grammar else None
    symbols = find_symbols(source) if source is not None else []
    return source, [one for one in symbols if one.kind == "function" and one.qualified_name == one.name]


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
