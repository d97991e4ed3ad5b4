"""Rewrites the sections of Python docstrings as their style guides write them.

    Parameters:                 Args:
    - `width`: How wide.            `width`: How wide.
    - `height`: How high.           `height`: How high.

Without this, claims that a style's parser doesn't recognize could not be checked.
"""

from __future__ import annotations

import re
import textwrap
from typing import Final

# How models write the heads of Google's sections -> their proper names: the parser doesn't merge sections of one name.
_GOOGLE_HEAD: Final = re.compile(
    r"^[ \t]*(?P<head>Args?|Arguments?|Params?|Parameters?|(?:Keyword|Other) (?:Args|Arguments|Parameters)|Inputs?|"
    r"Returns?|Outputs?|Yields?|Raises?|Throws|Exceptions?|Attributes)[ \t]*:(?!\w)(?P<rest>[^\n]*)$",
    re.M | re.I,
)
_HEADS: Final = {
    **dict.fromkeys(("keyword args", "keyword arguments", "keyword parameters"), "Params"),
    **dict.fromkeys(("other args", "other arguments", "other parameters"), "Arguments"),
    **dict.fromkeys(("return", "returns", "output", "outputs"), "Returns"),
    **dict.fromkeys(("yield", "yields"), "Yields"),
    **dict.fromkeys(("raise", "raises", "throws", "exception", "exceptions"), "Raises"),
    "attributes": "Attributes",
}
_INDENTED_SECTION: Final = re.compile(
    r"^[ \t]+(?:[:@](?:param|arg|type|returns?|rtype|raises?|except)\b|"
    r"(?:Parameters|Returns|Raises|Yields)[ \t]*\n[ \t]*-{3}|"
    r"(?:Args?|Arguments?|Params?|Parameters?|Returns?|Yields?|Raises?)[ \t]*:)",
    re.M | re.I,
)
_BULLETS: Final = re.compile(
    r"^(?P<head>(?:Args|Params|Arguments|Raises):\n)"
    r"(?P<items>(?:[-*\u2022][ \t].*(?:\n|\Z)(?:[ \t]+\S.*(?:\n|\Z))*)+)",
    re.M,
)
_ITEM: Final = re.compile(r"\W*(?P<name>\w+)\W{0,3}?[ \t]*(?:\([^()]*\)[ \t]*)?(?::|-|\u2013|\u2014)(?=\s|$)")
_BARE_ITEM: Final = re.compile(r"^([ \t]+[\w.*]+)[ \t]*$", re.M)  # an item without a description
_NO_ITEMS: Final = re.compile(r"^(?:Args|Params|Arguments|Raises):\n[ \t]+(?:None|N/A|Nothing)\.?[ \t]*(?:\n|\Z)", re.M)


def canonical_sections(text: str) -> str:
    """Returns sections as their guides write them: unindented, with Google's own heads and indented items."""
    first = _INDENTED_SECTION.search(text)
    if first is not None:
        text = text[: first.start()] + textwrap.dedent(text[first.start() :])
    text = _NO_ITEMS.sub("", _GOOGLE_HEAD.sub(_google_head, text))
    return _BULLETS.sub(lambda found: found["head"] + textwrap.indent(found["items"], "    "), text)


def _google_head(found: re.Match[str]) -> str:
    head, rest = _HEADS.get(found["head"].lower(), "Args"), found["rest"].strip()
    if head in ("Args", "Params", "Arguments") and rest and not _ITEM.match(rest):
        return found[0]  # a sentence
    return f"{head}:\n    {rest}" if rest else f"{head}:"


def with_colons(text: str) -> str:
    """Adds the colon that the parser requires to items without a description."""
    return _BARE_ITEM.sub(r"\1: ", text)
