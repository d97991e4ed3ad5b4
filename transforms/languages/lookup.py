"""Finds a language: by the name that a corpus, a fence or a user gives it, else by the file.

For a name that is not in the table, the path is not consulted: the two may contradict each other.
"""

from __future__ import annotations

import functools
from typing import Final

from transforms.languages.files import extension_of, language_of
from transforms.languages.table import BY_NAME, Language, fold

# Files that a corpus labels with their language's name, but that need another grammar.
_BY_EXTENSION_WITHIN: Final = {("TypeScript", "tsx"): "TSX", ("OCaml", "mli"): "OCaml Interface"}


def find_language(name: str, path: str = "", text: str = "") -> Language | None:
    """Returns the language of a file or of a piece of code; None if it is unknown.

    Args:
        name: The language's name, in any case and spelling (`transforms.languages.table.fold`); blank if unknown.
        path: The file's path: distinguishes dialects, and determines the language if the name is blank.
        text: The file, for paths whose extension several languages share and for interpreter lines; only read if the
            name is blank.

    >>> [find_language(name).name for name in ("js", "C-Sharp", "golang")]
    ['JavaScript', 'C#', 'Go']
    >>> find_language("", "src/a.rs").name, find_language("no such language", "src/a.rs")
    ('Rust', None)
    """
    found = _named(name) if name and not name.isspace() else _named(language_of(path, text) or "")
    if found is None or not path:
        return found
    dialect = _BY_EXTENSION_WITHIN.get((found.name, extension_of(path)))
    return BY_NAME[fold(dialect)] if dialect else found


@functools.lru_cache(maxsize=1024)  # a corpus repeats the same few names
def _named(name: str) -> Language | None:
    return BY_NAME.get(fold(name))
