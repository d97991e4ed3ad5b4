"""Whether a text is sound code, and whether a changed file is as sound as it was.

Python is judged by its own compiler (tree-sitter takes `print 'hi'` and empty bodies), other languages by tree-sitter
within the bounds of `transforms.languages.syntax`. A verdict is True, False or None: it can't be told, which is no
fault: the language isn't known or has no grammar to trust, or the text is too large or too hard. Costs: Python's
compiler about 5 MB/s (of a changed statement alone, and what finding that takes), tree-sitter 4 to 7 MB/s.
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

# Above it neither parser is asked: one file must not hold up a unit for seconds.
MAX_CHECKED_CHARS: Final = 1_000_000
_COMPILE_NAME: Final = "codemill_check"
# A grammar reads all branches of a conditional one after the other, so `{` in two of them is an error to it. Measured
# on an installed system's C and C++: 72% of the files with conditionals have errors, and 11% of the others.
_PREPROCESSED: Final = ("arduino", "c", "cpp", "cuda", "glsl", "hlsl", "objc")
_CONDITIONAL: Final = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|elif|else)\b", re.MULTILINE)


def parses(text: str, language: str, path: str = "") -> bool | None:
    """Whether a text is sound code in its language; None where that can't be told, NUL bytes included, and errors of C
    and its kin beside preprocessor conditionals.

    Args:
        text: A whole file or a piece that can stand for one.
        language: The corpus's name of its language; "" to go by the path.
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
    source = syntax.parse(text.encode("utf-8", "surrogatepass"), found.grammar)
    if source is None:
        return None
    if source.is_sound:
        return True
    return None if found.grammar in _PREPROCESSED and _CONDITIONAL.search(text) else False


def parses_as_before(
    text: str, original: str, language: str, path: str = "", *, hole: tuple[int, int] | None = None
) -> bool | None:
    """Whether a changed file is as sound as the original.

    In Python it must compile; elsewhere it may have no more error nodes than the original. None where there is no
    parser, the file is too large or too hard for it, or, in Python, neither compiles.

    Args:
        text: The changed file.
        original: The file.
        language: The corpus's name of its language.
        path: The file's path, for its extension.
        hole: What of the original was replaced, in characters. Where it is known, Python's compiler is given the
            statement of the module or class that was changed, and the file only where that doesn't compile alone: so
            a fault elsewhere in the file is no reason for None.
    """
    if max(len(text), len(original)) > MAX_CHECKED_CHARS:
        return None
    found = find_language(language, path, original)
    if found is None or not found.reader:
        return None
    if found.reader == "python":
        return _compiles_as_before(text, original, hole)
    errors = num_errors(text, found.reader)
    if errors == 0:  # the original's parse, half of what judging costs, could change nothing
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
    # The changed file before the original: one that compiles needs no other.
    verdict = compiles(text)
    if verdict:
        return True
    if hole and statements:
        alone = standing_alone(original, statements, original[slice(*hole)])
        if alone is not None and compiles(alone, flags):
            return verdict
    return verdict if _compiles_cached(original) else None


def compiles(text: str, flags: int = 0) -> bool | None:
    """Whether this interpreter's compiler takes a text as a Python module; nothing is executed.

    None where the compiler gave up rather than said no (nesting too deep, memory).

    Args:
        text: The module.
        flags: Of `from __future__`, as in `compile`.
    """
    # Only these compilations: the filter matches their file's name, so it is safe beside other threads, which
    # `warnings.catch_warnings` is not.
    warnings.filterwarnings("ignore", module=_COMPILE_NAME)
    try:
        compile(text.removeprefix("\ufeff"), _COMPILE_NAME, "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError):  # ValueError: NUL bytes, lone surrogates
        return False
    except (RecursionError, MemoryError):
        return None
    return True


def num_errors(text: str, grammar: str) -> int | None:
    """How many syntax errors tree-sitter finds; None where it refuses the text."""
    source = syntax.parse(text.encode("utf-8", "surrogatepass"), grammar)
    return None if source is None else source.num_errors


# A file's targets are judged one after the other: its original is parsed once for all of them.
_compiles_cached = functools.lru_cache(maxsize=8)(compiles)
_num_errors_cached = functools.lru_cache(maxsize=8)(num_errors)
