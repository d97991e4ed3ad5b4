"""Whether the code of an answer is about its target, by what it says: read, not run.

    tests          assert something, and don't define once more what they test
    translations   have a function of the target's name, in any style
    repairs        change no line that could have stayed as it was

Pure functions of texts. What can't be told passes.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Final

from transforms import checks
from transforms.bodies.placeholders import is_placeholder
from transforms.evaluation.programs.layouts import code_of
from transforms.languages.lookup import find_language
from transforms.languages.parsing import parses
from transforms.languages.syntax import parse
from transforms.symbols import find_symbols
from transforms.symbols.grammars import SYMBOL_GRAMMARS
from transforms.verification.assertions import PYTHON_ASSERTS, PYTHON_RAISES, can_fail

# --- code --------------------------------------------------------------------------------------------

# Assertions that hold whatever the code does.
_TRIVIAL: Final = re.compile(
    r"(?:\w+\s*\.\s*)*(?:assert\w*!?|expect|True|IsTrue)\s*\(\s*(?:true|True|1|1\s*,\s*1|true\s*,\s*true)\s*\)"
    r"(?:\s*\.\s*\w+\s*\(\s*(?:true|1)?\s*\))?|\bassert (?:True|1)\b"
)
_LIKE_JAVASCRIPT: Final = ("typescript", "tsx")
# Python's words for it, as they stand in code without comments and texts: a parse would take most of a verdict's time.
_PYTHON_FAILS: Final = re.compile(rf"\b(?:{PYTHON_ASSERTS.pattern}|{PYTHON_RAISES.pattern})\b")
_PYTHON_TEXTS: Final = re.compile(
    r"""(?P<quotes>"{3}|'{3}).*?(?P=quotes)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|#[^\n]*""", re.S
)


def asserts(tests: str, grammar: str) -> bool:
    """Whether tests assert something that the code could fail.

    >>> asserts("def test_f():\\n    f(1)\\n    assert True", "python"), asserts("assert f(1) == 2", "python")
    (False, True)
    """
    bare = _TRIVIAL.sub("0", tests)
    if grammar == "python":
        return _PYTHON_FAILS.search(code_alone(bare, grammar)) is not None
    return can_fail(
        "JavaScript" if grammar in _LIKE_JAVASCRIPT else "C++" if grammar == "c" else _linguist(grammar), bare
    )


# How a function is defined after a word for it; without one, a name, parameters and a bracket.
_BY_WORD: Final = re.compile(r"\b(?:def|func|fun|fn|function)\s+(?:\([^)]*\)\s*|<[^>]*>\s*|[\w.]+\.)?(\w+)")


def redefines(code: str, grammar: str, name: str) -> bool:
    """Whether code defines a function of this name itself."""
    wanted = re.escape(name)
    if grammar == "python":
        return re.search(rf"^\s*(?:(?:async\s+)?def\s+{wanted}\b|{wanted}\s*=\s*lambda\b)", code, re.M) is not None
    may_be = rf"\b(?:func|fun|fn|function|const|let|var)\b[^;{{}}=]*\b{wanted}\b|\b{wanted}\s*\([^;{{}}]*\)[^;{{}}]*\{{"
    return re.search(may_be, code) is not None and name in _functions(code, grammar)


_MAY_BE_STUB: Final = re.compile(
    r"\b(?:TODO|FIXME|pass|unimplemented|todo)\b|\.\.\.|not? ?(?:yet )?(?:implemented|supported)|your code|"
    r"UnsupportedOperation",
    re.I,
)


def is_stub(code: str, grammar: str) -> bool:
    """Whether each function of the code only stands for one that is still to be written.

    >>> is_stub("def f(x):\\n    pass  # TODO", "python"), is_stub("def f(x):\\n    return x  # TODO: faster", "python")
    (True, False)
    """
    if _MAY_BE_STUB.search(code) is None or grammar not in SYMBOL_GRAMMARS:
        return False
    source = parse(code.encode("utf-8", "replace"), grammar)
    symbols = find_symbols(source, facts=False) if source is not None else []
    bodies = [
        source.data[one.body_start : one.body_end].decode("utf-8", "replace").strip()
        for one in symbols
        if source is not None and one.kind in ("function", "method") and one.body_end > one.body_start
    ]
    inside = [body[1:-1] if body[:1] == "{" and body[-1:] == "}" else body for body in bodies]
    return bool(inside) and all(is_placeholder(body, grammar) for body in inside)


def defines_like(code: str, grammar: str, name: str) -> bool:
    """Whether code defines a function of this name, in any language's style; true where functions can't be found.

    >>> defines_like("func IsEven(n int) bool { return n%2 == 0 }", "go", "is_even")
    True
    """
    if grammar not in SYMBOL_GRAMMARS or _plain(name) in map(_plain, _BY_WORD.findall(code)):
        return True
    return _plain(name) in map(_plain, _functions(code, grammar))


def code_alone(code: str, grammar: str) -> str:
    """The code without its comments and texts."""
    return _PYTHON_TEXTS.sub(" ", code) if grammar == "python" else code_of(code, _linguist(grammar))


def _functions(code: str, grammar: str) -> list[str]:
    source = parse(code.encode("utf-8", "replace"), grammar) if grammar in SYMBOL_GRAMMARS else None
    symbols = find_symbols(source, facts=False) if source is not None else []
    return [one.name for one in symbols if one.kind in ("function", "method")]


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _linguist(grammar: str) -> str:
    found = find_language(grammar)
    return "" if found is None else found.name


# --- repairs -----------------------------------------------------------------------------------------

MOST_CHANGES: Final = 40  # more places than these aren't tried one by one


def changes_only_faults(code: str, original: str, grammar: str) -> bool:
    """Whether each change of a repaired file is needed: with its old lines put back, the file doesn't parse.

    Blank lines and blanks at the ends of lines don't count.
    """
    old, new = ([line.rstrip() for line in text.splitlines() if line.strip()] for text in (original, code))
    changes = list(itertools.islice(_changes(old, new), MOST_CHANGES))
    if len(changes) == 1:
        return True  # without it, the file is the one that didn't parse
    return not any(parses("\n".join([*new[: c[2]], *old[c[0] : c[1]], *new[c[3] :]]) + "\n", grammar) for c in changes)


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """The smallest changed ranges of lines: `old[a:b]` became `new[c:d]`."""
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if b - a == d - c:
            yield from ((a + i, a + i + 1, c + i, c + i + 1) for i in range(b - a))
        elif kind == "replace" and (b - a) * (d - c) <= _MOST_PAIRS:
            yield from _paired(old, new, (a, b), (c, d))
        else:
            yield a, b, c, d


_MOST_PAIRS: Final = 400
_LIKE: Final = 0.6  # a line as similar as this is the same line, changed


def _paired(
    old: Sequence[str], new: Sequence[str], olds: tuple[int, int], news: tuple[int, int]
) -> Iterator[tuple[int, int, int, int]]:
    """Unequal numbers of lines as lines that were changed, taken out and put in."""
    at, end = news
    for i in range(*olds):
        alike = [(checks.edit_similarity(new[j].strip(), old[i].strip()), -j) for j in range(at, end)]
        similarity, j = max(alike, default=(0.0, 0))
        if similarity < _LIKE:
            yield i, i + 1, at, at
            continue
        yield from ((i, i, k, k + 1) for k in range(at, -j))
        yield i, i + 1, -j, 1 - j
        at = 1 - j
    yield from ((olds[1], olds[1], k, k + 1) for k in range(at, end))
