"""The hole where a function's body is, and whether what a model put there is one and stays there.

    def area(w, h):            before: the signature and the documentation
        \"\"\"Area.\"\"\"
        return w * h           the body: what the model writes
                               after: the next definition

Only bodies in brackets and Python's blocks: an expression body (`=> x`, `= x`) is the signature's line already.
"""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
import warnings
from dataclasses import dataclass
from typing import Final

import tree_sitter

from model.errors import RecordError
from transforms.languages.lookup import find_language
from transforms.languages.parsing import compiles, parses_as_before
from transforms.languages.syntax import Source, captures, parse
from transforms.symbols import Symbol, find_symbols
from transforms.symbols.find import item_span
from transforms.symbols.grammars import SYMBOL_GRAMMARS
from transforms.symbols.places import NOTICE

BODY_LANGUAGES: Final = tuple(SYMBOL_GRAMMARS)

# A larger file isn't parsed anew for each of its functions: what holds the function is.
WHOLE_FILE_BYTES: Final = 16_000

# Bodies that stand for one that is still to be written. Comments are taken out before.
_UNWRITTEN = r"not\s+(?:yet\s+)?(?:been\s+)?implemented|unimplemented|\bto\s?do\b|implement\s+(?:me|this)"
_PLACEHOLDER = re.compile(
    r"(?:pass|\.\.\.|return(?: None| null| nil| undefined)?|raise NotImplementedError(?:\(.*\))?|"
    r"throw (?:new )?[\w.:]*(?:NotImplemented|UnsupportedOperation)\w*\(.*\)|"
    rf"(?:throw|panic|error|abort|raise)\b[^;\n]*(?:{_UNWRITTEN})[^;\n]*|"
    r"TODO\(.*\)|(?:unimplemented|todo)!\(.*\))",
    re.I | re.S,
)
_COMMENT: Final = {True: re.compile(r"#[^\n]*"), False: re.compile(r"//[^\n]*|/\*.*?\*/", re.S)}
# Where the last expression is the result, a name alone is a body.
_EXPRESSION_LANGUAGES: Final = ("rust", "kotlin", "ruby", "scala", "bash", "sql", "")


@dataclass(frozen=True, slots=True)
class BodyHole:
    """Where a body goes, in bytes of the file: `before + body + after`, the body with its own first indentation."""

    start: int
    end: int


def body_hole(source: Source, symbol: Symbol) -> BodyHole:
    """Finds the body of a function, without its documentation.

    Raises:
        RecordError: `no_body`: a declaration, an expression body, or nothing but documentation.
    """
    data = source.data
    start, end = symbol.body_start, symbol.body_end
    if source.grammar == "python":
        if symbol.doc is not None:
            start = symbol.doc[1]
            start += len(data[start:end]) - len(data[start:end].lstrip(b" \t\r\n;"))
        elif symbol.is_inline_body:
            raise RecordError("no_body", "the body is on the signature's line")
    else:
        if data[start : start + 1] != b"{" or data[end - 1 : end] != b"}":
            raise RecordError("no_body", "a declaration or an expression body")
        start, end = start + 1, end - 1
        start += len(data[start:end]) - len(data[start:end].lstrip(b" \t\r\n"))
        end -= len(data[start:end]) - len(data[start:end].rstrip(b" \t\r\n"))
    if start >= end or not data[start:end].strip():
        raise RecordError("no_body", "the body contains only documentation")
    return BodyHole(start, end)


def heading_end(source: Source) -> int:
    """Where the file's heading ends: its leading comments, and Python's module docstring; 0 where it has neither, or
    nothing but what describes no file: a `#!` line, an encoding, a licence.
    """
    end, blocks = 0, [b""]
    for child in source.tree.root_node.named_children:
        text = source.data[child.start_byte : child.end_byte]
        is_comment = "comment" in child.type or child.type in ("hash_bang_line", "shebang")
        is_string = source.grammar == "python" and _is_text(text)
        if not is_comment and not is_string:
            break
        if is_string or source.data[end : child.start_byte].count(b"\n") > 1:
            blocks.append(b"")
        blocks[-1] += b"" if _SAYS_NOTHING.match(text) else text + b"\n"
        end = child.end_byte
        if is_string:
            break
    if not any(block.strip() and not NOTICE.search(block) for block in blocks):
        return 0
    return end + len(source.data[end:]) - len(source.data[end:].lstrip(b"\r\n"))


_SAYS_NOTHING: Final = re.compile(rb"#!|(?:#|//)\W*(?:coding|vim?|pylint|flake8|ruff|mypy|type)\s*[:=]|\W*\Z")


def _is_text(statement: bytes) -> bool:
    try:
        return isinstance(ast.literal_eval(statement.decode()), str)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def is_placeholder(body: str, grammar: str) -> bool:
    """Whether a body only stands for one that is still to be written, or does nothing.

    >>> is_placeholder("pass  # later", "python"), is_placeholder("return 1", "python")
    (True, False)
    """
    if grammar == "python" and (statements := _statements(body)) is not None:
        reached = list(itertools.takewhile(_does_nothing, statements))
        return len(reached) == len(statements) or any(isinstance(statement, ast.Raise) for statement in reached)
    language = find_language(grammar)
    bare = _COMMENT[language is not None and language.comments == "hash"].sub("", body).strip().rstrip(";").strip()
    is_name = grammar not in _EXPRESSION_LANGUAGES and re.fullmatch(r"[^\W\d]\w*", bare) is not None
    return not bare or is_name or _PLACEHOLDER.fullmatch(bare) is not None


def _statements(body: str) -> list[ast.stmt] | None:
    """A Python body's own statements; its first line has lost its indentation. None where it doesn't parse."""
    first, _, rest = body.partition("\n")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(f"{first.strip()}\n{textwrap.dedent(rest)}").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Expr(ast.Constant() | ast.Name()) | ast.Return(None | ast.Constant(None)):
            return True
        case ast.Return(ast.Constant(value)):
            return value is ...
        case ast.Assert(ast.Constant(value)):
            return not value
        case ast.Raise():
            return _PLACEHOLDER.fullmatch(ast.unparse(statement)) is not None
    return False


def body_parses(source: Source, symbol: Symbol, hole: BodyHole, body: str) -> bool | None:
    """Whether the file is as sound with a new body: in Python whether it compiles (where the file itself doesn't,
    whether the function does), elsewhere whether there are no more syntax errors than before.
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
    if verdict is False and "nonlocal" in alone:  # its names are bound by the functions around it
        return parses_as_before(changed.decode(), data.decode(), source.grammar)
    return verdict


def keeps_function(source: Source, symbol: Symbol, hole: BodyHole, body: str) -> bool | None:
    """Whether, with a new body, the function still is one, by the same name and signature, and ends where the body
    ends: so that nothing was written outside of it. None where the parser gives up.
    """
    data = source.data
    changed = data[: hole.start] + body.encode() + data[hole.end :]
    grown = len(changed) - len(data)
    if source.grammar == "python":
        before, after = (_python_signature(_python_alone(d, symbol, g)) for d, g in ((data, 0), (changed, grown)))
        return None if before is None else before == after
    start, end = item_span(source, symbol)
    item = parse(changed[start : end + grown], source.grammar)
    if item is None:
        return None
    # What the brackets hold must be one block as before: `{ ... } function g() { ... }` is none.
    old = _block_at(source, symbol.body_start, symbol.body_end)
    new = _block_at(item, symbol.body_start - start, symbol.body_end - start + grown)
    return old is not None and new is not None and old.type == new.type and not new.has_error


def _block_at(source: Source, start: int, end: int) -> tree_sitter.Node | None:
    """The innermost node that is exactly this range of bytes."""
    node = source.tree.root_node.descendant_for_byte_range(start, end - 1)
    while node is not None and node.start_byte >= start and node.end_byte <= end:
        if (node.start_byte, node.end_byte) == (start, end):
            return node
        node = node.parent
    return None


def _python_alone(data: bytes, symbol: Symbol, grown: int) -> str:
    """The definition's own lines, which an `if` takes the indentation of."""
    start = data.rfind(b"\n", 0, symbol.start) + 1
    is_first = not data[start : symbol.start].strip()
    text = data[start if is_first else symbol.start : symbol.end + grown].decode()
    return "if True:\n" + text if text[:1] in (" ", "\t", "\f") else text


def _python_signature(text: str) -> str | None:
    """All of a definition but its body; None where there isn't exactly one definition."""
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
    return ast.dump(found[0])


def body_of_answer(code: str, grammar: str, symbol: Symbol, file: bytes) -> str:
    """The body of the function of that name in a chat answer, indented as the file's own.

    Args:
        code: The code of the answer.
        grammar: Its language.
        symbol: The function.
        file: The file that the body goes into.

    Raises:
        RecordError: `no_such_function`, `signature_changed`, `no_body`; `needs_other_code`: the body uses what the
            answer imports or defines beside the function, and the file doesn't have.
    """
    source = parse(code.encode(), grammar) if grammar in BODY_LANGUAGES else None
    found = [s for s in find_symbols(source) if s.name == symbol.name] if source is not None else []
    if source is None or not found:
        raise RecordError("no_such_function", f"the answer contains no function {symbol.name} that parses")
    names = [parameter.name for parameter in found[0].parameters]
    if grammar == "python" and symbol.kind == "method" and names[:1] in (["self"], ["cls"]):
        names = names[1:]
    if names != [parameter.name for parameter in symbol.parameters]:
        raise RecordError("signature_changed", "the answer's function has different parameters")
    hole = body_hole(source, found[0])
    body = source.data[hole.start : hole.end].decode()
    if grammar != "python":
        return body
    rest = (source.data[: found[0].start] + source.data[found[0].end :]).decode()
    if missing := _bound_names(rest) & set(_NAME.findall(body)) - set(_NAME.findall(file.decode())):
        raise RecordError(
            "needs_other_code", f"it uses {len(missing)} names that the answer defines outside the function"
        )
    return _indented(source, hole, found[0].indent, symbol.indent)


_NAME: Final = re.compile(r"[^\W\d]\w*")


def _bound_names(text: str) -> set[str]:
    """What a module imports, defines and assigns at its margin; nothing where it doesn't parse."""
    names: set[str] = set()
    for statement in _statements(text) or ():
        if isinstance(statement, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            names |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return names


def _indented(source: Source, hole: BodyHole, old: str, new: str) -> str:
    """A body with another indentation; what stands within a string stays as it is."""
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
