"""Which licenses a file stands under, as SPDX identifiers.

    license files (LICENSE, COPYING, ...)   hold for their folder and all below, unless a nearer one does
    SPDX-License-Identifier: in the file    holds for that file, above any license file

A license text is recognized by phrases that only it has, with white space and case put aside; one that isn't
recognized counts as none. Identifiers are parsed with `license-expression` against SPDX's own list.
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
_NOTHING_DECLARED = ("NOASSERTION", "NONE")
MAX_LICENSE_BYTES = 256 * 1024  # the longest common one, GPL-3.0, has 35 KB

_MARKUP = re.compile(r"[#*_=]+|-{3,}")  # headings and emphasis, which may stand within a title of two lines
# Each phrase must occur, in normal form (lower case, single spaces). The first match wins: narrow before wide.
# The title of a GNU license is one phrase, since the texts of GPL-2.0 and GPL-3.0 name the LGPL at their ends.
_TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("SSPL-1.0", ("server side public license", "version 1, october 16, 2018")),
    ("BUSL-1.1", ("business source license 1.1",)),
    ("Elastic-2.0", ("elastic license 2.0",)),
    ("ECL-2.0", ("educational community license", "version 2.0, april 2007")),
    ("Apache-2.0", ("apache license", "version 2.0, january 2004")),
    ("AGPL-3.0-only", ("gnu affero general public license version 3, 19 november 2007",)),
    ("LGPL-3.0-only", ("gnu lesser general public license version 3, 29 june 2007",)),
    ("LGPL-2.1-only", ("gnu lesser general public license version 2.1, february 1999",)),
    ("LGPL-2.0-only", ("gnu library general public license version 2, june 1991",)),
    ("GFDL-1.3-only", ("gnu free documentation license version 1.3, 3 november 2008",)),
    ("GFDL-1.2-only", ("gnu free documentation license version 1.2, november 2002",)),
    ("GPL-3.0-only", ("gnu general public license version 3, 29 june 2007",)),
    ("GPL-1.0-only", ("gnu general public license version 1, february 1989",)),
    ("GPL-2.0-only", ("gnu general public license version 2, june 1991",)),
    ("MPL-2.0", ("mozilla public license version 2.0",)),
    ("MPL-1.1", ("mozilla public license version 1.1",)),
    ("EPL-1.0", ("eclipse public license - v 1.0",)),
    ("AFL-3.0", ("licensed under the academic free license version 3.0",)),
    ("OSL-3.0", ("licensed under the open software license version 3.0",)),
    ("Artistic-2.0", ("the artistic license 2.0",)),
    ("EUPL-1.2", ("european union public licence v. 1.2",)),
    ("EUPL-1.1", ("european union public licence v. 1.1",)),
    ("CDDL-1.0", ("common development and distribution license (cddl)", "version 1.0")),
    ("CC-BY-NC-SA-4.0", ("creative commons attribution-noncommercial-sharealike 4.0 international",)),
    ("CC-BY-NC-4.0", ("creative commons attribution-noncommercial 4.0 international",)),
    ("CC-BY-SA-4.0", ("creative commons attribution-sharealike 4.0 international",)),
    ("CC-BY-4.0", ("creative commons attribution 4.0 international",)),
    ("MS-PL", ("microsoft public license (ms-pl)",)),
    ("MS-RL", ("microsoft reciprocal license (ms-rl)",)),
    ("UPL-1.0", ("the universal permissive license (upl), version 1.0",)),
    ("WTFPL", ("do what the fuck you want to public license",)),
    ("OFL-1.1", ("sil open font license version 1.1",)),
    ("BlueOak-1.0.0", ("blue oak model license", "version 1.0.0")),
    ("LPPL-1.3c", ("the latex project public license", "lppl version 1.3c")),
    ("ODbL-1.0", ("open database license (odbl)",)),
    ("MulanPSL-2.0", ("mulan psl v2",)),
    ("Vim", ("no restrictions on distributing unmodified copies of vim",)),
    ("Apache-1.1", ("apache software license", "version 1.1")),
    ("OpenSSL", ("software developed by the openssl project for use in the openssl toolkit",)),
    ("PostgreSQL", ("permission to use, copy, modify, and distribute this software and its documentation for any "
                    "purpose, without fee, and without a written agreement is hereby granted",)),
    ("curl", ("distribute this software for any purpose with or without fee", "noninfringement of third party rights")),
    ("JSON", ("the software shall be used for good, not evil",)),
    ("NCSA", ("to deal with the software without restriction",)),
    ("X11", ("permission is hereby granted, free of charge, to any person", "the name of the x consortium")),
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
    ("BSD-4-Clause", ("redistribution and use in source and binary forms",
                      "all advertising materials mentioning features or use of this software must display")),
    ("BSD-3-Clause-Clear", ("redistribution and use in source and binary forms",
                            "no express or implied licenses to any party's patent rights are granted")),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "neither the name")),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "may not be used to endorse or promote")),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",)),
    ("MIT", ("permission is hereby granted, free of charge, to any person obtaining a copy",
             "the above copyright notice and this permission notice shall be included")),
    ("MIT-0", ("permission is hereby granted, free of charge, to any person obtaining a copy",
               "persons to whom the software is furnished to do so. the software is provided")),
)  # fmt: skip


def is_license_file(path: str) -> bool:
    """Whether the path is one where projects keep their license.

    >>> [is_license_file(path) for path in ("LICENSE", "a/COPYING.txt", "LICENSE-MIT", "license.py", "licenses/x")]
    [True, True, True, False, False]
    """
    name = posixpath.basename(path)
    return _LICENSE_FILE.match(name) is not None and _NOT_LICENSE_FILE.search(name) is None


def license_of_text(text: str) -> str | None:
    """The SPDX identifier of a license's full text, or None."""
    plain = text.lower().replace("\u2019", "'").replace("`", "'")
    normal = " ".join(_MARKUP.sub(" ", plain).split())
    for identifier, phrases in _TEXTS:
        if phrases[0] in normal and all(map(normal.__contains__, phrases[1:])):
            return identifier
    return None


def declared_name(text: str) -> str:
    """What a file's own SPDX line says, be it a valid expression or not; "" where there is no such line, or where it
    says that nothing is known.

    >>> declared_name("<!-- SPDX-License-Identifier: MIT -->"), declared_name("// SPDX-License-Identifier: NOASSERTION")
    ('MIT', '')
    """
    found = _IDENTIFIER.search(text[:_IDENTIFIER_HEAD_CHARS])
    name = found.group(1).strip(" \t-") if found else ""
    while name.endswith(")") and name.count(")") > name.count("("):  # the sentence's own
        name = name[:-1].rstrip()
    return "" if name in _NOTHING_DECLARED else name


def declared_licenses(text: str) -> tuple[str, ...]:
    """The licenses that a file's own SPDX line names, sorted; none where there is no such line or it isn't valid.

    >>> declared_licenses("# SPDX-License-Identifier: MIT OR Apache-2.0")
    ('Apache-2.0', 'MIT')
    """
    parsed = _declared(text)
    return () if parsed is None else tuple(sorted({str(key) for key in spdx().license_keys(parsed)}))


def declared_expression(text: str) -> str | None:
    """The expression of a file's own SPDX line, with its operators and exceptions; None as for `declared_licenses`.

    >>> declared_expression("// SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR MIT")
    'GPL-2.0-only WITH Linux-syscall-note OR MIT'
    """
    parsed = _declared(text)
    return None if parsed is None else str(parsed)


def _declared(text: str) -> Any | None:
    return parse_expression(declared_name(text))


def parse_expression(text: str) -> Any | None:
    """An SPDX expression as `license-expression` parses it; None if it isn't valid or names no known license.

    >>> [str(parse_expression(text)) for text in ("mit or ISC", "MIT AND ()", "Acme", "")]
    ['MIT OR ISC', 'None', 'None', 'None']
    """
    from license_expression import ExpressionError, ExpressionParseError

    try:
        return spdx().parse(text.strip(), validate=True)
    except (ExpressionError, ExpressionParseError):
        return None
    except (AssertionError, IndexError):  # what the library raises on empty parentheses and misplaced operators
        return None


@functools.cache
def spdx() -> Any:
    """SPDX's list of licenses and exceptions."""
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def licenses_by_folder(license_texts: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """From license files (path and text), the licenses of each folder that has one of its own.

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
    """The licenses of one file: its own SPDX line's, even if that names none of SPDX's; else the nearest folder's above
    it."""
    if declared_name(text):
        return declared_licenses(text)
    folder = path.rpartition("/")[0]
    while True:
        if folder in by_folder:
            return by_folder[folder]
        if not folder:
            return ()
        folder = folder.rpartition("/")[0]
