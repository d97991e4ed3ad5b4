r"""Shows names and texts from data: one escape for a terminal, one for HTML, one for Markdown.

A file name, a column or an option's value may hold anything: codes that rewrite a terminal or make a link in it,
characters that reverse or hide what stands beside them, markup. Each is shown as Python writes it in a string, such as
`\x1b` or `\u202e`. Backslashes stay as they are, so escaping twice is the same as once.

All lines that `codemill` prints go through `print_line`, which a test holds; `jobs.terminal.json_lines` makes them
objects.
"""

from __future__ import annotations

import html as html_escapes
import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any

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


Format = Callable[[str, Mapping[str, Any]], str]
_format: Format | None = None


def set_format(new: Format | None) -> Format | None:
    """Has lines printed in another form, to standard error whatever the file; returns the format until now.

    Args:
        new: Makes one line of a message and its facts; None: lines are printed as they are.
    """
    global _format
    before, _format = _format, new
    return before


def is_formatted() -> bool:
    """Whether lines are printed in another form."""
    return _format is not None


def print_line(text: object, file: IO[str] | None = None, **facts: Any) -> None:
    """Prints a message as one line, escaped, and keeps it in the log file, if there is one.

    Args:
        text: The message.
        file: Where to; standard output if None.
        facts: JSON values that say the same for programs; shown where lines are printed in another form.
    """
    print_unkept(text, file, **facts)
    keep_line(text, **facts)


def print_unkept(text: object, file: IO[str] | None = None, **facts: Any) -> None:
    """As `print_line`, but keeps nothing."""
    line = (one_line(text) if _format is None else _format(str(text), facts)) + "\n"
    stream = (sys.stdout if file is None else file) if _format is None else sys.stderr
    print(line, end="", file=stream, flush=True)  # in one piece, as other threads print too


def keep_line(text: object, **facts: Any) -> None:
    """Puts a message into the log file, if there is one, without printing it."""
    PRINTED.info("%s", one_line(text) if _format is None else _format(str(text), facts))


def print_text(text: str, file: IO[str] | None = None) -> None:
    """Prints a text of several lines, such as a traceback, each escaped; to standard output if `file` is None.

    Where lines are printed in another form, a text for standard error is one message; what was asked for, on standard
    output, stays as it is.
    """
    if _format is not None and file is sys.stderr:
        print_line(text.rstrip("\n"), file)
        return
    for shown in shown_lines(text):
        line = shown.expandtabs() + "\n"
        print(line, end="", file=sys.stdout if file is None else file, flush=True)
        if _format is None:
            keep_line(shown.expandtabs())
