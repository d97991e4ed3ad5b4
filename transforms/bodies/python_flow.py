"""Python's bodies as statements: whether control can pass their end, and what they return, await and yield themselves.

What can't be told counts as an end: `with` whose block ends (a manager may suppress what it raises), `match` of which
all cases end, a call of what seems never to come back (`sys.exit`, `self.fail`).
"""

from __future__ import annotations

import ast
import functools
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import Final

# Functions that don't come back, by how they are called in all languages that leave it to the function.
NEVER_RETURNS: Final = re.compile(
    r"_*(?:exit|abort|panic|fatal|fail|throw|raise|die|bail|terminate|unreachable|rethrow|assert_?never)\w*|error|todo|"
    r"unimplemented|\w*(?:unreachable|_fail|fail_?with|assertnever|noreturn)\w*",
    re.I,
)
Body = Sequence[ast.AST]
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_AWAITS: Final = (ast.Await, ast.AsyncFor, ast.AsyncWith)


@functools.lru_cache(maxsize=4)  # a body is asked about several times, one after another
def statements(body: str, indent: str = "") -> tuple[ast.stmt, ...] | None:
    """A body's own statements; None if it doesn't parse.

    Args:
        body: The body, whose first line has lost its indentation.
        indent: That indentation; "" if it isn't known.
    """
    first, _, rest = body.partition("\n")
    is_block = bool(indent) and not indent.strip()
    text = f"if True:\n{indent}{body}" if is_block else f"{first.strip()}\n{textwrap.dedent(rest)}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tuple(found[0].body if is_block and isinstance(found[0], ast.If) else found)


def passes_end(body: Body) -> bool:
    """Whether control can reach what follows these statements."""
    return all(_passes(statement) for statement in reversed(body))


def _passes(statement: ast.AST) -> bool:
    match statement:
        case ast.Return() | ast.Raise() | ast.Break() | ast.Continue():
            return False
        case ast.If():
            return passes_end(statement.body) or passes_end(statement.orelse)
        case ast.While():
            is_endless = isinstance(statement.test, ast.Constant) and bool(statement.test.value)
            return (not is_endless and passes_end(statement.orelse)) or _breaks(statement.body)
        case ast.For() | ast.AsyncFor():
            return passes_end(statement.orelse) or _breaks(statement.body)
        case ast.With() | ast.AsyncWith():
            return passes_end(statement.body)
        case ast.Try() | ast.TryStar():
            return passes_end(statement.finalbody) and (
                passes_end([*statement.body, *statement.orelse]) or any(passes_end(h.body) for h in statement.handlers)
            )
        case ast.Match():
            return any(passes_end(case.body) for case in statement.cases)
        case ast.Assert(ast.Constant(value)):
            return bool(value)
        case ast.Expr(ast.Call() as call) | ast.Expr(ast.Await(ast.Call() as call)):
            return NEVER_RETURNS.fullmatch(_called(call)) is None
    return True


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _breaks(body: Body) -> bool:
    """Whether a `break` leaves the loop with this body."""
    for statement in body:
        if isinstance(statement, ast.Break):
            return True
        if isinstance(statement, ast.For | ast.AsyncFor | ast.While):
            if _breaks(statement.orelse):
                return True
        elif not isinstance(statement, _SCOPES):
            parts = [getattr(statement, name, ()) for name in ("body", "orelse", "finalbody")]
            parts += [part.body for name in ("handlers", "cases") for part in getattr(statement, name, ())]
            if any(_breaks(part) for part in parts):
                return True
    return False


def own_nodes(body: Body) -> Iterator[ast.AST]:
    """All nodes that run with these statements: not those of a function or a class within them."""
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting.extend(ast.iter_child_nodes(node))


def returned_values(body: Body) -> list[ast.expr | None]:
    """What each `return` returns; None for a bare one."""
    return [node.value for node in own_nodes(body) if isinstance(node, ast.Return)]


def is_none(value: ast.expr | None) -> bool:
    """Whether a `return` gives no value: it is bare, or has `None`."""
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def is_lazy(value: ast.expr | None, calls: Sequence[str]) -> bool:
    """Whether a `return` gives what is iterated over: a generator expression, or what one of these functions gives."""
    return isinstance(value, ast.GeneratorExp) or (isinstance(value, ast.Call) and _called(value) in calls)


def awaits(body: Body) -> bool:
    """Whether the statements themselves await, which only an `async` function may."""
    return any(isinstance(n, _AWAITS) or getattr(n, "is_async", 0) == 1 for n in own_nodes(body))


def yields(body: Body) -> bool:
    """Whether the statements themselves yield, which makes their function a generator."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(body))
