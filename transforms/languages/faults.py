"""Where a text that does not parse is at fault: `line 3, column 9: '(' was never closed`.

For people who study rejected records, so it is asked only of texts that `transforms.languages.parsing` has rejected.
Python's own compiler says what is wrong, tree-sitter only where. A line of this kind never quotes the text: names that
the compiler's message has are replaced by `...`.

Cost: two parses of the text, and two of the original.
"""

from __future__ import annotations

import keyword
import re
import warnings
from typing import Final

from transforms.languages import syntax
from transforms.languages.lookup import find_language
from transforms.languages.python_statements import find_statements, future_flags, standing_alone

_COMPILE_NAME: Final = "codemill_fault"
_QUOTED: Final = re.compile(r"'([^']*)'")
_WORD: Final = re.compile(r"[^\W\d]\w*")
# What the compiler names without quotes.
_UNQUOTED: Final = re.compile(r"(keyword argument repeated: |repeated in class pattern: |future feature )\S+")
_BUILTINS: Final = frozenset({"print", "exec"})  # "Missing parentheses in call to 'print'"
_ERRORS: Final = "(ERROR) @x (MISSING) @x"

Hole = tuple[int, int]


def first_fault(text: str, language: str, path: str = "", *, original: str = "", hole: Hole | None = None) -> str:
    """Returns place and kind of the first fault of a text that does not parse; "" if they can't be told.

    Lines count from 1, and so do columns, in characters.

    Args:
        text: The text.
        language: The corpus's name of its language; "" to use the path.
        path: The file's path, or "".
        original: The text before it was changed: its own faults are passed over if there are others.
        hole: The range of the original that was replaced, in characters.

    >>> first_fault("def f(x:\\n    return x\\n", "python")
    "line 1, column 6: '(' was never closed"
    """
    found = find_language(language, path, original or text)
    if found is None or not found.reader or "\0" in text:
        return ""
    if found.reader == "python":
        return _python_fault(text, original, hole)
    # As in `parsing`: a complete file by the grammar that is reliable, a change by any that finds nodes.
    return _tree_fault(text, found.reader if hole else found.grammar or found.reader, original, hole)


# --- Python ------------------------------------------------------------------------------------------


def _python_fault(text: str, original: str, hole: Hole | None) -> str:
    flags = future_flags(text)
    if hole is not None and _compiled(original, flags) is not None:  # the file's own fault may come first
        grown = len(text) - len(original)
        statements = find_statements(text, hole[0], hole[1] + grown)
        alone = standing_alone(text, statements, text[hole[0] : hole[1] + grown]) if statements else None
        if statements is not None and alone is not None and (error := _compiled(alone, flags)) is not None:
            # A statement of a class is wrapped in one, which adds a line.
            return _told(error, text.count("\n", 0, statements.start) - bool(statements.indent))
    error = _compiled(text, flags)
    return "" if error is None else _told(error, 0)


def _compiled(text: str, flags: int) -> SyntaxError | None:
    warnings.filterwarnings("ignore", module=_COMPILE_NAME)
    try:
        compile(text.removeprefix("\ufeff"), _COMPILE_NAME, "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def _told(error: SyntaxError, lines_before: int) -> str:
    message = _without_names(error.msg)
    if error.lineno is None:
        return message
    line = max(1, error.lineno + lines_before)
    return f"line {line}, column {error.offset}: {message}" if error.offset else f"line {line}: {message}"


def _without_names(message: str) -> str:
    r"""Leaves the words of the text out of the compiler's message.

    >>> _without_names("duplicate argument 'key' in function definition")
    "duplicate argument '...' in function definition"
    >>> _without_names("expected 'except' or 'finally' block")
    "expected 'except' or 'finally' block"
    """
    message = _UNQUOTED.sub(r"\1...", message)
    return _QUOTED.sub(lambda found: found[0] if _is_syntax(found[1]) else "'...'", message)


def _is_syntax(quoted: str) -> bool:
    words = _WORD.findall(quoted)
    return (
        quoted.isascii() and len(quoted) <= 20 and all(keyword.iskeyword(word) or word in _BUILTINS for word in words)
    )


# --- other languages ---------------------------------------------------------------------------------


def _tree_fault(text: str, grammar: str, original: str, hole: Hole | None) -> str:
    data = text.encode("utf-8", "surrogatepass")
    source = syntax.parse(data, grammar)
    if source is None or source.is_sound:
        return ""
    nodes = syntax.captures(source, _ERRORS).get("x", [])
    if not nodes:
        return ""
    known: set[tuple[int, int]] = set()
    if original and hole is not None:
        before = original.encode("utf-8", "surrogatepass")
        start = len(original[: hole[0]].encode("utf-8", "surrogatepass"))
        old = syntax.parse(before, grammar)
        if old is not None and not old.is_sound:
            grown = len(data) - len(before)
            known = {
                (node.start_byte + (grown if node.start_byte > start else 0), node.kind_id)
                for node in syntax.captures(old, _ERRORS).get("x", [])
            }
    node = next((node for node in nodes if (node.start_byte, node.kind_id) not in known), nodes[0])
    where = _place(data, node.start_byte)
    if node.is_missing:
        return f"{where}: {node.type} is missing"  # a word of the grammar
    last = data.count(b"\n", 0, max(node.start_byte, node.end_byte - 1)) + 1
    ends = f" that ends in line {last}" if last > data.count(b"\n", 0, node.start_byte) + 1 else ""
    return f"{where}: a syntax error{ends}"


def _place(data: bytes, offset: int) -> str:
    line, start = data.count(b"\n", 0, offset) + 1, data.rfind(b"\n", 0, offset) + 1
    return f"line {line}, column {len(data[start:offset].decode('utf-8', 'replace')) + 1}"
