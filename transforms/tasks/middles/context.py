"""Repository context of a prompt: what the file imports, in front of it, as `codemill pack` lays it out.

    <bos> [tax.py, whole] <file_separator> [money.py, signatures] <file_separator> cart.py <fim_prefix> ...

What stands in front is chosen by the file without its middle, and never tells the middle: a block is left out

1. if the file seems to be imported by the middle alone: its name stands there and nowhere else in the text,
2. if it is another copy of the file: half of its lines of code, three at least, are lines of the file, or so the other
   way around,
3. if it has the middle's text, blanks aside, or lines that make up half of it.

Source of the layout: `transforms.packing.context`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

from transforms.fim.spans import Span
from transforms.packing.context import COPY, Offer, RepositoryContext, choose, words_of
from transforms.packing.documents import Document, SourceFile
from transforms.packing.tokens import TextTokens
from transforms.rows.row import Row
from transforms.tasks.base import ContextFile, PromptContext
from transforms.tasks.shared import open_tokenizer

# Shorter middles and lines, blanks aside, stand in many files: a bracket, a name, `return result`.
MIN_MIDDLE_CHARS: Final = 12
MIN_LINE_CHARS: Final = 16
_MOST: Final = 0.5
_FEWEST_LINES: Final = 3
MAX_CHARS: Final = 400_000
"""Larger files neither get context nor are any."""
# Begins of comments and imports, without blanks.
_ALIKE: Final = re.compile(r"\*|//|/\*|#|--|import|from\w+(?:\.\w+)*import|package|using|use\w")
_STEM: Final = re.compile(r"([^/.]+)[^/]*\Z")
# File names that say nothing; the folder's name is the module's.
_FOLDER_FILES: Final = ("__init__", "index", "mod", "lib", "main")


@dataclass(frozen=True, slots=True)
class Blocks:
    """What stands in front of a prompt's file.

    Args:
        documents: In their order.
        left_out: How many files were left out since they tell the middle.
    """

    documents: tuple[Document, ...] = ()
    left_out: int = 0

    @property
    def ids(self) -> tuple[tuple[int, ...], ...]:
        """The ids of each block, without the separator behind it."""
        return tuple(tuple(document.ids.tolist()) for document in self.documents)

    @property
    def tokens(self) -> int:
        """Tokens of the prompt that they take, separators included."""
        return sum(len(document.ids) + 1 for document in self.documents)

    @property
    def texts(self) -> tuple[str, ...]:
        """Their texts, path lines included."""
        return tuple(document.text for document in self.documents)

    def told(self) -> PromptContext:
        """What counts and lineage have of it."""
        files = tuple(ContextFile(d.file.path, d.file.content_sha256, d.role, len(d.ids)) for d in self.documents)
        return PromptContext(files, self.tokens, self.left_out)


def choose_blocks(tokenizer: str, row: Row, span: Span, imported: Sequence[SourceFile], room: int) -> Blocks:
    """Chooses what of the imported files stands in front of the prompt for a span.

    Args:
        tokenizer: Location of the vocabulary.
        row: The file.
        span: The middle.
        imported: The files that it imports.
        room: Tokens, with one after each block.
    """
    if not imported or room < 2 or len(row.content) > MAX_CHARS:
        return Blocks()
    before, middle, after = row.content[: span.start], row.content[span.start : span.end], row.content[span.end :]
    words = words_of(before) | words_of(after)
    guard = _Guard(row.content, middle, words)
    offered = [found for file in imported if (found := _context_of(tokenizer, file).offer(file.path, words))]
    kept = [offer for found in offered if (offer := guard.without_telling(found)) is not None]
    return Blocks(tuple(choose(kept, room)), len(offered) - len(kept))


class _Guard:
    """Knows what would tell a middle.

    Args:
        content: The file.
        middle: Its middle.
        words: The words of the rest.
    """

    def __init__(self, content: str, middle: str, words: Set[str]):
        self._words = words
        self._middle_words = words_of(middle)
        self._middle = _compact(middle)
        self._lines = _code_lines(content)
        self._middle_lines = set(_long_lines(middle))

    def without_telling(self, offer: Offer) -> Offer | None:
        """What of an offer doesn't tell the middle; None for nothing. A file that tells it as a whole isn't shown."""
        told = [self.is_told_by(one) for one in (offer.brief, offer.full) if one is not None]
        if told[0] or (told[-1] and offer.full is not None and offer.full.role == COPY):
            return None
        return Offer(offer.brief) if told[-1] else offer

    def is_told_by(self, document: Document) -> bool:
        """Whether a block would tell the middle."""
        return self._is_imported_there(document.file.path) or self._has_middle(document) or self._is_copy(document)

    def _is_imported_there(self, path: str) -> bool:
        names = words_of(_module_name(path))
        return not names <= self._words and names <= self._words | self._middle_words

    def _has_middle(self, document: Document) -> bool:
        if len(self._middle) >= MIN_MIDDLE_CHARS and self._middle in _compact(document.text):
            return True
        shared = sum(map(len, self._middle_lines.intersection(_long_lines(document.text))))
        return bool(shared) and shared >= _MOST * len(self._middle)

    def _is_copy(self, document: Document) -> bool:
        lines = _code_lines(document.file.content)
        shared = len(lines & self._lines)
        return shared >= _FEWEST_LINES and shared >= _MOST * min(len(lines), len(self._lines))


def _module_name(path: str) -> str:
    folder, _, name = path.rpartition("/")
    found = _STEM.search(name)
    stem = found.group(1) if found else name
    return folder.rpartition("/")[2] or stem if stem in _FOLDER_FILES else stem


def _compact(text: str) -> str:
    return "".join(text.split())


def _long_lines(text: str) -> Iterator[str]:
    """The lines of a text without blanks, but for short ones."""
    return (line for found in text.splitlines() if len(line := _compact(found)) >= MIN_LINE_CHARS)


@functools.lru_cache(maxsize=256)
def _code_lines(text: str) -> frozenset[str]:
    """The lines by which copies are known: headers with a license and imports are alike in many files."""
    return frozenset(line for line in _long_lines(text) if not _ALIKE.match(line))


@functools.lru_cache(maxsize=256)
def _context_of(tokenizer: str, file: SourceFile) -> RepositoryContext:
    """What a file offers, with its tokens: the files of a repository import the same ones."""
    opened = open_tokenizer(tokenizer)
    found = RepositoryContext(opened, path_line=True)
    found.add(file, TextTokens(opened, file.content))
    return found
