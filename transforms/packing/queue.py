"""Which file is packed next: the order is that of the repository, but for files that suit the row.

1. The tests of the file that was placed last. One that doesn't fit lets `FILLERS` other files pass, then it is split.
2. Of the next `LOOKAHEAD` files the one of whose imports the row has most, if it has any.
3. The first one; if that doesn't fit, the largest of the next `MAX_PASSED` that does.

No file overtakes one that it imports, so each stands behind its imports still.

Cost: some hundred set operations a file. Memory: `LOOKAHEAD` files, of which those have tokens that were thought of.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Set
from typing import Final

from model.tokenizer import Tokenizer
from transforms.packing.beside import name_under_test
from transforms.packing.documents import Document, DocumentRecipe, LineTokens, SourceFile, make_document
from transforms.packing.tokens import TextTokens

LOOKAHEAD: Final = 128
MAX_PASSED: Final = 32
FILLERS: Final = 1

# The control tokens of a layout, and room for a text that has more tokens encoded in three parts than in one.
_FIM_OVERHEAD: Final = 3 + 5

# Code has 2 to 5 characters per token; a file with more than this per token of a row is split without a full encoding.
_LONG_CHARS_PER_TOKEN: Final = 8

# A text with fewer characters per token of a row most likely fits and is encoded immediately. Between the two limits,
# its lines are counted, which are needed to split it. Their sum exceeds the text's tokens by far less than the margin.
_SHORT_CHARS_PER_TOKEN: Final = 3
_SUM_MARGIN: Final = 1.1


class Waiting:
    """The rest of a file from `start`; its document is built on first use.

    Args:
        tokenizer: The vocabulary.
        recipe: How documents are built.
        length: Tokens of a row.
        file: The file.
        start: Its first character that isn't placed yet.
        lines: The tokens of its lines, if an earlier part was placed.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        recipe: DocumentRecipe,
        length: int,
        file: SourceFile,
        start: int = 0,
        lines: LineTokens | None = None,
    ):
        self.file, self.start = file, start
        self.beside: str | None = None  # of a test, the file behind which it stands
        self._tokenizer, self._recipe, self._length = tokenizer, recipe, length
        self.lines = lines or LineTokens(TextTokens(tokenizer, file.content))
        self._document: Document | None = None
        self._is_long: bool | None = None

    def rest(self, start: int) -> Waiting:
        """What is left of it from another character on."""
        found = Waiting(self._tokenizer, self._recipe, self._length, self.file, start, self.lines)
        found.beside = self.beside
        return found

    @property
    def tokens(self) -> TextTokens:
        """The tokens of the file."""
        return self.lines.tokens

    @property
    def is_long(self) -> bool:
        """Whether no row can contain it; decided without building its document if that is obvious."""
        if self._is_long is None:
            chars, length = len(self.file.content) - self.start, self._length
            self._is_long = (
                chars > _LONG_CHARS_PER_TOKEN * length
                or (chars > _SHORT_CHARS_PER_TOKEN * length and self._lines_fill(int(_SUM_MARGIN * length)))
                or self.size > length - 1
            )
        return self._is_long

    def _lines_fill(self, tokens: int) -> bool:
        ends, _ = self.lines.up_to(self.start, tokens)
        return not len(ends) or int(ends[-1]) < len(self.file.content)

    @property
    def size(self) -> int:
        """Tokens including the final one (a separator or the end of the sequence)."""
        return len(self.document.ids) + 1

    @property
    def document(self) -> Document:
        """What is left of the file, as it is trained on."""
        if self._document is None:
            self._document = make_document(self._tokenizer, self.file, self._recipe, self.start, tokens=self.tokens)
        return self._document

    def fits(self, room: int) -> bool:
        """Whether all of it can be placed into so many tokens."""
        return not self.is_long and self.size <= room

    def overhead(self) -> int:
        """Approximate tokens of a document other than its text."""
        path_tokens = len(self._tokenizer.encode(f"{self.file.path}\n")) if self._recipe.path_line else 0
        return path_tokens + _FIM_OVERHEAD + 1


class FileQueue:
    """The files of a repository that aren't placed yet.

    Args:
        files: In packing order.
        imports: For each path the paths that it imports.
    """

    def __init__(self, files: Iterator[Waiting], imports: Mapping[str, Set[str]]):
        self._files = files
        self._imports = imports
        self._waiting: deque[Waiting] = deque()
        self._read: str | None = None  # the last file that was read and is no test of another
        self._placed: str | None = None  # the file whose tests come next
        self._between = 0  # files placed since

    @property
    def head(self) -> Waiting:
        """The file that is split if none fits."""
        index = self._first_test()
        if index:  # a test whose turn it is becomes the first
            item = self._waiting[index]
            del self._waiting[index]
            self._waiting.appendleft(item)
        return self._waiting[0]

    def fill(self) -> bool:
        """Reads files ahead; returns whether there is one."""
        while len(self._waiting) < LOOKAHEAD and (item := next(self._files, None)) is not None:
            path = item.file.path
            if self._read in self._imports.get(path, ()) and name_under_test(path) is not None:
                item.beside = self._read
            else:
                self._read = path
            self._waiting.append(item)
        return bool(self._waiting)

    def choose(self, room: int, present: Set[str]) -> int | None:
        """The place of the file that goes next into a row; None if none fits, or one must be split.

        Args:
            room: Tokens that are left in the row.
            present: Paths of the files that its segment has.
        """
        test = self._first_test()
        if test is not None:
            if self._waiting[test].fits(room):
                return test
            if self._between >= FILLERS or self._waiting[test].is_long:
                return None
        free = list(self._free())
        if test is not None:  # what passes it must not have tests itself
            tested = {item.beside for item in self._waiting}
            free = [index for index in free if self._waiting[index].file.path not in tested]
        by_imports = [
            (-len(present & self._imports.get(self._waiting[index].file.path, _NONE)), index) for index in free
        ]
        for imported, index in sorted(by_imports):
            if imported and self._waiting[index].fits(room):
                return index
        if 0 in free and self._waiting[0].fits(room):
            return 0
        if self._waiting[0].is_long:
            return None
        sizes = [
            (-item.size, index) for index in free if index < MAX_PASSED and (item := self._waiting[index]).fits(room)
        ]
        return min(sizes)[1] if sizes else None

    def take(self, index: int) -> Waiting:
        """Takes a file out, which is placed as a whole."""
        item = self._waiting[index]
        del self._waiting[index]
        self._place(item)
        return item

    def advance(self, end: int) -> None:
        """Takes the first file out up to a character."""
        item = self._waiting.popleft()
        if end < len(item.file.content):
            self._waiting.appendleft(item.rest(end))
        else:
            self._place(item)

    def _place(self, item: Waiting) -> None:
        if item.beside is None:
            pending = self._first_test() is not None
            self._between += 1
            if not pending:
                self._placed, self._between = item.file.path, 0

    def _first_test(self) -> int | None:
        """The place of the first test of the file that was placed last, if it overtakes no import."""
        if self._placed is None or all(item.beside != self._placed for item in self._waiting):
            return None
        return next((index for index in self._free() if self._waiting[index].beside == self._placed), None)

    def _free(self) -> Iterator[int]:
        """The places of files that overtake none that they import."""
        overtaken: set[str] = set()
        for index, item in enumerate(self._waiting):
            if overtaken.isdisjoint(self._imports.get(item.file.path, _NONE)):
                yield index
            overtaken.add(item.file.path)


_NONE: Final[frozenset[str]] = frozenset()
