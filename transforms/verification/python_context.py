"""The part of a Python file that one of its definitions needs, so that it can be run where the rest can't.

A file that imports only the standard library is taken whole. Of another one, the statements at its top level are taken
that bind a name which the definition uses, directly or through others, or that fill its value (`TABLE["a"] = 1`,
`ITEMS.append(2)`); so an import that isn't there matters only to the definitions that use it. Names are compared by
spelling, so a few more statements may be taken than are needed.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_LINES: Final = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")


@dataclass(frozen=True, slots=True)
class Context:
    """Code with the range, in characters, in which the definition stands."""

    code: str
    start: int
    end: int


def needed_context(text: str, start: int, end: int) -> Context:
    """Returns the part of a file that the definition between two offsets (characters) needs; see the module."""
    statements = _statements(text)
    if statements is None:
        return Context(text, start, end)
    own = [number for number, one in enumerate(statements) if one.start <= start and end <= one.end]
    if not own:
        return Context(text, start, end)
    kept = sorted(_closure(statements, own[0]))
    code, moved, last = "", 0, 0
    for number in kept:
        one = statements[number]
        if number == own[0]:
            moved = len(code) - max(one.start, last)
        code += text[max(one.start, last) : one.end]
        last = max(one.end, last)
    return Context(code, start + moved, end + moved)


@functools.lru_cache(maxsize=4)  # the targets of one file follow each other
def _statements(text: str) -> list[_Statement] | None:
    """The statements of a module; None where it is taken whole."""
    tree = python_tree(text)
    if tree is None or all(is_standard(name) for name in imported_roots(tree)):
        return None
    offsets = [0]
    for line in _LINES.split(text):
        offsets.append(offsets[-1] + len(line))
    return [_Statement.of(node, offsets) for node in tree.body]


def python_tree(text: str) -> ast.Module | None:
    """The syntax tree of a module; None where Python can't read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text.removeprefix("\ufeff"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def imported_roots(tree: ast.AST) -> Iterator[str]:
    """The top-level packages that are imported anywhere; "" for a relative import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "" if node.level else (node.module or "").partition(".")[0]


def star_imports(tree: ast.AST) -> bool:
    """Whether names are imported that nobody sees."""
    return any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))


def is_standard(root: str) -> bool:
    """Whether a package belongs to the standard library."""
    return root in sys.stdlib_module_names


@dataclass(frozen=True, slots=True)
class _Statement:
    start: int
    end: int
    binds: frozenset[str]
    fills: frozenset[str]
    uses: frozenset[str]
    is_always_needed: bool

    @classmethod
    def of(cls, node: ast.stmt, offsets: list[int]) -> _Statement:
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        has_star = isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        return cls(
            start=offsets[first - 1],
            end=offsets[min(node.end_lineno or node.lineno, len(offsets) - 1)],
            binds=frozenset(_bound(node)),
            fills=frozenset(_filled(node)),
            uses=frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name)),
            is_always_needed=is_future or has_star,
        )


def _bound(statement: ast.AST) -> Iterator[str]:
    """The names that a statement binds at the module's level."""
    for node in _at_module_level(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _filled(statement: ast.AST) -> Iterator[str]:
    """The names of the values that a statement changes at the module's level: in a part, or by a method."""
    if isinstance(statement, ast.If) and any(
        isinstance(one, ast.Name) and one.id == "__name__" for one in ast.walk(statement.test)
    ):
        return  # what only a main program does
    for node in _at_module_level(statement):
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                root = _root(node)
            case ast.Expr(value=ast.Call(func=ast.Attribute() as method)):
                root = _root(method)
            case _:
                continue
        if root is not None:
            yield root


def _root(node: ast.AST) -> str | None:
    """The name with which an expression of parts and calls begins."""
    while not isinstance(node, ast.Name):
        match node:
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Call(func=inner):
                node = inner
            case _:
                return None
    return node.id


def _at_module_level(statement: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a statement, without those inside of definitions."""
    waiting = [statement]
    while waiting:  # not recursive: a sum of a thousand terms is a thousand levels deep
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def _closure(statements: list[_Statement], own: int) -> set[int]:
    kept = {number for number, one in enumerate(statements) if one.is_always_needed} | {own}
    while True:
        uses = frozenset().union(*(statements[number].uses for number in kept))
        filled = uses | statements[own].binds  # a function has attributes without telling so
        more = {n for n, one in enumerate(statements) if one.binds & uses or one.fills & filled} - kept
        if not more:
            return kept
        kept |= more
