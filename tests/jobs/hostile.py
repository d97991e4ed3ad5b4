"""Names that attack whatever shows them, and what shown text may not hold; each is harmless once it is escaped."""

from __future__ import annotations

import unicodedata

# To a terminal.
CODES = (
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1bP+q544e\x1b\\",
    "\x9b31mred",
    "\x08\x08\x08gone",
    "\x7f",
    "over\rwritten",
)
# To rich.
MARKUP = (
    "[link=http://evil.example]x[/link]",
    "\\[link=http://evil.example]x",
    "\\[bold]x",
    "[/]",
    "[@click=app.bell]x",
    ":smile:",
)
# To HTML and Markdown.
PAGES = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "'\" onmouseover=alert(1)",
    "&lt;b&gt; &#124;",
    "-->",
    "a|b",
    "a\\|b",
    "\\",
    "`code`",
    "``",
    "![](x)",
    "![x](http://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "[x]: http://evil.example",
    "<http://evil.example>",
    "http://evil.example",
    "www.evil.example",
    "a@evil.example",
    "*a* _b_ __c__ ~~d~~",
    "# h",
    "---",
    "- item",
    "$x$",
    "{{ x }}",
)
# To the reader's eye.
HIDDEN = (
    "\u202egpj.exe",
    "a\u200bb",
    "\u2066x\u2069",
    "\u2067x",
    "\u061cx",
    "\u3164",
    "\ufeffbom",
    "a\u00adb",
    "a\u200db\u2060c",
    "x\ufe0f\ufe00",
    "".join(chr(0xE0000 + ord(char)) for char in "tag"),
)
BREAKS = ("two\nlines", "two\r\nlines", "\x0b\x0c\x1c\x85", "\u2028x\u2029", "tab\tx", "\n\n| a | b |\n|---|---|\n")
ENCODED = CODES + MARKUP + PAGES + HIDDEN + BREAKS + ("nul\0",)  # what UTF-8 can hold
ANY = (*ENCODED, "lone\udc9b", "\ud800")

_INVISIBLE = "\u034f\u061c\u115f\u1160\u17b4\u17b5\u200e\u200f\u3164\uffa0"
# Mongolian and other variation selectors, format characters, hieroglyph controls, tags; also where not assigned yet.
_BLOCKS = (
    range(0x180B, 0x1810),
    range(0x2060, 0x2070),
    range(0xFE00, 0xFE10),
    range(0xFFF0, 0xFFFC),
    range(0x13430, 0x13440),
    range(0xE0000, 0xE1000),
)


def file_names() -> list[str]:
    """The names that a file can have, all different."""
    return sorted({name.replace("/", "").replace("\0", "").strip(".") for name in ENCODED} - {""})


def is_hidden(char: str) -> bool:
    """Whether a character controls what shows it, reorders text, or can't be seen; a line feed isn't."""
    if char == "\n":
        return False
    if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _INVISIBLE:
        return True
    if unicodedata.category(char) in ("Cf", "Cn", "Mn") and any(ord(char) in block for block in _BLOCKS):
        return True
    marks = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN")
    return unicodedata.bidirectional(char) in marks


def hidden_in(text: str) -> list[str]:
    """The characters of a text that must not be shown, as escapes."""
    return sorted({ascii(char) for char in text if is_hidden(char)})
