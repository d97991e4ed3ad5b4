"""The hole where a function's body is: what stands before it is the signature and the documentation.

    def area(w, h):            before, documentation included
        \"\"\"Area.\"\"\"
        return w * h           the body: what the model writes
                               after: the next definition

Only bodies in brackets and Python's blocks: an expression body (`=> x`, `= x`) is the signature's line already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from model.errors import RecordError
from transforms.fim.syntax import Source
from transforms.symbols import Symbol

BODY_LANGUAGES = ("python", "javascript", "typescript", "tsx", "java", "kotlin", "go", "rust", "c", "cpp", "csharp")

# Bodies that stand for one that is still to be written. Comments are taken out before.
_PLACEHOLDER = re.compile(
    r"(?:pass|\.\.\.|return(?: None| null| nil| undefined)?|"
    r"raise NotImplementedError(?:\(.*\))?|throw (?:new )?\w*(?:NotImplemented|UnsupportedOperation)\w*\(.*\)|"
    r"throw (?:new )?Error\(.*not implemented.*\)|TODO\(.*\)|(?:unimplemented|todo)!\(.*\)|"
    r"panic\(.*not implemented.*\))",
    re.I | re.S,
)
_COMMENT = re.compile(r"#[^\n]*|//[^\n]*|/\*.*?\*/", re.S)


@dataclass(frozen=True, slots=True)
class BodyHole:
    """Where a body goes, in bytes of the file: `before + body + after`, the body with its own first indentation."""

    start: int
    end: int


def body_hole(source: Source, symbol: Symbol) -> BodyHole:
    """Finds the body of a function, without its documentation.

    Raises:
        RecordError: `no_body`: a declaration, an expression body, or nothing but documentation.
    """
    data = source.data
    start, end = symbol.body_start, symbol.body_end
    if source.grammar == "python":
        if symbol.doc is not None:
            start = symbol.doc[1]
            start += len(data[start:end]) - len(data[start:end].lstrip(b" \t\r\n;"))
        elif symbol.is_inline_body:
            raise RecordError("no_body", "the body stands on the signature's line")
    else:
        if data[start : start + 1] != b"{" or data[end - 1 : end] != b"}":
            raise RecordError("no_body", "a declaration or an expression body")
        start, end = start + 1, end - 1
        start += len(data[start:end]) - len(data[start:end].lstrip(b" \t\r\n"))
        end -= len(data[start:end]) - len(data[start:end].rstrip(b" \t\r\n"))
    if start >= end or not data[start:end].strip():
        raise RecordError("no_body", "nothing stands in the body but documentation")
    return BodyHole(start, end)


def is_placeholder(body: str) -> bool:
    """Whether a body only stands for one that is still to be written.

    >>> is_placeholder("pass  # later"), is_placeholder("return 1")
    (True, False)
    """
    bare = _COMMENT.sub("", body).strip().rstrip(";").strip()
    return not bare or _PLACEHOLDER.fullmatch(bare) is not None
