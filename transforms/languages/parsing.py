"""Syntax verdicts: whether a text is sound code, and whether a changed file is as sound as the original.

Python is checked by its own compiler (tree-sitter accepts `print 'hi'` and empty bodies), other languages by
tree-sitter within the bounds of `transforms.languages.syntax`. A verdict is True, False or None. None means
undecidable, which is not a fault: the language is unknown or has no reliable grammar, or the text is too large or too
hard to parse. Cost: Python's compiler about 5 MB/s (only for a changed statement, plus the time to find it),
tree-sitter 4 to 7 MB/s.
"""

from __future__ import annotations

import functools
import re
import warnings
from dataclasses import replace
from typing import Final

from transforms.languages import syntax
from transforms.languages.lookup import find_language
from transforms.languages.python_statements import find_statements, future_flags, standing_alone

# Larger texts are given to neither parser: one file must not delay a unit for seconds.
MAX_CHECKED_CHARS: Final = 1_000_000
_COMPILE_NAME: Final = "codemill_check"
# A grammar reads all branches of a conditional one after another, so `{` in two of them is an error to it. Measured on
# an installed system's C and C++: 72% of the files with conditionals have errors, and 11% of the others.
_PREPROCESSED: Final = ("arduino", "c", "cpp", "cuda", "glsl", "hlsl", "objc")
_CONDITIONAL: Final = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|elif|else)\b", re.MULTILINE)


def parses(text: str, language: str, path: str = "") -> bool | None:
    """Whether a text is sound code in its language; None if that is undecidable, which includes NUL bytes, and errors
    in C and related languages next to preprocessor conditionals.

    Args:
        text: A complete file, or a piece that can be parsed like one.
        language: The corpus's name of its language; "" to use the path.
        path: The file's path, or "".

    >>> parses("let x = [1];", "js"), parses("let x = [1;", "js"), parses("let x", "no such language")
    (True, False, None)
    """
    if len(text) > MAX_CHECKED_CHARS or "\0" in text:
        return None
    found = find_language(language, path, text)
    if found is None or not found.grammar:
        return None
    if found.grammar == "python":
        return compiles(text)
    source = syntax.parse(text.encode("utf-8", "surrogatepass"), found.grammar, is_searched=False)
    if source is None:
        return None
    if source.is_sound:
        return True
    return None if found.grammar in _PREPROCESSED and _CONDITIONAL.search(text) else False


def can_parse(text: str, language: str, path: str = "") -> bool:
    """Whether there is a parser for a file of this language and size, so that `parses_as_before` can decide."""
    found = find_language(language, path, text)
    return found is not None and bool(found.reader) and len(text) <= MAX_CHECKED_CHARS


def parses_as_before(
    text: str, original: str, language: str, path: str = "", *, hole: tuple[int, int] | None = None
) -> bool | None:
    """Whether a changed file is as sound as the original.

    In Python it must compile; in other languages it must not have more error nodes than the original. None if there is
    no parser, the file is too large or too hard to parse, or, in Python, neither version compiles.

    Args:
        text: The changed file.
        original: The file.
        language: The corpus's name of its language.
        path: The file's path, for its extension.
        hole: The range of the original that was replaced, in characters. If it is known, Python's compiler gets only
            the changed statement of the module or class, and the full file only if that statement doesn't compile
            alone. A fault elsewhere in the file therefore doesn't cause None.
    """
    if max(len(text), len(original)) > MAX_CHECKED_CHARS:
        return None
    found = find_language(language, path, original)
    if found is None or not found.reader:
        return None
    if found.reader == "python":
        return _compiles_as_before(text, original, hole)
    errors = num_errors(text, found.reader)
    if errors == 0:  # parsing the original, half of the cost, could not change the verdict
        return True
    allowed = _num_errors_cached(original, found.reader)
    return None if allowed is None or errors is None else errors <= allowed


def _compiles_as_before(text: str, original: str, hole: tuple[int, int] | None) -> bool | None:
    statements = find_statements(original, *hole) if hole else None
    flags = future_flags(original)
    if hole and statements:
        grown = len(text) - len(original)
        changed = replace(statements, end=statements.end + grown)
        alone = standing_alone(text, changed, text[hole[0] : hole[1] + grown])
        if alone is not None and compiles(alone, flags):
            return True
    # The changed file before the original: if it compiles, the original is not needed.
    verdict = compiles(text)
    if verdict:
        return True
    if hole and statements:
        alone = standing_alone(original, statements, original[slice(*hole)])
        if alone is not None and compiles(alone, flags):
            return verdict
    return verdict if _compiles_cached(original) else None


def compiles(text: str, flags: int = 0) -> bool | None:
    """Whether this interpreter's compiler accepts a text as a Python module; nothing is executed.

    None if the compiler gave up instead of rejecting the text (nesting too deep, memory).

    Args:
        text: The module.
        flags: Flags of `from __future__`, as in `compile`.
    """
    # Only for these compilations: the filter matches their file name, so unlike `warnings.catch_warnings` it is safe
    # when other threads run.
    warnings.filterwarnings("ignore", module=_COMPILE_NAME)
    try:
        compile(text.removeprefix("\ufeff"), _COMPILE_NAME, "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError):  # ValueError: NUL bytes, lone surrogates
        return False
    except (RecursionError, MemoryError):
        return None
    return True


def num_errors(text: str, grammar: str) -> int | None:
    """Returns the number of syntax errors that tree-sitter finds; None if it refuses the text."""
    source = syntax.parse(text.encode("utf-8", "surrogatepass"), grammar)
    return None if source is None else source.num_errors


# A file's targets are validated one after another: its original is parsed once for all of them.
_compiles_cached = functools.lru_cache(maxsize=8)(compiles)
_num_errors_cached = functools.lru_cache(maxsize=8)(num_errors)
