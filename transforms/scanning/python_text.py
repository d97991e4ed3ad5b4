"""Redactions that surely leave a Python file as sound as it was, so that it need not be compiled again.

    # write to ann@corp.io            in a comment, or in a string that isn't formatted, what is replaced has no quote,
    mail = "ann@corp.io"              backslash, brace or line break, and neither has the placeholder

Then every token of the file stays where it was, and only a comment or the content of a string changes. For a file that
compiles, `Lexical` finds exactly its comments and strings; of one that doesn't, a redaction can't break the syntax.

Cost: one pass of `Lexical`; compiling takes twenty times as long.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from transforms.scanning.findings import Finding
from transforms.scanning.lexical import Lexical

_BREAKS = re.compile(r"[\"'`\\{}\r\n\f]")
_LONGEST_ESCAPE = 12  # characters of \UXXXXXXXX, with room
_PREFIX = re.compile(rb"[A-Za-z]{0,2}\Z")
# Since 3.12, a formatted string may contain its own quotes, which `Lexical` doesn't follow.
_IS_EXACT = sys.version_info < (3, 12)


def keeps_python_sound(text: str, redacted: Iterable[Finding]) -> bool:
    """Whether a text that compiles as Python surely compiles after redaction as well; False if that isn't sure.

    Args:
        text: The text before redaction.
        redacted: Findings in it, with placeholders; those with another action than "redact" don't count.
    """
    if not _IS_EXACT or text.count("\r") != text.count("\r\n"):  # to Python, any of them ends a comment
        return False
    lexical: Lexical | None = None
    data = b""
    for finding in redacted:
        if finding.action != "redact":
            continue
        before = text[max(0, finding.start - _LONGEST_ESCAPE) : finding.start]
        replaced = text[finding.start : finding.end]
        if "\\" in before or _BREAKS.search(replaced) or _BREAKS.search(finding.placeholder):
            return False
        if lexical is None:
            data = text.encode("utf-8", "surrogatepass")
            lexical = Lexical(data, "python")
        span = lexical.span_at(finding.byte_start)
        if span is None or span[1] < finding.byte_end or _is_formatted(data, span[0]):
            return False
    return True


def _is_formatted(data: bytes, start: int) -> bool:
    """Whether the string that starts there has the prefix of a formatted string; a comment has none."""
    if data[start : start + 1] == b"#":
        return False
    prefix = _PREFIX.search(data, max(0, start - 2), start)
    return prefix is not None and b"f" in prefix.group().lower()
