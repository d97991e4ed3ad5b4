"""Verdicts on generated code: does the file parse, is it an echo, does it hold control tokens, how near is it.

Each is a plain function of texts. A verdict is True (good), False (bad) or None (can't be told: no parser for the
language, a file too large, or an original that doesn't parse either). Costs: Python's compiler about 5 MB/s of the
statement that was changed and what finding that one takes; tree-sitter 4 to 7 MB/s of the file.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from rapidfuzz.distance import Levenshtein

from transforms.languages import syntax
from transforms.languages.grammars import SPAN_NODES, grammar_name
from transforms.languages.python_statements import find_statements, future_flags, standing_alone

# Above it neither parser is asked: one file must not hold up a unit for seconds.
MAX_CHECKED_CHARS: Final = 1_000_000
_COMPILE_NAME: Final = "codemill_check"


def parses(
    text: str, original: str, language: str, path: str = "", *, hole: tuple[int, int] | None = None
) -> bool | None:
    """Whether a changed file is as sound as the original.

    Python is judged by its own compiler (tree-sitter takes `print 'hi'` and empty bodies), other languages by
    tree-sitter: the changed file may have no more error nodes than the original. None where there is no
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
    grammar = grammar_name(language, path)
    if grammar is None or max(len(text), len(original)) > MAX_CHECKED_CHARS:
        return None
    if grammar == "python":
        return _compiles_as_before(text, original, hole)
    found = num_errors(text, grammar)
    if found == 0:  # the original's parse, half of what judging costs, could change nothing
        return True
    allowed = _num_errors_cached(original, grammar)
    return None if allowed is None or found is None else found <= allowed


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


def parses_alone(text: str, grammar: str) -> bool | None:
    """Whether a text is sound code: Python by its own compiler, other languages without a syntax error by tree-sitter.

    None where there is no parser for the grammar, or the text is too large or too hard for it.
    """
    if len(text) > MAX_CHECKED_CHARS or grammar not in SPAN_NODES:
        return None
    if grammar == "python":
        return compiles(text)
    errors = num_errors(text, grammar)
    return None if errors is None else errors == 0


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


def is_exact_match(generated: str, original: str) -> bool:
    """Equal up to blanks at both ends.

    >>> is_exact_match("x = 1\\n", "x = 1")
    True
    """
    return generated.strip() == original.strip()


def edit_similarity(generated: str, original: str) -> float:
    """1 minus the Levenshtein distance over the longer length, in characters: 1.0 for equal texts.

    >>> edit_similarity("abcd", "abxd")
    0.75
    """
    return Levenshtein.normalized_similarity(generated, original)


# An overlap shorter than this is how code looks (`):`, `return`), not an echo.
MIN_ECHO_CHARS: Final = 12
_MAX_ECHO_CHARS: Final = 400


def echoes_suffix(generated: str, original: str, suffix: str) -> bool:
    """Whether a middle repeats the beginning of its suffix, as models do that miss where the hole ends.

    The rule, blanks at the ends of both aside: its last characters, at least `MIN_ECHO_CHARS` of them, are the
    suffix's first; or the suffix's first line that isn't blank, if that long, is one of its own lines. An echo that the
    original has as well (code repeats itself) is none.

    >>> echoes_suffix("a = 1\\nreturn combine(a)", "a = 1", "\\n    return combine(a)\\n")
    True
    """
    return _has_echo(generated, suffix) and not _has_echo(original, suffix)


def _has_echo(middle: str, suffix: str) -> bool:
    end, begin = middle.rstrip(), suffix.lstrip()[:_MAX_ECHO_CHARS]
    longest = min(len(end), len(begin))
    if any(end.endswith(begin[:length]) for length in range(MIN_ECHO_CHARS, longest + 1)):
        return True
    first_line = begin.split("\n", 1)[0].strip()
    # A line of the cap's length may be cut off, and is then no whole line to look for.
    if not MIN_ECHO_CHARS <= len(first_line) < _MAX_ECHO_CHARS:
        return False
    return any(line.strip() == first_line for line in middle.split("\n"))


def has_control_text(generated: str, content: str, names: Iterable[str]) -> bool:
    """Whether a control token's name stands in the generated text and nowhere in the file it was generated for."""
    return any(name in generated and name not in content for name in names)
