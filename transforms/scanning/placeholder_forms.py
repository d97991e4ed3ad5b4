"""The form in which a placeholder is legal where it stands.

<password>[SECRET_1]</password>         markup, also in JSX: angle brackets would open a tag
export DB_PASSWORD='<SECRET_1>'         a shell's bare word: they would redirect
{"card": "<CARD_1>"}                    a number outside strings, or a list of bytes; in SQL, in single quotes
password: "<SECRET_1>"                  anywhere else
"""

from __future__ import annotations

import bisect
import re
from functools import cached_property

from transforms.languages.lookup import find_language
from transforms.scanning.lexical import Lexical

_SHELLS = frozenset(("Shell", "Dockerfile", "Tcsh", "fish", "Makefile"))
_WITH_TAGS = frozenset(("javascript", "typescript", "tsx", "jsx", "php"))
_SQL = frozenset(("SQL", "PLSQL", "PLpgSQL", "TSQL"))
_SNIFFED_CHARS = 200
_NEAR_CHARS = 200
_HERE_DOCUMENT = re.compile(r"(?<!<)<<(?!<)-?[ \t]*(?P<quote>[\"']?)\\?(?P<word>[A-Za-z_]\w*)(?P=quote)")
_CLOSING_LINE = re.compile(r"^\t*(?P<word>[A-Za-z_]\w*)\r?$\n?", re.M)
_SETTINGS = re.compile(r"[ \t]*(?:ONBUILD[ \t]+)?(?:ENV|ARG|LABEL|MAINTAINER)\b", re.IGNORECASE)
"""The instructions of a Dockerfile that set values, and aren't run by a shell."""
_BYTES = re.compile(r"(?:\(byte\)[ ]?)?-?\d[-\da-fA-FxXuU_()byt,\s]*")
_ELEMENT_BEFORE = re.compile(r"(?<![=-])>[^<>{}=;]*\Z")
_ELEMENT_AFTER = re.compile(r"[^<>{};]*[<{]")
"""Around the text of an element, which may stand in the midst of code."""


class PlaceholderForms:
    """Chooses the forms of one text's placeholders. Its language is looked up when the first is asked for.

    Args:
        text: The text before redaction.
        language: Its language, or "".
        path: Its path, or "".
    """

    def __init__(self, text: str, language: str, path: str = ""):
        self._text, self._language, self._path = text, language, path

    @cached_property
    def _kind(self) -> str:
        """The kind of text: markup, shell, batch, json, sql, tags (code that may contain markup), code, or ""."""
        found = find_language(self._language, self._path, self._text)
        if found is None:
            return "markup" if self._text[:_SNIFFED_CHARS].lstrip("\ufeff \t\r\n").startswith("<") else ""
        if found.comments == "markup":
            return "" if found.kind == "prose" else "markup"
        if found.name in _SHELLS:
            return "shell"
        if found.name in _SQL:
            return "sql"
        by_name = {"Batchfile": "batch", "JSON": "json"}
        return by_name.get(found.name) or (
            "tags" if found.grammar in _WITH_TAGS else "code" if found.kind == "code" else ""
        )

    @cached_property
    def _instructions(self) -> list[int]:
        """Where the instructions of a Dockerfile begin, in characters; nowhere in other files. A backslash continues
        an instruction on the next line that isn't blank."""
        found = find_language(self._language, self._path, self._text)
        if found is None or found.name != "Dockerfile":
            return []
        begins, at, is_continued = [], 0, False
        for line in self._text.split("\n"):
            if not is_continued:
                begins.append(at)
            at += len(line) + 1
            if stripped := line.rstrip():
                is_continued = stripped.endswith("\\")
        return begins

    @cached_property
    def _lexical(self) -> Lexical:
        data = self._text.encode("utf-8", "surrogatepass")
        if self._kind == "json":  # its strings are JavaScript's; as data it would count entirely as text
            return Lexical(data, "javascript")
        return Lexical(data, self._language or ("bash" if self._kind == "shell" else "javascript"))

    @cached_property
    def _here_documents(self) -> list[tuple[int, int]]:
        """The spans of the bodies of here-documents, in order, in characters."""
        closings: dict[str, list[tuple[int, int]]] = {}
        for line in _CLOSING_LINE.finditer(self._text):
            closings.setdefault(line["word"], []).append(line.span())
        spans: list[tuple[int, int]] = []
        last = next_line = 0  # the end of the last one's closing line, and of the line that opens one
        for opened in _HERE_DOCUMENT.finditer(self._text):
            if spans and spans[-1][0] <= opened.start() < last:
                continue
            if opened.end() > next_line:
                next_line = self._text.find("\n", opened.end()) + 1
            if not next_line:
                break
            start = max(next_line, last)
            own = closings.get(opened["word"], [])
            closing = bisect.bisect_left(own, (start, 0))
            if closing < len(own):  # else a shift in an expression
                spans.append((start, own[closing][0]))
                last = own[closing][1]
        return spans

    def _redirects(self, start: int) -> bool:
        """Whether `<` would redirect in a shell's text outside strings: not in a here-document, nor in an instruction
        of a Dockerfile that sets a value."""
        document = bisect.bisect_right(self._here_documents, start, key=lambda span: span[0]) - 1
        if document >= 0 and start < self._here_documents[document][1]:
            return False
        instruction = bisect.bisect_right(self._instructions, start) - 1
        return instruction < 0 or _SETTINGS.match(self._text, self._instructions[instruction], start) is None

    def _is_number(self, start: int, byte_start: int, value: str) -> bool:
        """Whether digits, or bytes with commas, are numbers of code, not within a comment, a string or the text of an
        element."""
        is_number = value.isdigit() or ("," in value and _BYTES.fullmatch(value) is not None)
        if not is_number or self._lexical.is_text(byte_start):
            return False
        before = self._text[max(0, start - _NEAR_CHARS) : start]
        after = self._text[start + len(value) : start + len(value) + _NEAR_CHARS]
        is_element_text = _ELEMENT_BEFORE.search(before) is not None and _ELEMENT_AFTER.match(after) is not None
        return self._kind != "tags" or not is_element_text

    def bracketed(self, placeholder: str, start: int, byte_start: int, value: str) -> str:
        """The placeholder, in square brackets where angle brackets would be a tag."""
        if not placeholder.startswith("<"):
            return placeholder
        is_tag = self._kind == "markup" or (
            self._kind == "tags"
            and not self._lexical.is_text(byte_start)
            and not self._is_number(start, byte_start, value)
        )
        return f"[{placeholder[1:-1]}]" if is_tag else placeholder

    def quoted(self, placeholder: str, start: int, byte_start: int, value: str) -> str:
        """The placeholder, in quotes where it stands for a bare word of a shell or a number of code."""
        if not placeholder.startswith("<") or self._kind in ("", "markup"):
            return placeholder
        if self._kind == "batch":
            line = self._text[self._text.rfind("\n", 0, start) + 1 : start]
            return placeholder if line.count('"') % 2 else f'"{placeholder}"'
        if self._kind == "shell":
            is_bare = not self._lexical.is_text(byte_start) and self._redirects(start)
            return f"'{placeholder}'" if is_bare else placeholder
        quote = "'" if self._kind == "sql" else '"'
        return f"{quote}{placeholder}{quote}" if self._is_number(start, byte_start, value) else placeholder
