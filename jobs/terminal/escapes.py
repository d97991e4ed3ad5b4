r"""Shows names and texts from data: one escape for a terminal, one for HTML, one for Markdown.

A file name, a column or an option's value may hold anything: codes that rewrite a terminal or make a link in it,
characters that reverse or hide what stands beside them, markup. Each is shown as Python writes it in a string, such as
`\x1b` or `\u202e`. Backslashes stay as they are, so escaping twice is the same as once.

All lines that `codemill` prints go through `print_line`, which a test holds.
"""

from __future__ import annotations

import html as html_escapes
import logging
import re
import sys
from typing import IO

# Gets a copy of each printed line; `jobs.terminal.log_file` keeps them. No other handler shall print a line twice.
PRINTED = logging.getLogger("codemill.printed")
PRINTED.propagate = False
PRINTED.setLevel(logging.INFO)
PRINTED.addHandler(logging.NullHandler())

# Controls except tab and line feed, lone surrogates, and the line breaks of Unicode; then what Unicode calls
# Bidi_Control and Default_Ignorable_Code_Point (DerivedCoreProperties.txt 15.0): it reorders text, or has no width.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Nothing in it can be markup, a link or an address: an underscore only within a word, a dot only between digits, no
# colon.
_PLAIN_MARKDOWN = re.compile(r"(?:[^\W_]|(?<=[^\W_])_(?=[^\W_])|(?<=\d)\.(?=\d)|[ +#,()/-])*[^\W_](?:[ +#,()/-])*")
_ENDS_CODE = {"`": r"\x60", "|": r"\x7c"}  # a cell ends at | even in code, and renderers differ on \|


def visible(text: str) -> str:
    r"""A text for a terminal, in which every character that could control it or deceive its reader is escaped.

    Tabs and line feeds stay; use `one_line` for names.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def shown_lines(text: str) -> list[str]:
    r"""The lines of a text for a terminal, each `visible`. Only a line feed ends a line, with or without a return.

    >>> shown_lines("a\r\nb\x0c\n")
    ['a', 'b\\x0c']
    """
    lines = visible(text.replace("\r\n", "\n")).split("\n")
    return lines if lines[-1] else lines[:-1]


def one_line(text: object) -> str:
    r"""A name or message for a terminal: `visible`, with tabs and line feeds escaped as well.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return visible(str(text)).replace("\n", r"\n").replace("\t", r"\t")


def html(text: object) -> str:
    """A name or message as the text of an HTML element, or the value of a quoted attribute.

    >>> html("<b>")
    '&lt;b&gt;'
    """
    return html_escapes.escape(one_line(text))


def markdown_code(text: object) -> str:
    r"""A name as code in Markdown, in a table or not: nothing in code is markup or a link.

    >>> markdown_code("a|b")
    '`a\\x7cb`'
    """
    shown = one_line(text)
    for mark, escaped in _ENDS_CODE.items():
        shown = shown.replace(mark, escaped)
    return f"`{shown or ' '}`"


def markdown(text: object) -> str:
    """A name or value in Markdown, in a table or not: plain words as they are, anything else as code.

    >>> markdown("not_utf8"), markdown("C++"), markdown("[a](b)")
    ('not_utf8', 'C++', '`[a](b)`')
    """
    shown = one_line(text)
    return shown if _PLAIN_MARKDOWN.fullmatch(shown) else markdown_code(shown)


def print_line(text: object, file: IO[str] | None = None) -> None:
    """Prints a message as one line, escaped; to standard output if `file` is None."""
    print(one_line(text), file=sys.stdout if file is None else file, flush=True)
    keep_line(text)


def keep_line(text: object) -> None:
    """Puts a message into the log file, if there is one, without printing it."""
    PRINTED.info("%s", one_line(text))


def print_text(text: str, file: IO[str] | None = None) -> None:
    """Prints a text of several lines, such as a traceback, each escaped; to standard output if `file` is None."""
    for line in shown_lines(text):
        print_line(line.expandtabs(), file)
