"""Packs documents into rows of at most `context_length` tokens, in order, nearly full, without losing any.

    <bos> doc <file_separator> doc <file_separator> doc <eos> <bos> doc <eos>
    └──────────── segment 1: one repository ───────────────┘ └─ segment 2 ──┘

1. The next file (`transforms.packing.queue`) that fits into the row is placed, behind its context
   (`transforms.packing.context`). A file longer than a row is split at a natural point to fill the row, and continues
   in the next one.
2. If none fits and more than `MAX_WASTE` of the row would stay empty, the first one is split to fill it. Rows are
   therefore full to about 1 - `MAX_WASTE`, and few files shorter than a row are split.

Rows aren't padded: `input_ids` has the row's actual length. Memory: the files that wait and one row.
Source: arXiv 2406.11409, "Multi-file packing"; why splitting files hurts: arXiv 2404.10830.
"""

from __future__ import annotations

from array import array
from collections import Counter
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
    SourceFile,
    cut_point,
    make_document,
)
from transforms.packing.parts import TRAINED
from transforms.packing.queue import FileQueue, Waiting
from transforms.packing.tokens import Ids, TextTokens

MAX_WASTE: Final = 1 / 128
MIN_CONTEXT_LENGTH: Final = 64

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
        pa.field("role", pa.string(), nullable=False),  # file; without loss: copy, definitions, signatures
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
        queue = FileQueue((Waiting(self._tokenizer, self._recipe, self._length, file) for file in files), self._imports)
        while queue.fill():
            if not self._place_next(queue):
                yield self._row.finish()
                self._row = _Row(self._tokenizer)

    def finish(self) -> Iterator[dict[str, Any]]:
        """Yields the last row, if there is one."""
        if self._row.documents:
            yield self._row.finish()
            self._row = _Row(self._tokenizer)

    def _place_next(self, queue: FileQueue) -> bool:
        """Places one document in the row; returns False if the row should be closed."""
        room = self._length - self._row.used
        index = queue.choose(room, self._row.present)
        if index is not None:
            item = queue.take(index)
            self._place(item.document, item.tokens)
            return True
        return room > self._min_piece and self._place_piece(queue, room)

    def _place(self, document: Document, tokens: TextTokens) -> None:
        """Places a document of a file with these tokens, after as much of what it imports as there is room for."""
        if self._max_context:
            row = self._row
            room = min(self._length - row.used - len(document.ids) - 1, self._max_context - row.context_tokens)
            imports = self._imports.get(document.file.path, ())
            for found in self._context.before(document, imports, row.present, room, row.shown):
                row.place(found)
            if document.start == 0 and document.file.path in self._imported:
                self._context.add(document.file, tokens)
        self._row.place(document)
        middles.count_document(self.counts, document)

    def _place_piece(self, queue: FileQueue, room: int) -> bool:
        """Splits the next file so that its first part fills the row; returns False if no part fits."""
        item = queue.head
        capacity = room - item.overhead()
        while capacity > 0:
            end = cut_point(item.lines, item.start, capacity, self._min_piece)
            if end == item.start:
                break
            document = make_document(self._tokenizer, item.file, self._recipe, item.start, end, item.tokens)
            if len(document.ids) + 1 <= room:
                self._place(document, item.tokens)
                queue.advance(end)
                return True
            capacity -= len(document.ids) + 1 - room
        if not self._row.documents:
            return self._place_characters(queue, room)
        return False

    def _place_characters(self, queue: FileQueue, room: int) -> bool:
        """For an empty row into which not even one line fits: places as many characters as fit, at least one."""
        item = queue.head
        chars = max(1, min(room // 4, len(item.file.content) - item.start))
        plain = DocumentRecipe(job_seed=self._recipe.job_seed, fim_rate=0.0, path_line=False)
        document = make_document(self._tokenizer, item.file, plain, item.start, item.start + chars, item.tokens)
        assert len(document.ids) + 1 <= room, "a character has at most four byte tokens"
        self._place(document, item.tokens)
        queue.advance(document.end)
        return True


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
        self.shown: dict[str, set[str]] = {}  # of others, the definitions that stand in the segment as context

    @property
    def used(self) -> int:
        """Tokens so far, including those that start a new segment if the next document needs one."""
        return self._tokens + self._begins_segment

    def end_segment(self) -> None:
        self._begins_segment = True
        self.present = set()
        self.shown = {}

    def place(self, document: Document) -> None:
        self._segment += self._begins_segment
        self._tokens = self.used + len(document.ids) + 1
        self._begins_segment = False
        self.documents.append((self._segment, document))
        if document.role != TRAINED:
            self.context_tokens += len(document.ids) + 1
        path = document.file.path
        if document.shows:
            self.shown.setdefault(path, set()).update(document.shows)
        elif document.role != TRAINED or document.end - document.start == len(document.file.content):
            self.present.add(path)

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
