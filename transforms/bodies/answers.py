"""The body of a function in a chat answer, which has the whole function and perhaps more, or the body alone."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Final

from model.errors import RecordError
from transforms.bodies.beside import names_beside
from transforms.bodies.holes import BODY_LANGUAGES, BodyHole, body_hole, is_expression
from transforms.bodies.placeholders import without_comments
from transforms.bodies.python_flow import statements
from transforms.languages.syntax import Source, captures, parse
from transforms.symbols import Symbol, find_symbols
from transforms.symbols.grammars import SYMBOL_GRAMMARS
from transforms.talk import is_chatter


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
        if is_bare_body(code, grammar):
            return _placed(code, grammar, symbol, file)
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


# What may stand around a body's statements, but is none of them.
_NO_STATEMENT: Final = re.compile(
    r"^[ \t]*(?:(?:import|from|package|using|use|export|module)\b|#\s*include\b|@[A-Z]\w*|[{}()\[\];]*[ \t]*$).*$", re.M
)
# What only stands in a body: a result, an assignment, a call, control flow.
_STATEMENT: Final = re.compile(
    r"^[ \t]*(?:return|throw|raise|yield|if|for|foreach|while|switch|match|when|try|with|let|const|var|val|auto|await|"
    r"defer|go|assert|del|super|this|self)\b|^[ \t]*[*&]?[\w.:\[\]>-]+\s*(?:[-+*/%|&:?]*=[^=>]|\()",
    re.M,
)

_TAIL_EXPRESSIONS: Final = ("rust",)  # a body may be any expression
# A method without a word for it: `peek() { ... }`, `int Peek(int depth) { ... }`.
_METHOD: Final = re.compile(
    r"\s*(?:[\w<>\[\],.?]+\s+)*(?!(?:if|for|foreach|while|switch|catch|with|using|lock|fixed|synchronized)\b)\w+\s*"
    r"\([^()]*\)[^;{}=\n]*\{"
)


def is_bare_body(code: str, grammar: str) -> bool:
    """Whether an answer is statements without a function around them; whether they parse in its place is seen later.

    >>> is_bare_body("total = 0\\nreturn total", "python"), is_bare_body("def other():\\n    return 1", "python")
    (True, False)
    """
    if grammar not in BODY_LANGUAGES or is_chatter(code) or (grammar in _METHODS_NEED_CLASSES and _METHOD.match(code)):
        return False
    bare = without_comments(code, grammar)
    source = parse(code.encode(), grammar)
    defined = [s.start for s in find_symbols(source, facts=False) if s.kind != "module"] if source is not None else []
    if source is not None and defined:  # a local function stands behind a statement, another answer stands first
        bare = source.data[: min(defined)].decode("utf-8", "replace")
    said = _NO_STATEMENT.sub("", bare)
    is_any = grammar in _TAIL_EXPRESSIONS and not defined
    return bool(said.strip()) and (is_any or _STATEMENT.search(said) is not None)


def _placed(code: str, grammar: str, symbol: Symbol, file: Source) -> str:
    """A bare body with the indentation, and in the form, of the function's own."""
    text = textwrap.dedent(code).strip()
    hole = body_hole(file, symbol)
    line = file.data[file.data.rfind(b"\n", 0, hole.start) + 1 : hole.start].decode()
    if grammar == "python":
        if statements(f"if True:\n{textwrap.indent(text, '    ')}") is None:
            first, _, rest = text.partition("\n")  # its first line may have lost the indentation that the others have
            text = f"{first}\n{textwrap.dedent(rest)}"
        parsed = parse(text.encode(), grammar)
        return text if parsed is None else _indented(parsed, BodyHole(0, len(parsed.data)), "", line)
    if is_expression(file, symbol) and re.match(r"return\b", text):
        return _in_form(text, symbol, ";" if grammar == "csharp" else "", False, True)
    if line.strip() or "`" in text or '"""' in text:  # on the head's line, or with texts of several lines
        return text
    return textwrap.indent(text, line).removeprefix(line)


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
