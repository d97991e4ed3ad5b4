"""Turns a file, or a part of one, into a training document: FIM with a chosen span, or the text as it is.

FIM is applied before packing, to exactly the text that one row will contain, so no middle, prefix or suffix is ever
truncated. The span and layout of a complete file depend only on job seed, content hash and recipe; those of a part
also depend on where the part starts and ends.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError
from model.tokenizer import Tokenizer
from transforms.fim.formats import FIM_MODES, FimMode, fim_layout, path_line_text
from transforms.fim.spans import Recipe, Span, choose_spans
from transforms.packing.parts import TRAINED
from transforms.packing.tokens import Ids, TextTokens
from transforms.rows.row import derive_seed

PLAIN: Final = "none"

# Longer lines are split when a file is split, at whitespace if there is any.
LONG_LINE_CHARS: Final = 2000

_SPANS_TRIED: Final = 8
_LINES_READ: Final = 64
_CHARS_READ: Final = 1 << 18


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
        start, end: Characters of the file's content; of context none.
        ids: Path line, control tokens and text.
        text: What they stand for, control tokens by name.
        fim_mode: The layout, or `none`.
        span: The middle's span, in characters of the file's content; None without FIM.
        path_tokens, prefix_tokens, middle_tokens, suffix_tokens: Lengths of the parts; without FIM all text is prefix.
        role: `file`, or as context (`transforms.packing.context`) a `copy` of a file, or its `definitions` or
            `signatures`.
        shows: The qualified names of the definitions or signatures.
    """

    file: SourceFile
    start: int
    end: int
    ids: Ids
    text: str
    fim_mode: str
    span: Span | None
    path_tokens: int
    prefix_tokens: int
    middle_tokens: int
    suffix_tokens: int
    role: str = TRAINED
    shows: frozenset[str] = frozenset()


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
    path_line = path_line_text(file.path) if recipe.path_line else ""
    path_ids = tokenizer.encode_array(path_line)
    mode, span = _choose_fim(tokens, file, recipe, start, end)
    if mode is None or span is None:
        ids, text = np.concatenate([path_ids, tokens.encode(start, end)]), path_line + file.content[start:end]
        return Document(file, start, end, ids, text, PLAIN, None, len(path_ids), len(ids) - len(path_ids), 0, 0)
    cuts = {"prefix": (start, span.start), "middle": (span.start, span.end), "suffix": (span.end, end)}
    parts = {name: tokens.encode(*cut) for name, cut in cuts.items()}
    laid = fim_layout(tokenizer, mode)
    ids = np.concatenate(
        [path_ids, *(np.array([part], np.int32) if isinstance(part, int) else parts[part] for part in laid)]
    )
    texts = (tokenizer.piece(part) if isinstance(part, int) else file.content[slice(*cuts[part])] for part in laid)
    text = path_line + "".join(texts)
    prefix, middle, suffix = map(len, parts.values())
    return Document(file, start, end, ids, text, mode, span, len(path_ids), prefix, middle, suffix)


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
        self._totals: npt.NDArray[np.int64] = np.empty(0, np.int64)

    @property
    def text(self) -> str:
        """The text."""
        return self.tokens.text

    @functools.cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return _line_ends(self.text)

    def up_to(self, start: int, max_tokens: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Returns the line ends after `start`, and for each the tokens from there to it, up to `max_tokens`."""
        base = int(self.tokens.counts([start])[0]) if start else 0
        while not len(self._totals) or self._totals[-1] - base <= max_tokens:
            ends = self._ends[len(self._totals) : len(self._totals) + _LINES_READ]
            if not len(ends):
                break
            self._totals = np.concatenate([self._totals, self.tokens.counts(ends)])
        first = int(np.searchsorted(self._ends, start, side="right"))
        last = int(np.searchsorted(self._totals, base + max_tokens, side="right"))
        return self._ends[first:last], self._totals[first:last] - base


def cut_point(lines: LineTokens, start: int, capacity: int, slack: int) -> int:
    """Returns a natural end for a part that starts at `start` and may have `capacity` tokens of text.

    Among the line ends that leave at most `slack` tokens unused, the one before the least indented line wins, then one
    at a blank line, then the last. Returns `start` if not even one line fits.
    """
    ends, tokens = lines.up_to(start, capacity)
    if not len(ends):
        return start
    natural: list[int] = ends[np.searchsorted(tokens, tokens[-1] - slack) :].tolist()
    return max(natural, key=lambda end: (*_naturalness(lines.text, end), end))


def _line_ends(text: str) -> npt.NDArray[np.int64]:
    found = []
    for start in range(0, len(text), _CHARS_READ):
        chars = np.frombuffer(text[start : start + _CHARS_READ].encode("utf-32-le", "surrogatepass"), np.uint32)
        found.append(np.flatnonzero(chars == ord("\n")) + start + 1)
    if not text.endswith("\n"):  # "" has one as well
        found.append(np.array([len(text)]))
    ends: npt.NDArray[np.int64] = np.concatenate(found).astype(np.int64)
    lengths = np.diff(ends, prepend=0)
    cuts = [cut for line in np.flatnonzero(lengths > LONG_LINE_CHARS) for cut in _cuts(text, ends[line], lengths[line])]
    return np.sort(np.concatenate([ends, np.array(cuts, np.int64)])) if cuts else ends


def _cuts(text: str, end: int, length: int) -> Iterator[int]:
    """Where a long line is cut."""
    place = int(end - length)
    while end - place > LONG_LINE_CHARS:
        blank = text.rfind(" ", place + LONG_LINE_CHARS // 8, place + LONG_LINE_CHARS // 4)
        place = blank + 1 if blank > 0 else place + LONG_LINE_CHARS // 4
        yield place


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
