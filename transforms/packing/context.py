"""What a file imports, in front of it in its row: small files whole, of larger ones the signatures that it uses.

A row of 8,192 tokens has room for a few files, so most imports lead out of it. What a document's file imports and its
row doesn't have is repeated there as *context*, which has no loss: every file is trained on exactly once, by itself.

    <bos> [money.py, whole] <|file_separator|> [tax.py, signatures] <|file_separator|> cart.py <|file_separator|> ...

A signature is a definition without its body, with its documentation if that is short. Those are taken whose names stand
in the document's text; methods with the class that they are in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Final

import numpy as np

from model.tokenizer import Tokenizer
from transforms.fim.formats import path_line_text
from transforms.languages import syntax
from transforms.languages.grammars import grammar_name
from transforms.packing.documents import PLAIN, Document, SourceFile
from transforms.packing.tokens import Ids, TextTokens
from transforms.symbols.find import find_symbols
from transforms.symbols.grammars import SYMBOL_GRAMMARS
from transforms.symbols.symbol import Symbol, line_start

COPY: Final = "copy"
SIGNATURES: Final = "signatures"
"""The roles of context."""

MAX_FILE_TOKENS: Final = 768
"""Larger files aren't repeated whole."""
MAX_SIGNATURE_TOKENS: Final = 256
"""Maximum tokens of the signatures of one file."""
_MAX_READ_BYTES: Final = 400_000
_MAX_DOC_CHARS: Final = 300
_CHARS_PER_TOKEN: Final = 8  # code has 2 to 5
_WORD: Final = re.compile(r"[^\W\d]\w+")


class RepositoryContext:
    """What the files of one repository offer to those that import them.

    Args:
        tokenizer: The model's tokenizer.
        path_line: Whether a document starts with its path.
    """

    def __init__(self, tokenizer: Tokenizer, *, path_line: bool):
        self._tokenizer = tokenizer
        self._path_line = path_line
        self._files: dict[str, SourceFile] = {}
        self._whole: dict[str, Ids] = {}  # of the files that may be repeated whole
        self._copies: dict[str, Document] = {}
        self._signatures: dict[str, list[_Signature]] = {}

    def add(self, file: SourceFile, tokens: TextTokens) -> None:
        """A file that later ones import, and the tokens of its text."""
        if file.path in self._files:
            return
        self._files[file.path] = file
        if file.content and len(file.content) <= _CHARS_PER_TOKEN * MAX_FILE_TOKENS:
            ids = tokens.encode(0, len(file.content))
            if len(ids) <= MAX_FILE_TOKENS:
                self._whole[file.path] = ids

    def before(self, document: Document, imports: Iterable[str], present: Set[str], room: int) -> Iterator[Document]:
        """Yields what to put in front of a document, the smallest first, with at most `room` tokens together.

        Args:
            document: A whole file or a part of one.
            imports: The files that its file imports.
            present: The files that its row has already.
            room: Tokens, with one after each document.
        """
        missing = [path for path in imports if path not in present and path in self._files]
        if not missing or room < 2:
            return
        words = words_of(document.file.content, document.start, document.end)
        yield from in_order(filter(None, (self.offer(path, words) for path in sorted(missing))), room)

    def offer(self, path: str, words: Set[str]) -> Document | None:
        """What a file that was added offers to a document with these words: all of it, or signatures; None if nothing.

        Args:
            path: The file's path.
            words: The document's, as of `words_of`.
        """
        return self._copy(path) or self._signed(path, words)

    def _copy(self, path: str) -> Document | None:
        if path in self._whole and path not in self._copies:
            file = self._files[path]
            self._copies[path] = self._document(file, file.content, [self._whole[path]], COPY)
        return self._copies.get(path)

    def _signed(self, path: str, words: Set[str]) -> Document | None:
        """The signatures of a file that a document with these words uses; None for none."""
        if path not in self._signatures:
            self._signatures[path] = [_Signature(*found) for found in _signatures(self._files[path])]
        room = MAX_SIGNATURE_TOKENS
        used = []
        for one in self._signatures[path]:
            if one.name in words and (not one.owner or one.owner in words):
                ids = one.ids(self._tokenizer)
                room -= len(ids)
                if room < 0:
                    break
                used.append((one.text, ids))
        if not used:
            return None
        text, parts = "".join(text for text, _ in used), [ids for _, ids in used]
        return self._document(self._files[path], text, parts, SIGNATURES)

    def _document(self, file: SourceFile, text: str, parts: list[Ids], role: str) -> Document:
        path_line = path_line_text(file.path) if self._path_line else ""
        path_ids = self._tokenizer.encode_array(path_line)
        ids = np.concatenate([path_ids, *parts])
        size = len(ids) - len(path_ids)
        return Document(file, 0, 0, ids, path_line + text, PLAIN, None, len(path_ids), size, 0, 0, role)


@dataclass(slots=True)
class _Signature:
    """A definition without its body: its name, that of the class that it is in or "", and its lines."""

    name: str
    owner: str
    text: str
    _ids: Ids | None = None

    def ids(self, tokenizer: Tokenizer) -> Ids:
        """The tokens of its lines, encoded on first use: of most definitions no row needs them."""
        if self._ids is None:
            self._ids = tokenizer.encode_array(self.text)
        return self._ids


def _signatures(file: SourceFile) -> Iterator[tuple[str, str, str]]:
    """Name, owner and lines of each signature of a file that is at most in one class."""
    grammar = grammar_name(file.language, file.path) or ""
    data = file.content.encode("utf-8", "surrogatepass")
    source = syntax.parse(data, grammar) if grammar in SYMBOL_GRAMMARS and len(data) <= _MAX_READ_BYTES else None
    for symbol in find_symbols(source, facts=False) if source is not None else ():
        owner, _, name = symbol.qualified_name.rpartition(".")
        if symbol.kind != "module" and "." not in owner:
            yield name, owner, _lines(data, symbol, grammar)


def _lines(data: bytes, symbol: Symbol, grammar: str) -> str:
    start = (
        line_start(data, symbol.start)
        if not data[line_start(data, symbol.start) : symbol.start].strip()
        else symbol.start
    )
    head = data[start : symbol.body_start].decode("utf-8", "replace").rstrip()
    doc = ""
    if symbol.doc is not None:
        doc = data[slice(*symbol.doc)].decode("utf-8", "replace")
        doc = doc if len(doc) <= _MAX_DOC_CHARS else ""
    if grammar == "python":
        return f"{head}\n{symbol.indent}{doc or '...'}\n"
    head = head.removesuffix("{").rstrip()
    return f"{symbol.indent}{doc}\n{head};\n" if doc else f"{head};\n"


def words_of(text: str, start: int = 0, end: int | None = None) -> set[str]:
    """The words of a text by which signatures are chosen."""
    return set(_WORD.findall(text, start, len(text) if end is None else end))


def in_order(offered: Iterable[Document], room: int) -> Iterator[Document]:
    """Yields context in the order in which it stands in front of a document, as long as there is room.

    Args:
        offered: One document for each imported file.
        room: Tokens, with one after each document.
    """
    for found in sorted(offered, key=lambda one: (len(one.ids), one.file.path)):
        room -= len(found.ids) + 1
        if room < 0:
            return
        yield found
