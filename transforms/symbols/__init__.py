"""Finds functions, methods, classes and modules in a file, with what their documentation must agree with.

    @cached
    def area(w, h=1):          Symbol(kind="function", name="area", parameters=(w, h), returns_value=True, ...)
        \"\"\"Old text.\"\"\"       ├ doc: where the documentation stands now, or None
        return w * h           └ insert_at: where new documentation goes

Works on the UTF-8 bytes of a file: every offset here is in bytes. A file with syntax errors gives the symbols whose own
nodes parse. Cost: a parse (see `transforms.languages.syntax`) and one query.
"""

from __future__ import annotations

from transforms.symbols.find import find_symbols
from transforms.symbols.symbol import Parameter, Symbol

__all__ = ["Parameter", "Symbol", "find_symbols"]
