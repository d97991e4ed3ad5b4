"""Where a value stands that may be personal: in quotes, in prose, or under a name that makes it something else."""

from __future__ import annotations

import re

from transforms.scanning.candidate import Candidate
from transforms.scanning.personal.names import normalized

_NAME_BYTES = 80
_KEY_BEFORE = re.compile(rb"[\w\])\"'>-][\"']?[ \t]{0,8}(?::|=|=>|:=|==|>)[ \t]{0,8}[\"']?$")
_OPENING = {b'"': b'"', b"'": b"'", b">": b"<", b"`": b"`"}
_PROSE_BEFORE = re.compile(rb"[A-Za-z\x80-\xff]{2,}[,:;.]? (?:[(]|)$")
_PROSE_AFTER = re.compile(rb"[)]?(?:[.,;:!?]|)(?:$|[ \t\r\"'])")
_MARGIN = re.compile(rb"[ \t]*(?:[#*;|]|//|--)?[ \t]*$")


def name_of(candidate: Candidate) -> str:
    """The words before the value on its line, or else the name of its column, `normalized`."""
    before = candidate.before(_NAME_BYTES)
    column = candidate.document.columns.at(candidate.span[0])
    return normalized(column) + " " if column else normalized(before)


def is_keyed(candidate: Candidate) -> bool:
    """Whether a name is directly before the value: `name = "value"`, `"name": value`, `<name>value`."""
    return _KEY_BEFORE.search(candidate.before(_NAME_BYTES)) is not None


def is_quoted(candidate: Candidate) -> bool:
    """Whether the value is the entire content of a string or of an element."""
    closing = _OPENING.get(candidate.before(1))
    return closing is not None and candidate.after(1) == closing


def is_in_prose(candidate: Candidate) -> bool:
    """Whether the value stands after a word in a comment, a string or a text, or alone on its line there."""
    before, after = candidate.before(_NAME_BYTES), candidate.after(8)
    is_alone = _MARGIN.match(before) is not None and not after.strip()
    if not is_alone and not (_PROSE_BEFORE.search(before) and _PROSE_AFTER.match(after)):
        return False
    return candidate.document.lexical.is_text(candidate.span[0])
