"""The default that a documentation states for a parameter, compared with the code's.

    size: Elements in each window. Defaults to 3.        stated: 3

Only literals are read: numbers, strings in quotes, true, false and null. `If None, defaults to 3` states no default of
the parameter, and a number with a unit may be written in another one.
"""

from __future__ import annotations

import re
from typing import Final

_LITERAL: Final = (
    r"`[^`\n]+`|'[^'\n]*'|\"[^\"\n]*\"|[-+]?\d[\d_]*(?:\.\d+)?(?:e[-+]?\d+)?\w*(?![-\w])|"
    r"(?:true|false|none|null|nil|undefined)\b"
)
_STATED: Final = re.compile(
    rf"\bdefaults?(?:\s+value)?(?:\s+(?:is|to|of)|\s*[:=])?\s+(?P<after>{_LITERAL})|"
    rf"\bdefault\s*[:=]\s*(?P<joined>{_LITERAL})|(?<![\w.-])(?P<before>{_LITERAL}),?\s+by\s+default\b",
    re.I,
)
_CONDITION: Final = re.compile(r"\b(?:if|when|unless|otherwise|omitted|depend\w*|on \w+ systems|for \w+)\b", re.I)
_UNIT: Final = re.compile(
    r"\s*(?:[kmg]i?b?|bytes?|ms|s|secs?|seconds?|minutes?|mins?|hours?|days?|milliseconds?|us|ns|%|percent|"
    r"microseconds?|nanoseconds?|[kmg]?hz)(?!\w)",
    re.I,
)
_NOTHING: Final = ("none", "null", "nil", "undefined")


def stated_default(description: str) -> str:
    """The literal that a parameter's description states as its default; "" if it states none, or conditions.

    >>> stated_default("Elements in each window. Defaults to 3."), stated_default("If None, defaults to 3.")
    ('3', '')
    """
    found = _STATED.search(description)
    if found is None or _CONDITION.search(description):
        return ""
    if _UNIT.match(description, found.end()):
        return ""
    return (found["after"] or found["joined"] or found["before"]).strip("`")


def defaults_agree(stated: str, real: str) -> bool | None:
    """Whether a stated default is the code's; None if one of them is no literal, or the code's stands for another.

    >>> defaults_agree("3", "3.0"), defaults_agree("'fill'", '"fit"'), defaults_agree("3", "None")
    (True, False, None)
    """
    told, known = _value(stated), _value(real)
    if told is None or known is None or known[0] == "nothing":
        return None
    if told == known or stated.strip("'\"") == real.strip("'\""):
        return True
    return None if {told[0], known[0]} == {"number", "boolean"} else False


def _value(written: str) -> tuple[str, object] | None:
    """A literal's kind and value; None if it is no literal."""
    text = written.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return "string", text[1:-1]
    if text.lower() in _NOTHING:
        return "nothing", None
    if text.lower() in ("true", "false"):
        return "boolean", text.lower()
    number = re.fullmatch(r"([-+]?\d[\d_]*(?:\.\d+)?(?:e[-+]?\d+)?)(?:[uUlLfFdDmM]|u?int|[iu]\d+)*", text)
    return ("number", float(number[1].replace("_", ""))) if number else None
