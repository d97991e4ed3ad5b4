"""The hole where a function's body is, and whether what a model put there is one and stays there.

    def area(w, h):            before: the signature and the documentation
        \"\"\"Area.\"\"\"
        return w * h           the body: what the model writes
                               after: the next definition

Only bodies in brackets and Python's blocks: an expression body (`=> x`, `= x`) is the signature's line already.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import Final

import tree_sitter

from model.errors import RecordError
from transforms import checks
from transforms.fim.syntax import Source, parse
from transforms.symbols import Symbol, find_symbols
from transforms.symbols.find import item_span

BODY_LANGUAGES = ("python", "javascript", "typescript", "tsx", "java", "kotlin", "go", "rust", "c", "cpp", "csharp")

# A larger file isn't parsed anew for each of its functions: what holds the function is.
WHOLE_FILE_BYTES: Final = 16_000

# Bodies that stand for one that is still to be written. Comments are taken out before.
_PLACEHOLDER = re.compile(
    r"(?:pass|\.\.\.|return(?: None| null| nil| undefined)?|"
    r"raise NotImplementedError(?:\(.*\))?|throw (?:new )?\w*(?:NotImplemented|UnsupportedOperation)\w*\(.*\)|"
    r"throw (?:new )?Error\(.*not implemented.*\)|TODO\(.*\)|(?:unimplemented|todo)!\(.*\)|"
    r"panic\(.*not implemented.*\))",
    re.I | re.S,
)
_COMMENT = re.compile(r"#[^\n]*|//[^\n]*|/\*.*?\*/", re.S)


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
            raise RecordError("no_body", "the body stands on the signature's line")
    else:
        if data[start : start + 1] != b"{" or data[end - 1 : end] != b"}":
            raise RecordError("no_body", "a declaration or an expression body")
        start, end = start + 1, end - 1
        start += len(data[start:end]) - len(data[start:end].lstrip(b" \t\r\n"))
        end -= len(data[start:end]) - len(data[start:end].rstrip(b" \t\r\n"))
    if start >= end or not data[start:end].strip():
        raise RecordError("no_body", "nothing stands in the body but documentation")
    return BodyHole(start, end)


def heading_end(source: Source) -> int:
    """Where the file's heading ends: its leading comments, and Python's module docstring; 0 where it has neither."""
    end = 0
    for child in source.tree.root_node.named_children:
        is_comment = "comment" in child.type or child.type in ("hash_bang_line", "shebang")
        is_string = source.grammar == "python" and source.data[child.start_byte : child.start_byte + 1] in (b'"', b"'")
        if not is_comment and not is_string:
            break
        end = child.end_byte
        if is_string:
            break
    return end + len(source.data[end:]) - len(source.data[end:].lstrip(b"\r\n")) if end else 0


def is_placeholder(body: str) -> bool:
    """Whether a body only stands for one that is still to be written.

    >>> is_placeholder("pass  # later"), is_placeholder("return 1")
    (True, False)
    """
    bare = _COMMENT.sub("", body).strip().rstrip(";").strip()
    return not bare or _PLACEHOLDER.fullmatch(bare) is not None


def body_parses(source: Source, symbol: Symbol, hole: BodyHole, body: str) -> bool | None:
    """Whether the file is as sound with a new body: in Python whether it compiles (where the file itself doesn't,
    whether the function does), elsewhere whether there are no more syntax errors than before.
    """
    data = source.data
    changed = data[: hole.start] + body.encode() + data[hole.end :]
    if len(data) <= WHOLE_FILE_BYTES:
        verdict = checks.parses(changed.decode(), data.decode(), source.grammar)
        if verdict is not None or source.grammar != "python":
            return verdict
    elif source.grammar != "python":
        start, end = item_span(source, symbol)
        grown = len(changed) - len(data)
        return checks.parses(changed[start : end + grown].decode(), data[start:end].decode(), source.grammar)
    alone = _python_alone(changed, symbol, len(changed) - len(data))
    verdict = checks.compiles(alone)
    if verdict is False and "nonlocal" in alone:  # its names are bound by the functions around it
        return checks.parses(changed.decode(), data.decode(), source.grammar)
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


def body_of_answer(code: str, grammar: str, symbol: Symbol) -> str:
    """The body of the function of that name in a chat answer, indented as the file's own.

    Raises:
        RecordError: `no_such_function`, `signature_changed`, `no_body`.
    """
    source = parse(code.encode(), grammar) if grammar in BODY_LANGUAGES else None
    found = [s for s in find_symbols(source) if s.name == symbol.name] if source is not None else []
    if source is None or not found:
        raise RecordError("no_such_function", f"the answer holds no function {symbol.name} that parses")
    if found[0].parameters != symbol.parameters and found[0].parameters[1:] != symbol.parameters:
        raise RecordError("signature_changed", "the answer's function has other parameters")
    hole = body_hole(source, found[0])
    body = source.data[hole.start : hole.end].decode()
    return _indented(body, found[0].indent, symbol.indent) if grammar == "python" else body


def _indented(body: str, old: str, new: str) -> str:
    first, *rest = body.split("\n")
    return "\n".join([first, *[new + line.removeprefix(old) if line.strip() else line for line in rest]])
