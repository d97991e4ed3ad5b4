"""Names that a Python module uses and nothing in it binds, by the compiler's own symbol tables: nothing is run.

What pyflakes reports as undefined names, without its other messages. A name that any statement of the module binds, in
whatever order, counts as bound.
"""

from __future__ import annotations

import builtins
import functools
import symtable
import warnings
from collections.abc import Iterator
from typing import Final

from transforms.verification.python_context import python_tree, star_imports

_OF_MODULES: Final = (
    *("__file__", "__name__", "__doc__", "__package__", "__spec__", "__loader__", "__path__", "__builtins__"),
    *("__annotations__", "__class__", "__module__", "__qualname__", "WindowsError", "__debug__", "__dict__"),
)
_BINDERS: Final = frozenset(("globals", "vars", "locals", "exec", "setattr"))  # may bind any name


@functools.lru_cache(maxsize=4)  # a file is the original of all its answers
def undefined_names(text: str) -> frozenset[str] | None:
    """The names that a module uses and doesn't bind; None: can't tell (a star import, a call that may bind
    them, or it doesn't compile).

    >>> sorted(undefined_names("import os\\ndef f(x): return os.sep + y + x"))
    ['y']
    """
    tree = python_tree(text)
    if tree is None or star_imports(tree):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            top = symtable.symtable(text.removeprefix("\ufeff"), "checked", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    tables = list(_all(top))
    bound = {one.get_name() for one in top.get_symbols() if _is_bound(one)}
    # `global x` in a function binds x in the module.
    bound |= {one.get_name() for table in tables for one in table.get_symbols() if one.is_declared_global()}
    used = {
        one.get_name()
        for table in tables
        for one in table.get_symbols()
        if one.is_referenced() and (one.is_global() if table is not top else not _is_bound(one))
    }
    missing = used - bound - vars(builtins).keys() - set(_OF_MODULES)
    return None if missing and used & _BINDERS else frozenset(missing)


def _is_bound(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def _all(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    waiting = [table]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += one.get_children()
