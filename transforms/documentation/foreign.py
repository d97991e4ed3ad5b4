"""Documentation that is written in another language's form."""

from __future__ import annotations

import re
from typing import Final

# Line starts that only one language's documentation has. They are not foreign in the languages listed with them; C and
# C++ have borrowed nearly all of them.
_FOREIGN: Final[dict[str, tuple[re.Pattern[str], tuple[str, ...]]]] = {
    "reST fields": (re.compile(r"^[ \t]*:(param|type|returns?|rtype|raises?)\b[^:\n]*:", re.M), ("python",)),
    "tags": (
        re.compile(r"^[ \t]*[@\\](param|returns?|throws|exception)\b", re.M),
        ("javascript", "typescript", "tsx", "java", "kotlin", "c", "cpp", "python"),
    ),
    # Python's epytext has the same tags, each with a colon: `@param w: The width.`
    "JSDoc tags": (
        re.compile(r"^[ \t]*[@\\](param|returns?|throws|exception)\b(?![^:\n]*:)", re.M),
        ("javascript", "typescript", "tsx", "java", "kotlin", "c", "cpp", "go", "rust", "csharp"),
    ),
    # A type in brackets, which Javadoc and KDoc have no use for: `{@code null}` is something else.
    "JSDoc types": (
        re.compile(r"^[ \t]*@(param|returns?)[ \t]+\{[A-Za-z][\w.<>|\[\]*?]*\}[ \t]+\S", re.M),
        ("javascript", "typescript", "tsx", "c", "cpp", "python"),
    ),
    "XML tags": (re.compile(r"^[ \t]*<(summary|param name=|returns>|exception cref=)", re.M), ("csharp", "c", "cpp")),
    "NumPy sections": (
        re.compile(r"^[ \t]*(Parameters|Returns|Yields|Raises)[ \t]*\r?\n[ \t]*-{3,}[ \t]*$", re.M),
        ("python",),
    ),
    "Google sections": (
        re.compile(
            r"^[ \t]*(Args|Arguments|Params|Parameters|Returns|Raises|Throws|Yields):[ \t]*\r?\n(?:[ \t]*\r?\n)?"
            r"(?:[ \t]+\S|[-*] )",
            re.M,
        ),
        ("python", "c", "cpp"),
    ),
    "Markdown headings": (
        re.compile(r"^[ \t]*#+[ \t]*(Arguments?|Args|Param(?:eter)?s?|Returns?|Raises)\b", re.M),
        ("rust",),
    ),
    "bold headings": (
        re.compile(r"^[ \t]*\*\*(Arguments?|Args|Param(?:eter)?s?|Returns?|Raises|Throws|Errors)\b\W*$", re.M),
        (),
    ),
    "a comment's delimiters": (re.compile(r"^[ \t]*(/\*\*|\*/|///)(?=\s|$)", re.M), ("rust", "csharp", "c", "cpp")),
}


def foreign_form(text: str, grammar: str) -> str:
    """Returns the form of another language's documentation that occurs in a text; "" for none.

    >>> foreign_form("Area.\\n\\n@param w width", "python"), foreign_form("Area.\\n\\n@param w width", "java")
    ('JSDoc tags', '')
    """
    fitting = (form for form, (lines, home) in _FOREIGN.items() if grammar not in home and lines.search(text))
    return next(fitting, "")
