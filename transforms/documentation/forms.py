'''The forms of documentation, and the hole that is cut for it.

    docstring   """text"""                             Python, inside the body
    block       /** text, lines led by " * " */        JavaScript, TypeScript, Java, Kotlin, C, C++
    line        /// text, //! text, // text            Rust, C#, Go; C and C++ if the file uses it

A hole is `before | opener ... closer | after`: the model generates the text between opener and closer, and
`before + after` is the code alone. Existing documentation determines the form and is replaced by the hole.
'''

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from typing import Final, Literal
from xml.sax.saxutils import escape

from model.errors import RecordError
from transforms.documentation.reading import is_well_formed
from transforms.languages.syntax import Source
from transforms.symbols import Symbol
from transforms.symbols.grammars import SYMBOL_GRAMMARS

FormName = Literal["docstring", "block", "line"]

_LINE_MARKERS: Final = {"go": "//", "rust": "///", "csharp": "///"}
DOCUMENTED_LANGUAGES: Final = tuple(SYMBOL_GRAMMARS)

# Comments that affect compilation: Go's directives and build tags, TypeScript's and Babel's pragmas.
_DIRECTIVE: Final = re.compile(
    r"//(?:line |extern |export |[a-z0-9]+:[a-z0-9]|\s*\+build\b)|\*\s*@(?:ts-[a-z]+|jsx\w*|flow|noflow)\b"
)


@dataclass(frozen=True, slots=True)
class Hole:
    """The place of documentation in one file.

    Args:
        before, after: The file's bytes around the hole; together they are the file without this documentation.
        opener, closer: The delimiters of the text, including line breaks and indentation.
        form: The form of the text.
        marker: What its lines except the first start with: "" in a docstring, ` *` in a block, `///` and the like.
        indent: The whitespace before the marker.
        newline: The file's line break.
    """

    before: bytes
    opener: str
    closer: str
    after: bytes
    form: FormName
    marker: str
    indent: str
    newline: str

    @property
    def terminator(self) -> str:
        """The text with which the model itself ends the documentation; "" if there is none."""
        return {"docstring": '"""', "block": "*/", "line": ""}[self.form]


def cut_hole(source: Source, symbol: Symbol) -> Hole:
    """Cuts the hole for a symbol's documentation.

    Raises:
        RecordError: `no_documentation_form`: no form is defined for the language.
    """
    if source.grammar not in DOCUMENTED_LANGUAGES:
        raise RecordError("no_documentation_form", f"no documentation format is known for {source.grammar}")
    newline = "\r\n" if b"\r\n" in source.data else "\n"
    if source.grammar == "python":
        return _docstring_hole(source.data, symbol, newline)
    old = source.data[slice(*symbol.doc)] if symbol.doc is not None else b""
    marker = _line_marker(source.grammar, symbol, old)
    if marker:
        return _line_hole(source, symbol, newline, marker)
    return _block_hole(source.data, symbol, newline)


def _docstring_hole(data: bytes, symbol: Symbol, newline: str) -> Hole:
    opener, closer, start, end = '"""', '"""', symbol.insert_at, symbol.insert_at
    if symbol.doc is not None:
        start, end = symbol.doc
        if data[start : start + 1] in b"rR":  # a raw docstring may contain backslashes, and so may its replacement
            opener = 'r"""'
    elif symbol.is_inline_body and symbol.kind != "module":
        start = len(data[:start].rstrip(b" \t"))
        opener, closer = f'{newline}{symbol.indent}"""', f'"""{newline}{symbol.indent}'
    else:
        closer = f'"""{newline}{symbol.indent}'
    return Hole(data[:start], opener, closer, data[end:], "docstring", "", symbol.indent, newline)


def _block_hole(data: bytes, symbol: Symbol, newline: str) -> Hole:
    start, end = symbol.doc if symbol.doc is not None else (symbol.insert_at, symbol.insert_at)
    if symbol.is_inline_body:  # other code precedes it on its line
        closer = " */ " if symbol.doc is None else " */"
        return Hole(data[:start], "/** ", closer, data[end:], "block", " *", symbol.indent, newline)
    lead = f"{newline}{symbol.indent}"
    after = "" if symbol.doc is not None else lead
    if symbol.kind == "module" and symbol.doc is None:
        after = newline + newline  # a blank line separates it from the following code
    return Hole(data[:start], f"/**{lead} * ", f"{lead} */{after}", data[end:], "block", " *", symbol.indent, newline)


def _line_marker(grammar: str, symbol: Symbol, old: bytes) -> str:
    if old.startswith(b"/*"):
        return ""
    found = re.match(rb"//[/!]?", old)
    if found:
        return found.group().decode()
    if grammar == "rust" and symbol.kind == "module":
        return "//!"
    return _LINE_MARKERS.get(grammar, "")


def _line_hole(source: Source, symbol: Symbol, newline: str, marker: str) -> Hole:
    data = source.data
    start, end = symbol.doc if symbol.doc is not None else (symbol.insert_at, symbol.insert_at)
    lead = f"{newline}{symbol.indent}"
    opener = f"{marker} "
    if source.grammar == "go" and symbol.kind != "module":
        opener += f"{symbol.name} "  # Go's convention: the comment starts with the name
    elif source.grammar == "go":
        opener += "Package "
        if symbol.doc is None and start and not data[:start].endswith((b"\n\n", b"\r\n\r\n")):
            opener = newline + opener  # a blank line separates it from the notice above
    elif source.grammar == "csharp":
        opener += f"<summary>{lead}{marker} "
    closer = "" if symbol.doc is not None else lead
    if marker == "//!" and symbol.doc is None:
        closer = newline + newline
    if symbol.is_inline_body:
        opener = lead + opener
    return Hole(data[:start], opener, closer, data[end:], "line", marker, symbol.indent, newline)


# Control characters, line ends of languages other than Python, and characters that make text display in another than
# its logical order (CVE-2021-42574); U+FFFD is an incomplete character.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd]")
_ODD_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\[^\\'\"abfnrtvxNuU0-7\r\n]")


def lay_out(hole: Hole, answer: str) -> str:
    """Returns an answer with the file's own line breaks and the hole's indentation; other whitespace is kept."""
    first, *rest = re.split(r"\r\n|\r|\n", answer)
    if hole.form == "docstring":
        written = [line for line in rest if line.strip()]
        if any(not line.startswith(hole.indent) for line in written):
            rest = textwrap.indent(textwrap.dedent("\n".join(rest)), hole.indent).split("\n")
            rest[-1] = rest[-1] or hole.indent
    else:
        marker = hole.marker.strip()
        lead = hole.indent + hole.marker
        bare = [line.strip() for line in rest]
        rest = [lead + line.removeprefix(marker) if line.startswith(marker) else line for line in bare]
        rest = rest[:-1] if rest and not rest[-1] else rest
    return hole.newline.join([first, *rest])


def as_raw(hole: Hole, answer: str, *, is_text: bool) -> Hole:
    """Returns the hole with a raw docstring's opener if backslashes are literal.

    Args:
        hole: The hole.
        answer: The text to insert.
        is_text: Whether it is plain text rather than a string's source, in which invalid escapes would cause warnings.
    """
    wants_raw = "\\" in answer if is_text else _ODD_ESCAPE.search(answer) is not None
    if hole.form != "docstring" or not wants_raw or hole.opener.endswith('r"""'):
        return hole
    return replace(hole, opener=hole.opener.removesuffix('"""') + 'r"""')


def read_answer(hole: Hole, answer: str) -> str:
    """Returns the plain text of the model's answer in the hole, including the opener's own words.

    Raises:
        RecordError: `wrong_form`: a line doesn't continue as the form requires, or contains a character that is not
            allowed in text; `tool_directive`: a compiler would obey a line, although it is a comment.
    """
    if odd := _UNPRINTABLE.search(answer):
        raise RecordError(
            "wrong_form", f"the answer contains the character U+{ord(odd[0]):04X}, which is not valid in text"
        )
    opening = hole.opener.strip()
    lines = re.split(r"\r\n|\r|\n", answer)
    if hole.form == "docstring":
        return "\n".join([lines[0], *[line.removeprefix(hole.indent) for line in lines[1:]]]).strip()
    marker = hole.marker.strip()
    text = [lines[0].strip()]
    if _DIRECTIVE.match(f"{marker} {text[0]}"):
        raise RecordError("tool_directive", "line 1 of the answer is a compiler or tool directive")
    for number, line in enumerate(lines[1:], 2):
        bare = line.strip()
        is_last = number == len(lines)
        if not bare and is_last:
            continue
        if not bare.startswith(marker) or (marker == "//" and bare.startswith("///")):
            raise RecordError("wrong_form", f"line {number} of the answer does not start with {marker}")
        if _DIRECTIVE.match(bare):
            raise RecordError("tool_directive", f"line {number} of the answer is a compiler or tool directive")
        text.append(bare.removeprefix(marker).removeprefix(" "))
    opened = " ".join(part.strip() for part in re.split(r"[\r\n]+\s*(?:\*|//[/!]?)?", opening))
    words = re.sub(r"^(/\*\*|//[/!]?)\s*", "", opened).strip()
    return "\n".join([f"{words} {text[0]}".strip(), *text[1:]]).strip()


def own_words(hole: Hole, text: str) -> str:
    """Returns a documentation's plain text without the words of the hole's opener (Go: the symbol's name): what the
    model wrote.
    """
    said = _words_of_opener(hole)
    return text[len(said) :].lstrip() if said and text.startswith(f"{said} ") else text


def _words_of_opener(hole: Hole) -> str:
    said = re.sub(r"\s*<summary>.*", "<summary>", hole.opener.strip(), flags=re.DOTALL)
    return re.sub(r"^(/\*\*|//[/!]?|r?\"\"\")\s*", "", said).strip()


def write_answer(hole: Hole, text: str) -> str:
    """Writes plain text in the hole's form: the reverse of `read_answer`, for chat models' answers.

    The first line follows the opener; words that the opener already contains are not repeated.
    """
    said = _words_of_opener(hole)
    body = text.strip()
    if said and body.startswith(said):
        body = body[len(said) :].lstrip()
    if said == "<summary>" and "</summary>" not in body:
        body = f"{body if is_well_formed(body) else escape(body)}</summary>"
    lines = re.split(r"\r\n|\r|\n", body)
    if hole.form == "docstring":
        rest = [f"{hole.indent}{line}" if line.strip() else "" for line in lines[1:]]
        tail = [hole.indent] if rest or body.endswith('"') else []  # a quote can't directly precede the closing ones
    else:
        lead = hole.indent + hole.marker
        rest, tail = [f"{lead} {line}".rstrip() for line in lines[1:]], []
    return hole.newline.join([lines[0], *rest, *tail])


def without_delimiters(text: str) -> str:
    """Returns documentation as plain text: without quotes, a comment's delimiters and the markers of its lines.

    >>> without_delimiters("/** Area.\\n *\\n * @param w width */")
    'Area.\\n\\n@param w width'
    """
    text = text.strip()
    is_block = text.startswith("/*")
    for opening, closing in (
        ('r"""', '"""'),
        ('"""', '"""'),
        ("'''", "'''"),
        ("/**", "*/"),
        ("/*!", "*/"),
        ("/*", "*/"),
    ):
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening + closing):
            text = text[len(opening) : -len(closing)].strip()
    lines = text.splitlines()
    marker = re.match(r"\s*(///|//!|//|\*)(?: |$)", text)
    if marker and (is_block or marker[1] != "*") and all(_begins(line, marker[1]) for line in lines):
        lines = [line.strip().removeprefix(marker[1]).removeprefix(" ") for line in lines]
    elif is_block and all(_begins(line, "*") for line in lines[1:]):
        lines = [*lines[:1], *[line.strip().removeprefix("*").removeprefix(" ") for line in lines[1:]]]
    return "\n".join(lines)


def _begins(line: str, marker: str) -> bool:
    return not line.strip() or line.strip().startswith(marker)
