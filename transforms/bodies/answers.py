"""The body of a function in a chat answer, which has the whole function and perhaps more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from model.errors import RecordError
from transforms.bodies.beside import names_beside
from transforms.bodies.holes import BODY_LANGUAGES, BodyHole, body_hole, is_expression
from transforms.languages.syntax import Source, captures, parse
from transforms.symbols import Symbol, find_symbols
from transforms.symbols.grammars import SYMBOL_GRAMMARS


def body_of_answer(code: str, grammar: str, symbol: Symbol, file: Source) -> str:
    """Returns the body of the function with that name in a chat answer, indented and in the form of the file's own.

    Args:
        code: The code of the answer.
        grammar: Its language.
        symbol: The function.
        file: The file into which the body is inserted.

    Raises:
        RecordError: `no_such_function`, `signature_changed`, `no_body`; `needs_other_code`: the body uses names that
            the answer imports or defines outside the function, and that the file doesn't have.
    """
    source, symbols, found = _found(code, grammar, symbol)
    if source is None or not found:
        raise RecordError("no_such_function", f"the answer contains no function {symbol.name} that parses")
    wanted = [parameter.name for parameter in symbol.parameters]
    fitting = [one for one in found if _parameters(one, symbol, grammar) == wanted]
    if not fitting:
        raise RecordError("signature_changed", "the answer's function has different parameters")
    own, hole = _with_body(source, fitting)
    kept = _code_around(file, body_hole(file, symbol))
    if missing := names_beside(source, symbols, own, hole, kept):
        raise RecordError(
            "needs_other_code", f"it uses {len(missing)} names that the answer defines outside the function"
        )
    if grammar == "python":
        return _indented(source, hole, own.indent, symbol.indent)
    body = source.data[hole.start : hole.end].decode()
    forms = is_expression(source, own), is_expression(file, symbol)
    return body if forms[0] == forms[1] else _in_form(body, symbol, ";" if grammar == "csharp" else "", *forms)


# Languages in which a method alone, or a constructor, doesn't parse.
_METHODS_NEED_CLASSES: Final = ("java", "csharp", "javascript", "typescript", "tsx")


def _found(code: str, grammar: str, symbol: Symbol) -> tuple[Source | None, list[Symbol], list[Symbol]]:
    """The answer, its symbols, and its functions of the wanted name, those of the same class first; a method may stand
    without its class.
    """
    scope = symbol.qualified_name.rpartition(".")[0].rpartition(".")[2]
    texts = [code]
    if grammar in _METHODS_NEED_CLASSES:
        texts.append(f"class {scope if scope.isidentifier() else '_'} {{\n{code}\n}}\n")
    source, symbols = None, []
    for text in texts:
        source = parse(text.encode(), grammar) if grammar in BODY_LANGUAGES else None
        symbols = find_symbols(source) if source is not None else []
        found = [s for s in symbols if s.name == symbol.name and s.kind in ("function", "method")]
        if found:
            return source, symbols, sorted(found, key=lambda s: s.qualified_name != symbol.qualified_name)
    return source, symbols, []


def _with_body(source: Source, fitting: Sequence[Symbol]) -> tuple[Symbol, BodyHole]:
    """The first of these functions that isn't only declared, and its body. Raises RecordError: `no_body`."""
    for one in fitting[:-1]:
        try:
            return one, body_hole(source, one)
        except RecordError:
            continue
    return fitting[-1], body_hole(source, fitting[-1])


def _code_around(file: Source, hole: BodyHole) -> str:
    """The file's text without its comments, whose words are no names of it, and without the body that is replaced."""
    kinds = " ".join(f"({kind})" for kind in sorted(SYMBOL_GRAMMARS[file.grammar].comments))
    spans = [(node.start_byte, node.end_byte) for node in captures(file, f"[{kinds}] @x").get("x", [])]
    parts, at = [], 0
    for start, end in sorted([*spans, (hole.start, hole.end)]):
        parts.append(file.data[at : max(at, start)])
        at = max(at, end)
    return b"\n".join([*parts, file.data[at:]]).decode()


def _parameters(found: Symbol, symbol: Symbol, grammar: str) -> list[str]:
    names = [parameter.name for parameter in found.parameters]
    is_bound = grammar == "python" and symbol.kind == "method" and names[:1] in (["self"], ["cls"])
    return names[1:] if is_bound and found.kind == "function" else names


def _in_form(body: str, symbol: Symbol, end: str, is_expression_now: bool, is_expression_there: bool) -> str:
    """A body that is an expression as statements, or the other way round.

    Raises:
        RecordError: `signature_changed`: several statements, where the file's function is one expression.
    """
    if is_expression_now and not is_expression_there:
        return f"return {body}{end}" if symbol.returns_value else body + end
    statement = body.removesuffix(";")
    if (
        ";" in statement
        or not re.fullmatch(r"return\s.*", statement, re.S)
        or "\nreturn" in re.sub(r"\s*\n\s*", "\n", statement)
    ):
        raise RecordError("signature_changed", "the file's function is one expression, the answer's has statements")
    return statement.removeprefix("return").strip()


def _indented(source: Source, hole: BodyHole, old: str, new: str) -> str:
    """A body with another indentation; the content of strings is not changed."""
    strings = captures(source, "(string) @x", (hole.start, hole.end)).get("x", [])
    inside = {row for node in strings for row in range(node.start_point.row + 1, node.end_point.row + 1)}
    first, *rest = source.data[hole.start : hole.end].decode().split("\n")
    row = source.data.count(b"\n", 0, hole.start)
    return "\n".join(
        [
            first,
            *[
                new + line.removeprefix(old) if line.strip() and number not in inside else line
                for number, line in enumerate(rest, row + 1)
            ],
        ]
    )
