"""Takes documentation out of a chat model's answer: out of the fence or the definition in which it was written.

    Here it is:                    Halves a number.
    ```rust                   ->
    /// Halves a number.
    ```

A fence that wraps the documentation is taken off. A fence *inside* documentation is an example and part of it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final

from transforms.documentation.forms import without_delimiters
from transforms.languages.syntax import Source, parse
from transforms.symbols import Symbol, find_symbols
from transforms.talk import is_chatter

_FENCE: Final = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[^\n`]*\n(?P<code>.*?)^[ \t]*(?P=fence)[ \t]*\r?$", re.M | re.S
)
_WHOLE: Final = re.compile(r"\A\s*(?P<fence>`{3,}|~{3,})[^\n`]*\n(?P<code>.*)^[ \t]*(?P=fence)\s*\Z", re.M | re.S)
_DELIMITED: Final = re.compile(r"\s*(?:r?\"\"\"|'''|/\*[*!]|///|//!|//)")
_LEADING_COMMENT: Final = re.compile(r"\s*(?:/\*[*!].*?\*/|(?:[ \t]*//[/!]?[^\n]*(?:\n|\Z))+|r?\"\"\".*?\"\"\")", re.S)
_INTRODUCTION_CHARS: Final = 200


def documentation_of(source: Source, symbol: Symbol, written: str) -> str:
    """Returns the documentation in an answer, with its own delimiters, if it has any.

    Args:
        source: The file.
        symbol: The definition that was to be documented.
        written: The answer.
    """
    blocks = list(_candidates(written))
    for text in blocks:
        if (found := _of_definition(source, symbol, text)) is not None:
            return found
    for text in blocks:
        if _DELIMITED.match(text) and _is_documentation(text, source.grammar):
            return text
    fenced = _FENCE.search(written)
    if fenced is not None and _is_introduction(written[: fenced.start()]) and not written[fenced.end() :].strip():
        return fenced["code"]
    if fenced is not None and is_chatter(written[: fenced.start()]) and written[: fenced.start()].strip():
        return fenced["code"]
    return written


def _candidates(written: str) -> Iterator[str]:
    """What is in the fence around everything, in each fence, and everything."""
    introduced = re.sub(r"\A[^\n`]*\n\s*(?=```|~~~)", "", written)
    if whole := _WHOLE.match(introduced):
        yield whole["code"]
    for fenced in _FENCE.finditer(written):
        yield fenced["code"]
    yield written


def _of_definition(source: Source, symbol: Symbol, text: str) -> str | None:
    """The documentation of the definition of the symbol's name; None if there is none."""
    answer = parse(text.encode(), source.grammar) if symbol.name and symbol.name in text else None
    is_class = symbol.kind == "class"  # a class and its constructor may have the same name
    found = find_symbols(answer) if answer is not None else []
    same = [s for s in found if s.name == symbol.name and (s.kind == "class") == is_class]
    doc = next((s.doc for s in same if s.doc is not None), None)
    if doc is not None:
        return inspect.cleandoc(text.encode()[slice(*doc)].decode())
    # A member of a class alone, which some grammars don't read as one.
    leading = _LEADING_COMMENT.match(text)
    rest = text[leading.end() :].lstrip() if leading else ""
    is_its_own = re.match(rf"[^\n;{{]*\b{re.escape(symbol.name)}\b[^\n;]*", rest) if symbol.name else None
    return leading[0].strip() if leading and is_its_own else None


def _is_documentation(text: str, grammar: str) -> bool:
    """Whether a delimited text is nothing else: an example may begin with a comment."""
    bare = without_delimiters(text)
    markers = ("//",) if grammar != "python" else ()
    return bare != text.strip() and not any(line.strip().startswith(markers) for line in bare.splitlines() if markers)


def _is_introduction(text: str) -> bool:
    """Whether a text introduces the answer: nothing, or a short line that ends with a colon."""
    bare = text.strip()
    return not bare or (
        len(bare) < _INTRODUCTION_CHARS and "\n" not in bare and bare.endswith(":") and is_chatter(bare)
    )
