"""Finds functions, methods, classes and modules in a file, with the facts that their documentation must agree with.

    @cached
    def area(w, h=1):          Symbol(kind="function", name="area", parameters=(w, h), returns_value=True, ...)
        \"\"\"Old text.\"\"\"       ├ doc: the span of the current documentation, or None
        return w * h           └ insert_at: where new documentation is inserted

Works on the UTF-8 bytes of a file: every offset here is in bytes. For a file with syntax errors, only the symbols whose
own nodes parse are found. Cost: a parse (see `transforms.languages.syntax`) and one query.
"""

from __future__ import annotations

from transforms.symbols.find import find_symbols
from transforms.symbols.symbol import Parameter, Symbol

__all__ = ["Parameter", "Symbol", "find_symbols"]
