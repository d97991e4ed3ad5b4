"""Whether a piece of code says anything: judged by its text, for middles of training data and for infilled ones.

A piece is read alone, without the file around it: a line of a block comment is known by its leading `*`, but the words
inside a comment whose marks stand outside of the piece are not known for one.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from transforms.languages.lookup import find_language
from transforms.languages.table import Comments

_SLASH: Final = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
# A line inside a block comment whose start is outside of the piece.
_STARRED: Final = r"(?<![^\n])[ \t]*\*(?:[ \t][^\n]*|(?=\n|\Z))|(?<![^\n])[ \t]*\*+/"

_COMMENTS: Final[dict[Comments, str]] = {
    "hash": r"#[^\n]*",
    "slash": rf"{_SLASH}|{_STARRED}",
    "dash": rf"--\[\[.*?(?:\]\]|\Z)|--[^\n]*|\{{-.*?(?:-\}}|\Z)|/\*.*?(?:\*/|\Z)|{_STARRED}",
    "percent": r"%[^\n]*",
    "semicolon": r";[^\n]*",
    "bang": r"![^\n]*",
    "quote": r"'[^\n]*",
    "star": r"\(\*.*?(?:\*\)|\Z)",
    "rem": r"(?:::|@?rem\b)[^\n]*",
    "markup": r"<!--.*?(?:-->|\Z)",
}
# Beside those of the table's form.
_MORE: Final = {
    "PHP": r"#(?!\[)[^\n]*",
    "HCL": _SLASH,
    "Ruby": r"(?<![^\n])=begin\b.*?(?:\n=end\b[^\n]*|\Z)",
    "MATLAB": r"#[^\n]*",
    "SQL": r"#[^\n]*",
}

# Words that only close what another line opened, or that stand where a language wants a statement.
_EMPTY_WORDS: Final = r"pass|end|endif|endfor|endwhile|fi|done|esac"
_NOTHING: Final = re.compile(rf"(?:[\W_]|\b(?:{_EMPTY_WORDS})\b)*", re.IGNORECASE)
_QUOTES: Final = re.compile("[\"'`]")


def is_comment_only(text: str, language: str, path: str = "") -> bool:
    """Whether a piece of code consists of comments alone, at least one; False too if the language is unknown.

    Documentation in a string of its own, as in Python, is no comment.

    Args:
        text: The piece.
        language: The corpus's name of its language, any case; "" to use the path.
        path: The file's path, or "".

    >>> is_comment_only("# first\\n\\n  # second", "python"), is_comment_only("i = 0  # first", "python")
    (True, False)
    >>> is_comment_only(" * the rest of a comment\\n */", "java")
    True
    """
    found = find_language(language, path)
    pattern = _comments(found.comments, found.name) if found is not None else None
    return pattern is not None and not text.isspace() and pattern.fullmatch(text) is not None and text != ""


def is_trivial(text: str, language: str, path: str = "") -> bool:
    """Whether a piece of code says nothing: blank, comments alone, or only punctuation, `pass` and closing words.

    A piece with a quote is not trivial, whatever else it consists of.

    Args:
        text: The piece.
        language: The corpus's name of its language, any case; "" to use the path.
        path: The file's path, or "".

    >>> [is_trivial(text, "python") for text in ("pass", "...", "}\\n)", "# why", "return", "x", '"-"')]
    [True, True, True, True, False, False, False]
    """
    if _NOTHING.fullmatch(text) and not _QUOTES.search(text):
        return True
    return is_comment_only(text, language, path)


@functools.cache
def _comments(form: Comments, name: str) -> re.Pattern[str] | None:
    """Matches a text that is comments and blanks alone."""
    forms = [part for part in (_MORE.get(name), _COMMENTS.get(form)) if part]
    return re.compile(rf"(?:{'|'.join(forms)}|\s|(?!))*+", re.DOTALL | re.IGNORECASE) if forms else None
