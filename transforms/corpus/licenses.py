"""Which licences a file stands under, as SPDX identifiers.

    licence files (LICENSE, COPYING, ...)   hold for their folder and all below, unless a nearer one does
    SPDX-License-Identifier: in the file    holds for that file, above any licence file

A licence text is recognised by phrases that only it has, with white space and case put aside; one that isn't
recognised counts as none. Identifiers are parsed with `license-expression` against SPDX's own list.
Source: SPDX specification 2.3, annex E (short identifiers in files).
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

_LICENSE_FILE = re.compile(r"^(?:un)?(?:licen[cs]e|copying|copyright|mit-license)(?:[-_.][\w.-]*)?$", re.I)
_NOT_LICENSE_FILE = re.compile(r"\.(?:py|pyi|js|ts|c|h|go|rs|java|rb|json|html)$", re.I)
_IDENTIFIER = re.compile(r"SPDX-License-Identifier:[ \t]*([\w.+() \t-]{1,200})")
_IDENTIFIER_HEAD_CHARS = 4096
MAX_LICENSE_BYTES = 256 * 1024  # the longest common one, GPL-3.0, has 35 KB

# Each phrase must occur, in normal form (lower case, single spaces). The first match wins: narrow before wide.
_TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Apache-2.0", ("apache license", "version 2.0, january 2004")),
    ("AGPL-3.0-only", ("gnu affero general public license", "version 3, 19 november 2007")),
    ("LGPL-3.0-only", ("gnu lesser general public license", "version 3, 29 june 2007")),
    ("LGPL-2.1-only", ("gnu lesser general public license", "version 2.1, february 1999")),
    ("GPL-3.0-only", ("gnu general public license", "version 3, 29 june 2007")),
    ("GPL-2.0-only", ("gnu general public license", "version 2, june 1991")),
    ("MPL-2.0", ("mozilla public license version 2.0",)),
    ("EPL-2.0", ("eclipse public license - v 2.0",)),
    ("PSF-2.0", ("python software foundation license version 2",)),
    ("BSL-1.0", ("boost software license - version 1.0",)),
    ("CC0-1.0", ("cc0 1.0 universal",)),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    ("0BSD", ("permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is "
              "hereby granted. the software is provided",)),
    ("ISC", ("permission to use, copy, modify, and", "distribute this software for any purpose with or without fee",
             "the above copyright notice and this permission notice appear in all copies")),
    ("Zlib", ("this software is provided 'as-is', without any express or implied warranty",
              "altered source versions must be plainly marked")),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "neither the name")),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "may not be used to endorse or promote")),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",)),
    ("MIT", ("permission is hereby granted, free of charge, to any person obtaining a copy",
             "the above copyright notice and this permission notice shall be included")),
)  # fmt: skip


def is_license_file(path: str) -> bool:
    """Whether the path is one where projects keep their licence.

    >>> [is_license_file(path) for path in ("LICENSE", "a/COPYING.txt", "LICENSE-MIT", "license.py", "licenses/x")]
    [True, True, True, False, False]
    """
    name = posixpath.basename(path)
    return _LICENSE_FILE.match(name) is not None and _NOT_LICENSE_FILE.search(name) is None


def license_of_text(text: str) -> str | None:
    """The SPDX identifier of a licence's full text, or None."""
    normal = " ".join(text.lower().replace("\u2019", "'").replace("`", "'").split())
    for identifier, phrases in _TEXTS:
        if all(phrase in normal for phrase in phrases):
            return identifier
    return None


def declared_licenses(text: str) -> tuple[str, ...]:
    """The licences that a file's own SPDX line names, sorted; none where there is no such line or it isn't valid.

    >>> declared_licenses("# SPDX-License-Identifier: MIT OR Apache-2.0")
    ('Apache-2.0', 'MIT')
    """
    found = _IDENTIFIER.search(text[:_IDENTIFIER_HEAD_CHARS])
    if found is None:
        return ()
    from license_expression import ExpressionError, ExpressionParseError

    try:
        parsed = _spdx().parse(found.group(1).strip(), validate=True)
    except (ExpressionError, ExpressionParseError):
        return ()
    return tuple(sorted({str(key) for key in _spdx().license_keys(parsed)}))


@functools.cache
def _spdx() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def licenses_by_folder(license_texts: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """From licence files (path and text), the licences of each folder that has one of its own.

    Those of `name.dist-info/` or `name.egg-info/` hold for all that was installed beside it.

    >>> licenses_by_folder([("LICENSE", "Mozilla Public License Version 2.0")])
    {'': ('MPL-2.0',)}
    """
    found: dict[str, set[str]] = {}
    for path, text in license_texts:
        folder = posixpath.dirname(path)
        parts = folder.split("/")
        for depth, part in enumerate(parts):
            if part.endswith((".dist-info", ".egg-info")):
                folder = "/".join(parts[:depth])
                break
        identifier = license_of_text(text)
        if identifier is not None:
            found.setdefault(folder, set()).add(identifier)
    return {folder: tuple(sorted(identifiers)) for folder, identifiers in found.items()}


def licenses_of(path: str, text: str, by_folder: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The licences of one file: its own SPDX line's, else the nearest folder's above it."""
    if declared := declared_licenses(text):
        return declared
    folder = path.rpartition("/")[0]
    while True:
        if folder in by_folder:
            return by_folder[folder]
        if not folder:
            return ()
        folder = folder.rpartition("/")[0]
