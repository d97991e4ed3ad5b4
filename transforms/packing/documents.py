"""Turns a file, or a part of one, into a training document: FIM with a chosen span, or the text as it is.

FIM is applied before packing, to exactly the text that one row will contain, so no middle, prefix or suffix is ever
truncated. The span and layout of a complete file depend only on job seed, content hash and recipe; those of a part
also depend on where the part starts and ends.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from model.errors import ConfigError
from model.tokenizer import Tokenizer
from transforms.fim.formats import FIM_MODES, FimMode, fim_document, path_line_text
from transforms.fim.spans import Recipe, Span, choose_spans
from transforms.packing.tokens import TextTokens
from transforms.rows.row import derive_seed

PLAIN: Final = "none"

# Longer lines are split when a file is split, at whitespace if there is any.
LONG_LINE_CHARS: Final = 2000

_SPANS_TRIED: Final = 8
_LINES_READ: Final = 64


@dataclass(frozen=True, kw_only=True)
class DocumentRecipe:
    """How documents are built.

    Args:
        job_seed: Seeds spans and layouts.
        fim_rate: Share of documents that get FIM (CodeGemma: 0.8; 1.1: 0.9).
        spm_rate: Share of these in SPM rather than PSM (CodeGemma: 0.5).
        spm_mode: The SPM dialect.
        path_line: Whether a document starts with its path.
        spans: Kinds of middles, and their lengths in characters.
        max_middle_tokens: Maximum tokens of a middle; a longer span is replaced by the next one sampled.
    """

    job_seed: int = 0
    fim_rate: float = 0.8
    spm_rate: float = 0.5
    spm_mode: FimMode = "spm"
    path_line: bool = True
    spans: Recipe = field(default_factory=Recipe)
    max_middle_tokens: int = 256

    def __post_init__(self) -> None:
        for name in ("fim_rate", "spm_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be between 0 and 1")
        if self.spm_mode not in FIM_MODES[1:]:
            raise ConfigError(f"spm_mode is {self.spm_mode!r}; it can be one of {', '.join(FIM_MODES[1:])}")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to pack.

    Args:
        repo_name: Its repository.
        path: Its path there.
        language: The corpus's name of its language, or "".
        content: Its text, after redaction.
        content_sha256: Hash of the raw content, which determines span and layout.
        redacted_sha256: Hash of `content`; "" if it is the raw content.
    """

    repo_name: str
    path: str
    language: str
    content: str
    content_sha256: str
    redacted_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """The text `[start, end)` of a file as tokens.

    Args:
        file: The source file.
        start, end: Characters of the file's content.
        ids: Path line, control tokens and text.
        fim_mode: The layout, or `none`.
        span: The middle's span, in characters of the file's content; None without FIM.
        path_tokens, prefix_tokens, middle_tokens, suffix_tokens: Lengths of the parts; without FIM all text is prefix.
    """

    file: SourceFile
    start: int
    end: int
    ids: tuple[int, ...]
    fim_mode: str
    span: Span | None
    path_tokens: int
    prefix_tokens: int
    middle_tokens: int
    suffix_tokens: int


def make_document(
    tokenizer: Tokenizer,
    file: SourceFile,
    recipe: DocumentRecipe,
    start: int = 0,
    end: int | None = None,
    tokens: TextTokens | None = None,
) -> Document:
    """Builds the document of a file's characters `[start, end)`.

    Args:
        tokens: The tokens of the file's content, if several documents are made of it.

    Raises:
        RecordError: `lone_surrogate`.
    """
    end = len(file.content) if end is None else end
    tokens = TextTokens(tokenizer, file.content) if tokens is None else tokens
    path_line = tokenizer.encode(path_line_text(file.path)) if recipe.path_line else []
    mode, span = _choose_fim(tokens, file, recipe, start, end)
    if mode is None or span is None:
        ids = tokens.encode(start, end)
        return Document(file, start, end, (*path_line, *ids), PLAIN, None, len(path_line), len(ids), 0, 0)
    cuts = ((start, span.start), (span.start, span.end), (span.end, end))
    parts = [tokens.encode(first, last) for first, last in cuts]
    ids = fim_document(tokenizer, mode, *parts, path_line=path_line)
    return Document(file, start, end, tuple(ids), mode, span, len(path_line), *map(len, parts))


def _choose_fim(
    tokens: TextTokens, file: SourceFile, recipe: DocumentRecipe, start: int, end: int
) -> tuple[FimMode | None, Span | None]:
    """The layout, and the middle's span in the file's characters; None for plain text."""
    is_whole = start == 0 and end == len(file.content)
    key = file.content_sha256 if is_whole else f"{file.content_sha256}:{start}:{end}"
    rng = random.Random(derive_seed(recipe.job_seed, key, "pack"))
    if rng.random() >= recipe.fim_rate:
        return None, None
    mode: FimMode = recipe.spm_mode if rng.random() < recipe.spm_rate else "psm"
    text = file.content[start:end]
    for count in (1, _SPANS_TRIED):  # the first one is rarely too long, and sampling more costs more
        spans = choose_spans(
            text,
            file.language,
            path=file.path,
            job_seed=recipe.job_seed,
            content_sha256=key,
            count=count,
            recipe=recipe.spans,
        )
        for span in spans:
            found = Span(span.kind, span.start + start, span.end + start)
            if _has_at_most(tokens, found, recipe.max_middle_tokens):
                return mode, found
    return None, None


def _has_at_most(tokens: TextTokens, span: Span, most: int) -> bool:
    # A character has at most four bytes and a token at least one: most middles need not be encoded to decide.
    return 4 * (span.end - span.start) <= most or len(tokens.encode(span.start, span.end)) <= most


class LineTokens:
    """The line ends of a text and the number of tokens before each of them, on first use.

    A token that reaches over a line end counts before it, so a part may have one or two tokens more or less.
    """

    def __init__(self, tokens: TextTokens):
        self.tokens = tokens
        self._unread = _line_ends(tokens.text)
        self._ends: list[int] = []
        self._totals: list[int] = []

    @property
    def text(self) -> str:
        """The text."""
        return self.tokens.text

    def up_to(self, start: int, max_tokens: int) -> list[tuple[int, int]]:
        """Returns the line ends after `start`, each with its tokens from there, up to `max_tokens`."""
        base = self.tokens.counts([start])[0] if start else 0
        while not self._totals or self._totals[-1] - base <= max_tokens:
            ends = list(itertools.islice(self._unread, _LINES_READ))
            if not ends:
                break
            self._ends += ends
            self._totals += self.tokens.counts(ends)
        first = bisect.bisect_right(self._ends, start)
        last = bisect.bisect_right(self._totals, base + max_tokens)
        return [(self._ends[place], self._totals[place] - base) for place in range(first, last)]


def cut_point(lines: LineTokens, start: int, capacity: int, slack: int) -> int:
    """Returns a natural end for a part that starts at `start` and may have `capacity` tokens of text.

    Among the line ends that leave at most `slack` tokens unused, the one before the least indented line wins, then one
    at a blank line, then the last. Returns `start` if not even one line fits.
    """
    fitting = lines.up_to(start, capacity)
    if not fitting:
        return start
    least = fitting[-1][1] - slack
    natural = (end for end, tokens in fitting if tokens >= least)
    return max(natural, key=lambda end: (*_naturalness(lines.text, end), end))


def _line_ends(text: str) -> Iterator[int]:
    place = 0
    while place < len(text):
        found = text.find("\n", place)
        end = len(text) if found < 0 else found + 1
        while end - place > LONG_LINE_CHARS:
            blank = text.rfind(" ", place + LONG_LINE_CHARS // 8, place + LONG_LINE_CHARS // 4)
            place = blank + 1 if blank > 0 else place + LONG_LINE_CHARS // 4
            yield place
        yield end
        place = end


def _naturalness(text: str, end: int) -> tuple[int, bool]:
    """How good a cut point this is: (negative indentation of the next line, whether a blank line is adjacent)."""
    if end >= len(text):
        return 1, True
    line_end = text.find("\n", end)
    following = text[end : len(text) if line_end < 0 else line_end]
    if not following.strip():
        return -1_000, False
    is_line_start = text[end - 1] == "\n"
    indentation = len(following) - len(following.lstrip()) if is_line_start else 500
    return -indentation, text.startswith("\n", end - 2) if end >= 2 else False
