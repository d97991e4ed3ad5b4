"""The form in which a placeholder is legal where it stands.

<password>[SECRET_1]</password>         markup, also in JSX: angle brackets would open a tag
export DB_PASSWORD='<SECRET_1>'         a shell's bare word: they would redirect
{"card": "<CARD_1>"}                    a number outside strings
password: "<SECRET_1>"                  anywhere else
"""

from __future__ import annotations

from functools import cached_property

from transforms.languages.lookup import find_language
from transforms.scanning.lexical import Lexical

_SHELLS = frozenset(("Shell", "Dockerfile", "Tcsh", "fish", "Makefile"))
_WITH_TAGS = frozenset(("javascript", "typescript", "tsx", "jsx", "php"))
_SNIFFED_CHARS = 200


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
        """The kind of text: markup, shell, batch, json, tags (code that may contain markup), code, or ""."""
        found = find_language(self._language, self._path, self._text)
        if found is None:
            return "markup" if self._text[:_SNIFFED_CHARS].lstrip("\ufeff \t\r\n").startswith("<") else ""
        if found.comments == "markup":
            return "" if found.kind == "prose" else "markup"
        if found.name in _SHELLS:
            return "shell"
        by_name = {"Batchfile": "batch", "JSON": "json"}
        return by_name.get(found.name) or (
            "tags" if found.grammar in _WITH_TAGS else "code" if found.kind == "code" else ""
        )

    @cached_property
    def _lexical(self) -> Lexical:
        data = self._text.encode("utf-8", "surrogatepass")
        return Lexical(data, self._language or ("bash" if self._kind == "shell" else "javascript"))

    def bracketed(self, placeholder: str, byte_start: int) -> str:
        """The placeholder, in square brackets where angle brackets would be a tag."""
        if not placeholder.startswith("<"):
            return placeholder
        is_tag = self._kind == "markup" or (self._kind == "tags" and not self._lexical.is_text(byte_start))
        return f"[{placeholder[1:-1]}]" if is_tag else placeholder

    def quoted(self, placeholder: str, start: int, byte_start: int, value: str) -> str:
        """The placeholder, in quotes where it stands for a bare word of a shell or a number of code."""
        if not placeholder.startswith("<") or self._kind in ("", "markup"):
            return placeholder
        if self._kind == "batch":
            line = self._text[self._text.rfind("\n", 0, start) + 1 : start]
            return placeholder if line.count('"') % 2 else f'"{placeholder}"'
        is_number = value.isdigit()
        if self._kind == "json":
            line = self._text[self._text.rfind("\n", 0, start) + 1 : start]
            return f'"{placeholder}"' if is_number and line.replace('\\"', "").count('"') % 2 == 0 else placeholder
        if (self._kind == "shell" or is_number) and not self._lexical.is_text(byte_start):
            return f"'{placeholder}'" if self._kind == "shell" else f'"{placeholder}"'
        return placeholder
