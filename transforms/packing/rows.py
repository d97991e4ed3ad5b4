"""Packs documents into rows of at most `context_length` tokens, in order, nearly full, without losing any.

    <bos> doc <file_separator> doc <file_separator> doc <eos> <bos> doc <eos>
    └──────────── segment 1: one repository ───────────────┘ └─ segment 2 ──┘

1. The next file that fits into the row is placed. A file longer than a row is split at a natural point to fill the row,
   and continues in the next one.
2. If the next file doesn't fit, the largest of the following `LOOKAHEAD` files that fits is placed instead, unless it
   imports a file that it would overtake.
3. If none fits and more than `MAX_WASTE` of the row would stay empty, the next file is split to fill it. Rows are
   therefore full to about 1 - `MAX_WASTE`, and few files shorter than a row are split.

Rows aren't padded: `input_ids` has the row's actual length. Memory: `LOOKAHEAD` documents and one row.
Source: arXiv 2406.11409, "Multi-file packing"; why splitting files hurts: arXiv 2404.10830.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from model.errors import ConfigError
from model.tokenizer import Tokenizer
from transforms.fim.formats import document_end
from transforms.packing import middles
from transforms.packing.context import RepositoryContext
from transforms.packing.documents import (
    Document,
    DocumentRecipe,
    LineTokens,
    SourceFile,
    cut_point,
    make_document,
)
from transforms.packing.parts import TRAINED
from transforms.packing.tokens import Ids, TextTokens

LOOKAHEAD: Final = 32
MAX_WASTE: Final = 1 / 128
MIN_CONTEXT_LENGTH: Final = 64

# The control tokens of a layout, and room for a text that has more tokens encoded in three parts than in one.
_FIM_OVERHEAD: Final = 3 + 5

# Code has 2 to 5 characters per token; a file with more than this per token of a row is split without a full encoding.
_LONG_CHARS_PER_TOKEN: Final = 8

# A text with fewer characters per token of a row most likely fits and is encoded immediately. Between the two limits,
# its lines are counted, which are needed to split it. Their sum exceeds the text's tokens by far less than the margin.
_SHORT_CHARS_PER_TOKEN: Final = 3
_SUM_MARGIN: Final = 1.1

PART_TYPE: Final = pa.struct(
    [
        pa.field("repo_name", pa.large_string(), nullable=False),
        pa.field("path", pa.large_string(), nullable=False),
        pa.field("content_sha256", pa.string(), nullable=False),  # of the raw file
        pa.field("redacted_sha256", pa.string(), nullable=False),  # of the text that the offsets refer to
        pa.field("start", pa.int64(), nullable=False),  # characters of the file
        pa.field("end", pa.int64(), nullable=False),
        pa.field("token_start", pa.int32(), nullable=False),  # of the row, path line included
        pa.field("token_end", pa.int32(), nullable=False),
        pa.field("text_start", pa.int32(), nullable=False),  # characters of the row's text
        pa.field("text_end", pa.int32(), nullable=False),
        pa.field("path_tokens", pa.int32(), nullable=False),
        pa.field("prefix_tokens", pa.int32(), nullable=False),
        pa.field("middle_tokens", pa.int32(), nullable=False),
        pa.field("suffix_tokens", pa.int32(), nullable=False),
        pa.field("fim_mode", pa.string(), nullable=False),  # psm, spm, spm_v2, or none
        pa.field("span_kind", pa.string()),
        pa.field("span_start", pa.int64()),  # characters of the file
        pa.field("span_end", pa.int64()),
        pa.field("role", pa.string(), nullable=False),  # file; as context without loss: copy, signatures
    ]
)
ROW_SCHEMA: Final = pa.schema(
    [
        pa.field("input_ids", pa.list_(pa.field("item", pa.int32(), nullable=False)), nullable=False),
        pa.field("segment_ids", pa.list_(pa.field("item", pa.int32(), nullable=False)), nullable=False),  # from 1
        pa.field("loss_mask", pa.list_(pa.field("item", pa.int8(), nullable=False)), nullable=False),  # 1: a target
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("num_tokens", pa.int32(), nullable=False),
        pa.field("parts", pa.list_(pa.field("item", PART_TYPE, nullable=False)), nullable=False),
    ]
)

# Metadata of a file of packed rows: the vocabulary, by hash and size, and the length of the rows.
TOKENIZER_KEY: Final = b"codemill_tokenizer_sha256"
VOCAB_SIZE_KEY: Final = b"codemill_vocab_size"
CONTEXT_LENGTH_KEY: Final = b"codemill_context_length"


def row_schema(tokenizer: Tokenizer, context_length: int) -> pa.Schema:
    """`ROW_SCHEMA` with the metadata that a trainer needs about the ids."""
    facts = {
        TOKENIZER_KEY: tokenizer.sha256,
        VOCAB_SIZE_KEY: str(tokenizer.vocab_size),
        CONTEXT_LENGTH_KEY: str(context_length),
    }
    return ROW_SCHEMA.with_metadata(facts)


class RowPacker:
    """Packs one repository after another; a row may contain the end of one and the start of the next.

    Args:
        tokenizer: The model's tokenizer.
        recipe: How documents are built.
        context_length: Maximum tokens of a row.
        context_share: Maximum share of a row that repeats what its files import.
    """

    def __init__(
        self, tokenizer: Tokenizer, recipe: DocumentRecipe, context_length: int, *, context_share: float = 0.0
    ):
        if context_length < MIN_CONTEXT_LENGTH:
            raise ConfigError(f"context_length is {context_length}; the minimum is {MIN_CONTEXT_LENGTH}")
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._length = context_length
        self._min_piece = max(8, int(context_length * MAX_WASTE))
        self._max_context = int(context_length * context_share)
        self._context = RepositoryContext(tokenizer, path_line=recipe.path_line)
        self._imports: Mapping[str, frozenset[str]] = {}
        self._imported: frozenset[str] = frozenset()  # what any file imports
        self._row = _Row(tokenizer)
        self.counts: Counter[str] = Counter()  # of the documents placed (`transforms.packing.middles`)

    def pack(
        self, files: Iterable[SourceFile], imports: Mapping[str, frozenset[str]] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Packs one repository's files and yields the rows that became full.

        Args:
            files: In the order in which they should be packed.
            imports: For each path the paths that it imports, which it must not overtake.
        """
        self._row.end_segment()
        self._imports = imports or {}
        self._imported = frozenset().union(*self._imports.values())
        self._context = RepositoryContext(self._tokenizer, path_line=self._recipe.path_line)
        source = iter(files)
        waiting: deque[_Waiting] = deque()
        while True:
            while len(waiting) <= LOOKAHEAD and (file := next(source, None)) is not None:
                waiting.append(_Waiting(self, file, 0))
            if not waiting:
                return
            if not self._place_next(waiting):
                yield self._row.finish()
                self._row = _Row(self._tokenizer)

    def finish(self) -> Iterator[dict[str, Any]]:
        """Yields the last row, if there is one."""
        if self._row.documents:
            yield self._row.finish()
            self._row = _Row(self._tokenizer)

    def _place_next(self, waiting: deque[_Waiting]) -> bool:
        """Places one document in the row; returns False if the row should be closed."""
        room = self._length - self._row.used
        head = waiting[0]
        if head.fits(room):
            self._place(head.document, head.tokens)
            waiting.popleft()
            return True
        if not head.is_long:
            index = self._best_that_fits(waiting, room)
            if index is not None:
                self._place(waiting[index].document, waiting[index].tokens)
                del waiting[index]
                return True
        return room > self._min_piece and self._place_piece(waiting, room)

    def _place(self, document: Document, tokens: TextTokens) -> None:
        """Places a document of a file with these tokens, after as much of what it imports as there is room for."""
        if self._max_context:
            row = self._row
            room = min(self._length - row.used - len(document.ids) - 1, self._max_context - row.context_tokens)
            imports = self._imports.get(document.file.path, ())
            for found in self._context.before(document, imports, row.present, room):
                row.place(found)
            if document.start == 0 and document.file.path in self._imported:
                self._context.add(document.file, tokens)
        self._row.place(document)
        middles.count_document(self.counts, document)

    def _best_that_fits(self, waiting: deque[_Waiting], room: int) -> int | None:
        best, best_size = None, 0
        overtaken: set[str] = set()
        for index, item in enumerate(waiting):
            if (
                index
                and not item.is_long
                and best_size < item.size <= room
                and overtaken.isdisjoint(self._imports.get(item.file.path, ()))
            ):
                best, best_size = index, item.size
            overtaken.add(item.file.path)
        return best

    def _place_piece(self, waiting: deque[_Waiting], room: int) -> bool:
        """Splits the next file so that its first part fills the row; returns False if no part fits."""
        item = waiting[0]
        capacity = room - _Waiting.overhead(self, item.file)
        while capacity > 0:
            end = cut_point(item.lines, item.start, capacity, self._min_piece)
            if end == item.start:
                break
            document = make_document(self._tokenizer, item.file, self._recipe, item.start, end, item.tokens)
            if len(document.ids) + 1 <= room:
                self._place(document, item.tokens)
                if end == len(item.file.content):
                    waiting.popleft()
                else:
                    waiting[0] = _Waiting(self, item.file, end, item.lines)
                return True
            capacity -= len(document.ids) + 1 - room
        if not self._row.documents:
            return self._place_characters(waiting, room)
        return False

    def _place_characters(self, waiting: deque[_Waiting], room: int) -> bool:
        """For an empty row into which not even one line fits: places as many characters as fit, at least one."""
        item = waiting[0]
        chars = max(1, min(room // 4, len(item.file.content) - item.start))
        plain = DocumentRecipe(job_seed=self._recipe.job_seed, fim_rate=0.0, path_line=False)
        document = make_document(self._tokenizer, item.file, plain, item.start, item.start + chars, item.tokens)
        assert len(document.ids) + 1 <= room, "a character has at most four byte tokens"
        self._place(document, item.tokens)
        if document.end == len(item.file.content):
            waiting.popleft()
        else:
            waiting[0] = _Waiting(self, item.file, document.end, item.lines)
        return True


class _Waiting:
    """The rest of a file from `start`; its document is built on first use."""

    def __init__(self, packer: RowPacker, file: SourceFile, start: int, lines: LineTokens | None = None):
        self.file, self.start = file, start
        self._packer = packer
        self.lines = lines or LineTokens(TextTokens(packer._tokenizer, file.content))
        self._document: Document | None = None
        self._is_long: bool | None = None

    @property
    def tokens(self) -> TextTokens:
        """The tokens of the file."""
        return self.lines.tokens

    @property
    def is_long(self) -> bool:
        """Whether no row can contain it; decided without building its document if that is obvious."""
        if self._is_long is None:
            chars, length = len(self.file.content) - self.start, self._packer._length
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
        if self._document is None:
            packer = self._packer
            self._document = make_document(packer._tokenizer, self.file, packer._recipe, self.start, tokens=self.tokens)
        return self._document

    def fits(self, room: int) -> bool:
        return not self.is_long and self.size <= room

    @staticmethod
    def overhead(packer: RowPacker, file: SourceFile) -> int:
        """Approximate tokens of a document other than its text."""
        path_tokens = len(packer._tokenizer.encode(f"{file.path}\n")) if packer._recipe.path_line else 0
        return path_tokens + _FIM_OVERHEAD + 1


class _Row:
    """A row that is being filled."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self.documents: list[tuple[int, Document]] = []  # with its segment number
        self._segment = 0
        self._begins_segment = True
        self._tokens = 0
        self.context_tokens = 0
        self.present: set[str] = set()  # paths of the segment's complete files

    @property
    def used(self) -> int:
        """Tokens so far, including those that start a new segment if the next document needs one."""
        return self._tokens + self._begins_segment

    def end_segment(self) -> None:
        self._begins_segment = True
        self.present = set()

    def place(self, document: Document) -> None:
        self._segment += self._begins_segment
        self._tokens = self.used + len(document.ids) + 1
        self._begins_segment = False
        self.documents.append((self._segment, document))
        if document.role != TRAINED:
            self.context_tokens += len(document.ids) + 1
        if document.role != TRAINED or document.end - document.start == len(document.file.content):
            self.present.add(document.file.path)

    def finish(self) -> dict[str, Any]:
        """The row's values, as in `ROW_SCHEMA`."""
        t = self._tokenizer
        bos, eos, separator = (np.array([id_], np.int32) for id_ in (t.bos, t.eos, document_end(t)))
        ids: list[Ids] = []
        segments: list[int] = []  # of each array of ids
        trained: list[bool] = []  # likewise
        parts: list[dict[str, Any]] = []
        texts: list[str] = []
        num_ids = num_chars = 0
        for index, (segment, document) in enumerate(self.documents):
            is_first = index == 0 or self.documents[index - 1][0] != segment
            is_last = index + 1 == len(self.documents) or self.documents[index + 1][0] != segment
            before = [bos] if is_first else []
            shown = [t.piece(t.bos)] if is_first else []
            token_start, text_start = num_ids + len(before), num_chars + sum(map(len, shown))
            parts.append(_part(document, token_start, text_start))
            added = [*before, document.ids, eos if is_last else separator]
            shown += [document.text, t.piece(t.eos if is_last else document_end(t))]
            ids += added
            texts += shown
            segments += [segment] * len(added)
            trained += [document.role == TRAINED] * len(added)
            num_ids += sum(map(len, added))
            num_chars += sum(map(len, shown))
        assert num_ids == self._tokens
        lengths = [len(part) for part in ids]
        segment_ids = np.repeat(np.array(segments, np.int32), lengths)
        # Nothing precedes a segment's first token, so its prediction can't be learned.
        loss_mask = (np.diff(segment_ids, prepend=0) == 0) & np.repeat(np.array(trained), lengths)
        return {
            "input_ids": array("i", np.concatenate(ids).tobytes()),
            "segment_ids": array("i", segment_ids.tobytes()),
            "loss_mask": array("b", loss_mask.tobytes()),
            "text": "".join(texts),
            "num_tokens": num_ids,
            "parts": parts,
        }


def _part(document: Document, token_start: int, text_start: int) -> dict[str, Any]:
    span = document.span
    return {
        "repo_name": document.file.repo_name,
        "path": document.file.path,
        "content_sha256": document.file.content_sha256,
        "redacted_sha256": document.file.redacted_sha256 or document.file.content_sha256,
        "start": document.start,
        "end": document.end,
        "token_start": token_start,
        "token_end": token_start + len(document.ids),
        "text_start": text_start,
        "text_end": text_start + len(document.text),
        "path_tokens": document.path_tokens,
        "prefix_tokens": document.prefix_tokens,
        "middle_tokens": document.middle_tokens,
        "suffix_tokens": document.suffix_tokens,
        "fim_mode": document.fim_mode,
        "span_kind": span.kind if span else None,
        "span_start": span.start if span else None,
        "span_end": span.end if span else None,
        "role": document.role,
    }
