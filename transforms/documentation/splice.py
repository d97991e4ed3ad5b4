"""Inserts documentation into a file and proves that the code is unchanged.

Python: the definition's `ast` without its documentation is equal before and after. Other languages: the leaves of the
syntax tree that are not comments are equal. For Python, the definition's own lines are compared (any indentation is
wrapped in an `if`), so that a file of 5,000 functions isn't parsed 5,000 times. For other languages, the full file is
compared up to `WHOLE_FILE_BYTES`, and beyond that the top-level item that contains the symbol. Everything outside the
compared range has the same bytes, and the compared range ends outside any comment.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Final

from transforms.documentation.forms import Hole
from transforms.languages.syntax import Source, parse
from transforms.symbols import Symbol
from transforms.symbols.find import item_span
from transforms.symbols.grammars import SYMBOL_GRAMMARS

WHOLE_FILE_BYTES = 16_000


def splice(hole: Hole, answer: str) -> bytes:
    """Returns the file with the answer in the hole."""
    return hole.before + f"{hole.opener}{answer}{hole.closer}".encode() + hole.after


def is_code_unchanged(source: Source, symbol: Symbol, hole: Hole, answer: str) -> bool:
    """Whether the file's code is unchanged with the answer inserted, and the answer is its documentation."""
    spliced = splice(hole, answer)
    if source.grammar == "python":
        return _python_unchanged(source.data, spliced, symbol, hole, answer)
    if _is_read_before_comments(source.grammar, answer):
        return False
    return _tokens_unchanged(source, spliced, symbol)


# Processing that compilers do before they recognize comments: Java's `\u002a/` ends one, and a backslash at the end of
# a line (GCC also allows blanks after it) makes the next line part of one.
_JAVA_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u+(?P<hex>[0-9a-fA-F]{4})?")
_C_JOINED_LINE: Final = re.compile(r"(?:\\|\?\?/)[ \t]*\Z")


def _is_read_before_comments(grammar: str, answer: str) -> bool:
    if grammar in ("c", "cpp"):
        return _C_JOINED_LINE.search(answer) is not None
    if grammar != "java":
        return False
    found = list(_JAVA_ESCAPE.finditer(answer))
    return any(m["hex"] is None or chr(int(m["hex"], 16)) in "*/" for m in found)


def is_same_code(before: bytes, after: bytes, grammar: str) -> bool:
    """Whether two files are the same except for documentation and comments."""
    if grammar == "python":
        trees = [_undocumented_tree(data) for data in (before, after)]
        return trees[0] is not None and trees[0] == trees[1]
    sources = [parse(data, grammar) for data in (before, after)]
    if sources[0] is None or sources[1] is None:
        return False
    return list(_tokens(sources[0])) == list(_tokens(sources[1]))


def _undocumented_tree(data: bytes) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data.decode("utf-8", "replace").removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            value = first.value if isinstance(first, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                del node.body[0]
    return _dumped(tree)


def _dumped(tree: ast.AST) -> str | None:
    """The tree as text; None if it nests too deeply: what Python parses may be too deep to be followed."""
    try:
        return ast.dump(tree)
    except RecursionError:
        return None


def _python_unchanged(data: bytes, spliced: bytes, symbol: Symbol, hole: Hole, answer: str) -> bool:
    before = _python_code(data, symbol, symbol.end)
    after = _python_code(spliced, symbol, symbol.end + len(spliced) - len(data))
    if before is None or after is None:
        return False
    wanted = _literal_value(hole, answer)
    return before[0] == after[0] and after[1] is not None and after[1] == wanted


def _literal_value(hole: Hole, answer: str) -> str | None:
    raw = "r" if hole.opener.strip().startswith("r") else ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            value = ast.literal_eval(f'{raw}"""{answer}"""'.replace("\r\n", "\n"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, str) else None


def _python_code(data: bytes, symbol: Symbol, end: int) -> tuple[str, str | None] | None:
    """The definition's tree without its documentation, and the documentation; None if it doesn't parse."""
    if symbol.kind == "module":
        text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    else:
        start = data.rfind(b"\n", 0, symbol.start) + 1
        blanks = data[start : symbol.start]
        text = data[start if not blanks.strip() else symbol.start : end].decode("utf-8", "replace")
        if text[:1] in (" ", "\t", "\f"):
            text = "if True:\n" + text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree: ast.AST = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    holder: ast.AST = tree
    if symbol.kind != "module":
        assert isinstance(tree, ast.Module)
        first = tree.body[0] if tree.body else None
        holder = first.body[0] if isinstance(first, ast.If) else first if first is not None else tree
    body = getattr(holder, "body", None)
    if body is None:
        return None
    documentation = None
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        value = body[0].value.value
        if isinstance(value, str):
            documentation = value
            del body[0]
    code = _dumped(tree)
    return None if code is None else (code, documentation)


def _tokens_unchanged(source: Source, spliced: bytes, symbol: Symbol) -> bool:
    data, grammar = source.data, source.grammar
    if len(data) > WHOLE_FILE_BYTES:
        start, end = item_span(source, symbol)
        data, spliced = data[start:end], spliced[start : end + len(spliced) - len(data)]
    before, after = parse(data, grammar), parse(spliced, grammar)
    if before is None or after is None:
        return False
    if not before.num_errors and after.num_errors:
        return False
    return list(_tokens(before)) == list(_tokens(after))


def _tokens(source: Source) -> Iterator[bytes]:
    """The text of each leaf that is not a comment, in order."""
    comments = SYMBOL_GRAMMARS[source.grammar].comments
    stack = [source.tree.root_node]
    while stack:
        node = stack.pop()
        if node.type in comments:
            continue
        if node.child_count:
            stack.extend(reversed(node.children))
        else:
            # Some grammars make the line break a separate token, which isn't code.
            text = source.data[node.start_byte : node.end_byte].strip()
            if text:
                yield text
