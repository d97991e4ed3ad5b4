"""What a file imports, in front of it in its row: small files whole, of larger ones the definitions that it uses.

A row of 8,192 tokens has room for a few files, so most imports lead out of it. What a document's file imports and its
row doesn't have is repeated there as *context*, which has no loss: every file is trained on exactly once, by itself.

    <bos> [money.py, whole] <|file_separator|> [tax.py, definitions] <|file_separator|> cart.py <|file_separator|> ...

Definitions are taken whose names stand in the document's text; methods with the head of the class that they are in.
First every import is shown in brief, by signatures: definitions without their bodies, with their documentation if that
is short. The room that is left goes to bodies and whole files, where they cost least (`choose`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
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
DEFINITIONS: Final = "definitions"
SIGNATURES: Final = "signatures"
"""The roles of context."""

MAX_FILE_TOKENS: Final = 768
"""Larger files aren't repeated whole."""
MAX_SIGNATURE_TOKENS: Final = 256
"""Maximum tokens of the signatures of one file."""
MAX_DEFINITION_TOKENS: Final = 768
"""Maximum tokens of the definitions of one file that are repeated with their bodies."""
_MAX_READ_BYTES: Final = 400_000
_MAX_DOC_CHARS: Final = 300
_CHARS_PER_TOKEN: Final = 8  # code has 2 to 5
_WORD: Final = re.compile(r"[^\W\d]\w+")


@dataclass(frozen=True, slots=True)
class Offer:
    """What one imported file offers to a document, each at most once in front of it.

    Args:
        brief: The shortest that shows what is used: signatures, or all of a small file.
        full: With the bodies of what is used: all of a small file, or definitions; None if that is the same or nothing.
    """

    brief: Document
    full: Document | None = None


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
        self._definitions: dict[str, list[_Definition]] = {}

    def add(self, file: SourceFile, tokens: TextTokens) -> None:
        """A file that later ones import, and the tokens of its text."""
        if file.path in self._files:
            return
        self._files[file.path] = file
        if file.content and len(file.content) <= _CHARS_PER_TOKEN * MAX_FILE_TOKENS:
            ids = tokens.encode(0, len(file.content))
            if len(ids) <= MAX_FILE_TOKENS:
                self._whole[file.path] = ids

    def before(
        self,
        document: Document,
        imports: Iterable[str],
        present: Set[str],
        room: int,
        shown: Mapping[str, Set[str]] | None = None,
    ) -> list[Document]:
        """What to put in front of a document, the smallest first, with at most `room` tokens together.

        Args:
            document: A whole file or a part of one.
            imports: The files that its file imports.
            present: The files that its row has already.
            room: Tokens, with one after each document.
            shown: Of other files, the definitions that its row has already.
        """
        missing = [path for path in imports if path not in present and path in self._files]
        if not missing or room < 2:
            return []
        words = words_of(document.file.content, document.start, document.end)
        known = shown or {}
        offers = (self.offer(path, words, known.get(path, frozenset())) for path in sorted(missing))
        return choose([offer for offer in offers if offer is not None], room)

    def offer(self, path: str, words: Set[str], known: Set[str] = frozenset()) -> Offer | None:
        """What a file that was added offers to a document with these words; None if nothing.

        Args:
            path: The file's path.
            words: The document's, as of `words_of`.
            known: The definitions of the file that stand in front of the document already.
        """
        copy = self._copy(path)
        if copy is not None and len(copy.ids) <= MAX_SIGNATURE_TOKENS:
            return Offer(copy)
        used = [one for one in self._read(path) if one.is_used_by(words)]
        missing = [one for one in used if one.qualified_name not in known]
        if not missing:
            return Offer(copy) if copy is not None and not known else None
        brief = self._with_signatures(path, missing)
        full = copy or self._with_definitions(path, missing)
        if brief is None or (full is not None and len(full.ids) <= len(brief.ids)):
            brief, full = full, None
        return Offer(brief, full) if brief is not None else None

    def _copy(self, path: str) -> Document | None:
        if path in self._whole and path not in self._copies:
            file = self._files[path]
            self._copies[path] = self._document(file, file.content, [self._whole[path]], COPY)
        return self._copies.get(path)

    def _read(self, path: str) -> list[_Definition]:
        if path not in self._definitions:
            self._definitions[path] = list(_definitions(self._files[path]))
        return self._definitions[path]

    def _with_signatures(self, path: str, used: Sequence[_Definition]) -> Document | None:
        """The signatures of these definitions, as many as may be; None for none."""
        room = MAX_SIGNATURE_TOKENS
        taken = []
        for one in used:
            room -= len(one.signature_ids(self._tokenizer))
            if room < 0:
                break
            taken.append(one)
        return self._shown(path, taken, frozenset(), SIGNATURES) if taken else None

    def _with_definitions(self, path: str, used: Sequence[_Definition]) -> Document | None:
        """These definitions with their bodies, as far as there is room, of others the signatures; None if no body is.

        Of a class whose members are used, its head and these members are shown; of another one, all of it.
        """
        owners = {one.owner for one in used}
        members = [one for one in used if one.qualified_name not in owners]
        sizes = {one.qualified_name: len(one.signature_ids(self._tokenizer)) for one in used}
        room = MAX_DEFINITION_TOKENS - sum(sizes.values())
        whole: set[str] = set()
        for one in sorted(members, key=lambda one: len(one.text)):
            if len(one.text) > _CHARS_PER_TOKEN * (room + sizes[one.qualified_name]):
                break
            room -= len(one.ids(self._tokenizer)) - sizes[one.qualified_name]
            if room < 0:
                break
            whole.add(one.qualified_name)
        return self._shown(path, used, whole, DEFINITIONS) if whole else None

    def _shown(self, path: str, used: Sequence[_Definition], whole: Set[str], role: str) -> Document:
        """A document of definitions: those of `whole` with their bodies, of others the signatures."""
        text, parts = [], []
        for one in used:
            in_full = one.qualified_name in whole
            text.append(one.text if in_full else one.signature)
            parts.append(one.ids(self._tokenizer) if in_full else one.signature_ids(self._tokenizer))
        names = frozenset(one.qualified_name for one in used)
        return self._document(self._files[path], "".join(text), parts, role, names)

    def _document(
        self, file: SourceFile, text: str, parts: list[Ids], role: str, shows: frozenset[str] = frozenset()
    ) -> Document:
        path_line = path_line_text(file.path) if self._path_line else ""
        path_ids = self._tokenizer.encode_array(path_line)
        ids = np.concatenate([path_ids, *parts])
        size = len(ids) - len(path_ids)
        return Document(file, 0, 0, ids, path_line + text, PLAIN, None, len(path_ids), size, 0, 0, role, shows)


@dataclass(slots=True)
class _Definition:
    """A definition: its name, that of the class that it is in or "", its lines, and those without its body."""

    name: str
    owner: str
    text: str
    signature: str
    _ids: Ids | None = None
    _signature_ids: Ids | None = None

    @property
    def qualified_name(self) -> str:
        return f"{self.owner}.{self.name}" if self.owner else self.name

    def is_used_by(self, words: Set[str]) -> bool:
        """Whether a document with these words names it."""
        return self.name in words and (not self.owner or self.owner in words)

    def ids(self, tokenizer: Tokenizer) -> Ids:
        """The tokens of its lines, encoded on first use: of most definitions no row needs them."""
        if self._ids is None:
            self._ids = tokenizer.encode_array(self.text)
        return self._ids

    def signature_ids(self, tokenizer: Tokenizer) -> Ids:
        """The tokens of its signature."""
        if self._signature_ids is None:
            self._signature_ids = tokenizer.encode_array(self.signature)
        return self._signature_ids


def _definitions(file: SourceFile) -> Iterator[_Definition]:
    """The definitions of a file that are at most in one class."""
    grammar = grammar_name(file.language, file.path) or ""
    data = file.content.encode("utf-8", "surrogatepass")
    source = syntax.parse(data, grammar) if grammar in SYMBOL_GRAMMARS and len(data) <= _MAX_READ_BYTES else None
    for symbol in find_symbols(source, facts=False) if source is not None else ():
        owner, _, name = symbol.qualified_name.rpartition(".")
        if symbol.kind != "module" and "." not in owner:
            start = _start(data, symbol)
            text = data[start : symbol.end].decode("utf-8", "replace").rstrip() + "\n"
            yield _Definition(name, owner, text, _signature(data, start, symbol, grammar))


def _start(data: bytes, symbol: Symbol) -> int:
    """Where a definition starts: its line, unless anything else stands there."""
    start = line_start(data, symbol.start)
    return symbol.start if data[start : symbol.start].strip() else start


def _signature(data: bytes, start: int, symbol: Symbol, grammar: str) -> str:
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


def choose(offers: Sequence[Offer], room: int) -> list[Document]:
    """Chooses what stands in front of a document, in its order there, the smallest first.

    As many files as possible are shown in brief; what is left of the room goes to bodies, where they cost least.

    Args:
        offers: One for each imported file.
        room: Tokens, with one after each document.
    """
    chosen: list[Document] = []
    larger: list[tuple[int, int, Document]] = []  # what it costs, the place of the one that it replaces
    for offer in sorted(offers, key=lambda one: (len(one.brief.ids), one.brief.file.path)):
        room -= len(offer.brief.ids) + 1
        if room < 0:
            room += len(offer.brief.ids) + 1
            break
        if offer.full is not None:
            larger.append((len(offer.full.ids) - len(offer.brief.ids), len(chosen), offer.full))
        chosen.append(offer.brief)
    for cost, place, full in sorted(larger, key=lambda one: one[:2]):
        if cost > room:
            break
        room -= cost
        chosen[place] = full
    return sorted(chosen, key=lambda one: (len(one.ids), one.file.path))
