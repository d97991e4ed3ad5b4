"""Turns a file, or a part of one, into a training document: FIM with a chosen span, or the text as it is.

FIM is applied before packing, to exactly the text that one row will contain, so no middle, prefix or suffix is ever
truncated. The span and layout of a complete file depend only on job seed, content hash and recipe; those of a part
also depend on where the part starts and ends.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from model.errors import ConfigError
from model.tokenizer import Tokenizer
from transforms.fim.formats import FIM_MODES, FimMode, fim_document, path_line_text
from transforms.fim.spans import Recipe, Span, choose_spans
from transforms.rows.row import derive_seed

PLAIN: Final = "none"

# Longer lines are split when a file is split, at whitespace if there is any.
LONG_LINE_CHARS: Final = 2000

_SPANS_TRIED: Final = 8


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
    tokenizer: Tokenizer, file: SourceFile, recipe: DocumentRecipe, start: int = 0, end: int | None = None
) -> Document:
    """Builds the document of a file's characters `[start, end)`.

    Raises:
        RecordError: `lone_surrogate`.
    """
    end = len(file.content) if end is None else end
    text = file.content[start:end]
    path_line = tokenizer.encode(path_line_text(file.path)) if recipe.path_line else []
    mode, span = _choose_fim(tokenizer, file, text, recipe, start, end)
    if mode is None or span is None:
        ids = tokenizer.encode(text)
        return Document(file, start, end, (*path_line, *ids), PLAIN, None, len(path_line), len(ids), 0, 0)
    parts = [tokenizer.encode(piece) for piece in (text[: span.start], text[span.start : span.end], text[span.end :])]
    ids = fim_document(tokenizer, mode, *parts, path_line=path_line)
    whole = Span(span.kind, span.start + start, span.end + start)
    return Document(file, start, end, tuple(ids), mode, whole, len(path_line), *map(len, parts))


def _choose_fim(
    tokenizer: Tokenizer, file: SourceFile, text: str, recipe: DocumentRecipe, start: int, end: int
) -> tuple[FimMode | None, Span | None]:
    is_whole = start == 0 and end == len(file.content)
    key = file.content_sha256 if is_whole else f"{file.content_sha256}:{start}:{end}"
    rng = random.Random(derive_seed(recipe.job_seed, key, "pack"))
    if rng.random() >= recipe.fim_rate:
        return None, None
    mode: FimMode = recipe.spm_mode if rng.random() < recipe.spm_rate else "psm"
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
            if _has_at_most(tokenizer, text[span.start : span.end], recipe.max_middle_tokens):
                return mode, span
    return None, None


def _has_at_most(tokenizer: Tokenizer, text: str, tokens: int) -> bool:
    # A character has at most four bytes and a token at least one: most middles need not be encoded to decide.
    return 4 * len(text) <= tokens or len(tokenizer.encode(text)) <= tokens


class LineTokens:
    """The line ends of a text and the number of tokens of each line, each line encoded once, on first use.

    Tokens summed over lines are slightly more than those of the text encoded as one.
    """

    def __init__(self, tokenizer: Tokenizer, text: str, start: int = 0):
        self.text, self.start = text, start
        self._tokenizer = tokenizer
        self._unread = _line_ends(text, start)
        self._ends: list[int] = []
        self._totals: list[int] = []

    def has(self, offset: int) -> bool:
        """Whether a line that was read ends at `offset`, or the first one starts there."""
        place = bisect.bisect_left(self._ends, offset)
        return offset == self.start or (place < len(self._ends) and self._ends[place] == offset)

    def up_to(self, start: int, max_tokens: int) -> list[tuple[int, int]]:
        """Returns the line ends after the line end `start`, each with its tokens from there, up to `max_tokens`."""
        first = bisect.bisect_right(self._ends, start)
        base = self._totals[first - 1] if first else 0
        while not self._totals or self._totals[-1] - base <= max_tokens:
            end = next(self._unread, None)
            if end is None:
                break
            begin = self._ends[-1] if self._ends else self.start
            self._totals.append(
                (self._totals[-1] if self._totals else 0) + len(self._tokenizer.encode(self.text[begin:end]))
            )
            self._ends.append(end)
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


def _line_ends(text: str, start: int) -> Iterator[int]:
    place = start
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
