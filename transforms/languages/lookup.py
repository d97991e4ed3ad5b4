"""Finds a language: by the name that a corpus, a fence or a user gives it, else by the file.

A name that the table doesn't know is not guessed at from the path: the two may contradict each other.
"""

from __future__ import annotations

import functools
from typing import Final

from transforms.languages.files import extension_of, language_of
from transforms.languages.table import BY_NAME, Language, fold

# Files that a corpus calls by their language's name, but that another grammar reads.
_BY_EXTENSION_WITHIN: Final = {("TypeScript", "tsx"): "TSX", ("OCaml", "mli"): "OCaml Interface"}


def find_language(name: str, path: str = "", text: str = "") -> Language | None:
    """The language of a file or of a piece of code; None where it isn't known.

    Args:
        name: What it is called, in any case and spelling (`transforms.languages.table.fold`); blank where nothing says.
        path: The file's path: tells dialects apart, and the language where the name is blank.
        text: The file, for paths whose extension several languages share and for interpreter lines; only read where
            the name is blank.

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


@functools.lru_cache(maxsize=1024)  # a corpus says the same few names for every row
def _named(name: str) -> Language | None:
    return BY_NAME.get(fold(name))
