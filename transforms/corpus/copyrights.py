"""Copyright lines of a file: who asks to be named when the file is passed on.

Permissive licenses allow copies that keep the copyright notice. Found are lines that state one, not those that speak of
one ("the above copyright notice"):

    Copyright (c) 2019 Example Authors        (c) 2019-2021 Acme GmbH        SPDX-FileCopyrightText: 2019 Authors

A license file is searched as a whole, another file at its start. E-mail addresses are left out, since a notice names
its holder without them. Of the GNU licenses' texts, the line of the Free Software Foundation is that of the license.
Cost: one search for a word in the first 4,096 characters of most files.
Source: 17 U.S.C. 401(b) (form of notice); REUSE specification 3.3 (SPDX-FileCopyrightText).
"""

from __future__ import annotations

import re
from typing import Final

from transforms.corpus.licenses import MAX_LICENSE_BYTES, is_license_file

_HEAD_CHARS: Final = 4096
MAX_LINE_CHARS: Final = 200
_READ_LINE_CHARS: Final = 4 * MAX_LINE_CHARS  # the search for addresses takes quadratic time

_WORDS = ("opyright", "OPYRIGHT", "©", "(c)", "(C)")  # one of them is in every notice
_NOTICE = re.compile(
    # At the start of a line, but for the marks of a comment: elsewhere it is mostly code or prose about notices.
    r"(?:[^\w\n(©]|\((?!c\))){0,16}(?:dnl |rem )?(?:@|portions )?"
    r"(?P<notice>(?:SPDX-FileCopyrightText:[ \t]*(?=\S)"
    r"|copyright[ \t:,]*(?:\(c\)|©|\(©\)|(?=(?:19|20)\d\d\b))"
    r"|(?:\(c\)|©)[ \t]*(?:copyright\b|(?=(?:19|20)\d\d\b)))(?:(?!\*/|-->)[^\n])*)",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[ \t]*[<(\[]?[\w.+%-]+@[\w-]+(?:\.[\w-]+)+[>)\]]?")
_PLACEHOLDER = re.compile(r"\byyyy\b|[<\[{](?:year|name|fullname|copyright)|\bname of (?:copyright owner|author)", re.I)
_COMMENT_END = re.compile(r"[\s*/#;\"'`\\-]+$")
_GNU_HOLDER = re.compile(r"free software foundation", re.IGNORECASE)


def copyright_lines(path: str, text: str) -> list[str]:
    """The copyright lines of a file, each once, in their order.

    >>> copyright_lines("a.c", "/* Copyright (c) 2019 Example Authors <authors@example.org> */")
    ['Copyright (c) 2019 Example Authors']
    >>> copyright_lines("LICENSE", "The above copyright notice shall be included. Copyright [yyyy] [name]")
    []
    """
    is_license = is_license_file(path)
    head = text[: MAX_LICENSE_BYTES if is_license else _HEAD_CHARS]
    if not any(word in head for word in _WORDS):
        return []
    lines = filter(_may_be_notice, head.split("\n"))
    found = dict.fromkeys(_plain(match["notice"]) for match in map(_NOTICE.match, lines) if match is not None)
    return [line for line in found if _names_someone(line) and not (is_license and _GNU_HOLDER.search(line))]


def _may_be_notice(line: str) -> bool:
    """Whether a line has a word of a notice, in any case: most lines have none, and the pattern takes longer to say so.

    The letters of "opyr" have no other forms in upper or lower case, unlike "i".
    """
    lowered = line.lower()
    return "opyr" in lowered or "(c)" in lowered or "©" in lowered


def _plain(line: str) -> str:
    """A notice without addresses and the marks of the comment that it stands in; a long one is cut, and says so."""
    plain = _COMMENT_END.sub("", " ".join(_EMAIL.sub("", line[:_READ_LINE_CHARS]).split()))
    is_whole = len(line) <= _READ_LINE_CHARS and len(plain) <= MAX_LINE_CHARS
    return plain if is_whole else plain[: MAX_LINE_CHARS - 1] + "…"


def _names_someone(line: str) -> bool:
    """Whether more is left than the mark and years, and no template's field."""
    rest = re.sub(r"SPDX-FileCopyrightText:|copyright|\(c\)|[\W\d_]|all rights reserved", "", line, flags=re.IGNORECASE)
    return len(rest) > 1 and not _PLACEHOLDER.search(line)
