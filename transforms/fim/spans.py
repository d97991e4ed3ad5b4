"""Chooses which spans of a file become middles: lines, characters, and nodes of its syntax tree.

    def area(w, h):⏎    return w * h⏎
                        └─ single_line (without the indentation and the line's end)
                               └───┘ expression

1. For target number i, a random generator is seeded from job seed, content hash, recipe version and i alone.
2. It samples a kind by the recipe's weights, among those still possible for this file.
3. It samples candidates of the kind uniformly (nodes of a file over `WINDOW_BYTES` from a uniformly sampled window)
   and takes the first of up to `TRIES` that satisfies the length bounds and is not a duplicate; one that begins in
   the license header or the import block only with probability `BOILERPLATE_SHARE`. If a kind yields nothing, it is
   dropped and another is sampled.
4. If the language has no grammar or the parse was refused, syntax kinds yield nothing, and lines are chosen
   (`single_line`, then `multi_line`) if the mix has no other kind. The span records its actual kind.

The suffix starts at a natural point: at a line's end, or at the end of a syntax node or of the text inside its
brackets. Only `random_chars` cuts anywhere (but never within a CRLF). A byte-order mark stays in the prefix. A middle
is never empty, never blank, and neither starts nor ends with whitespace, except in `random_chars`, and in `line_end`,
which starts with the line's end. `multi_line` takes runs of lines that belong together, with balanced brackets
(`transforms.fim.line_runs`); what an editor asks for is in `transforms.fim.cursors`.

Cost: a parse, and one query of a window per sampled node, see `transforms.languages.syntax`; without a parse, two
passes over the text. Sources: natural suffixes: "CodeGemma: Open Code Models Based on Gemma", arXiv 2406.11409;
character spans: Bavarian et al., arXiv 2207.14255.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import tree_sitter

from model.errors import ConfigError
from transforms.fim.boilerplate import BOILERPLATE_SHARE, boilerplate
from transforms.fim.cursors import CURSOR_KINDS, draw_cursor
from transforms.fim.kinds import DEFAULT_MIX, KINDS, LINE_KINDS, MIXES, expand_mix
from transforms.fim.line_runs import Lines
from transforms.fim.settings import SpanSettings
from transforms.languages import syntax
from transforms.languages.grammars import SYNTAX_KINDS, grammar_name
from transforms.languages.lookup import find_language
from transforms.rows.row import derive_seed

# Increase it whenever the same input would give other spans: it is part of every row's lineage.
RECIPE_VERSION: Final = "3"
# Part of the seeds: that of recipe 2, so that the kinds which recipe 3 left alone give the same spans as before.
_SEED_VERSION: Final = "2"

TRIES: Final = 48

# Nodes of a larger file come from one window of this size, sampled uniformly; from the full file if it has none there.
WINDOW_BYTES: Final = 16_384
MAX_LINES: Final = 20
_BOM: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Span:
    """A span of a file: `text[start:end]` is the middle. Offsets are characters (code points) of the original text."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How spans are sampled.

    Args:
        mix: Weight of each kind, any non-negative numbers; absent kinds are never sampled.
        min_chars: Minimum length of a middle in characters.
        max_chars: Maximum length of a middle in characters.
    """

    mix: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))
    min_chars: int = SpanSettings.min_chars
    max_chars: int = SpanSettings.max_chars

    def __post_init__(self) -> None:
        unknown = sorted(set(self.mix) - set(KINDS))
        if unknown:
            raise ConfigError(
                f"unknown span kind {', '.join(unknown)}; kinds are {', '.join(KINDS)}; mixes are {', '.join(MIXES)}"
            )
        if not any(weight > 0 for weight in self.mix.values()) or any(weight < 0 for weight in self.mix.values()):
            raise ConfigError("span kind weights must not be negative, and at least one must be above 0")
        if not 1 <= self.min_chars <= self.max_chars:
            raise ConfigError(
                f"middles of {self.min_chars} to {self.max_chars} characters: need 1 <= min_chars <= max_chars"
            )

    @classmethod
    def of(cls, settings: SpanSettings) -> Recipe:
        """Builds the recipe from user settings; the default mix if neither a kind nor a mix is named."""
        mix = expand_mix(settings.mix()) or dict(DEFAULT_MIX)
        return cls(mix=mix, min_chars=settings.min_chars, max_chars=settings.max_chars)


def choose_spans(
    text: str,
    language: str,
    *,
    job_seed: int,
    content_sha256: str,
    count: int,
    recipe: Recipe | None = None,
    path: str = "",
) -> list[Span]:
    """Chooses up to `count` different spans; fewer if the file has no more, none for a blank file.

    Spans may overlap: each is a separate target. Raising `count` keeps the spans chosen before.

    Args:
        text: The file.
        language: The corpus's name of its language, any case; "" to use `path`.
        job_seed: The job's seed.
        content_sha256: The content's hash, as of `transforms.rows.row.content_sha256`.
        count: The number of spans wanted.
        recipe: Kinds and lengths.
        path: The file's path, for its extension.
    """
    recipe = recipe or Recipe()
    chooser = _Chooser(text, language, path, recipe)
    chosen: list[Span] = []
    for index in range(count):
        rng = random.Random(derive_seed(job_seed, content_sha256, "spans", _SEED_VERSION, index))
        span = chooser.draw(rng, taken={(span.start, span.end) for span in chosen})
        if span is None:
            break
        chosen.append(span)
    return chosen


class _Chooser:
    """Samples spans of one file; lines, the tree and the nodes of each kind are computed on first use."""

    def __init__(self, text: str, language: str, path: str, recipe: Recipe):
        self.text = text
        self.language = find_language(language, path)
        self.grammar = grammar_name(language, path)
        self.recipe = recipe
        self._masked: Lines | None = None
        self._head: tuple[tuple[int, int], ...] | None = None
        self._lines: list[str] | None = None
        self._ends: list[int] = []
        self._source: syntax.Source | None = None
        self._nodes: dict[tuple[str, int], list[tree_sitter.Node]] = {}  # by kind and window; -1 is the full file
        self._is_ascii = text.isascii()

    def draw(self, rng: random.Random, taken: set[tuple[int, int]]) -> Span | None:
        weights = {kind: weight for kind, weight in self.recipe.mix.items() if weight > 0}
        if self.grammar is None:
            weights = {kind: weight for kind, weight in weights.items() if kind not in SYNTAX_KINDS}
        while weights:
            kind = rng.choices(list(weights), list(weights.values()))[0]
            found = self._draw_kind(kind, rng, taken)
            if found:
                return Span(kind, *found)
            del weights[kind]
        if self.grammar is None:  # without syntax: lines, even if the mix has none
            for kind in LINE_KINDS:
                found = None if self.recipe.mix.get(kind) else self._draw_kind(kind, rng, taken)
                if found:
                    return Span(kind, *found)
        return None

    def _draw_kind(self, kind: str, rng: random.Random, taken: set[tuple[int, int]]) -> tuple[int, int] | None:
        if kind in SYNTAX_KINDS:
            candidates = self._draw_nodes(kind, rng)
        elif kind == "random_chars":
            candidates = self._draw_chars(rng)
        elif kind == "multi_line":
            candidates = self._draw_runs(rng)
        elif kind in CURSOR_KINDS:
            candidates = self._draw_cursors(kind, rng)
        else:
            candidates = self._draw_lines(rng)
        for start, end in candidates:
            if (start, end) in taken or not self._fits(start, end):
                continue
            if not self._is_boilerplate(start) or rng.random() < BOILERPLATE_SHARE:
                return start, end
        return None

    def _is_boilerplate(self, start: int) -> bool:
        """Whether a middle begins in the license header or the import block: it may end with some code below."""
        if self._head is None:
            self._head = boilerplate(self.text, self.language)
        return any(first <= start < last for first, last in self._head)

    def _fits(self, start: int, end: int) -> bool:
        if not self.recipe.min_chars <= end - start <= self.recipe.max_chars:
            return False
        return not self.text[start:end].isspace() and not self.text.startswith(_BOM, start)

    # Each of these methods yields up to TRIES character ranges, sampled uniformly.

    def _draw_chars(self, rng: random.Random) -> Iterator[tuple[int, int]]:
        first = len(_BOM) if self.text.startswith(_BOM) else 0
        if len(self.text) - first < self.recipe.min_chars:
            return
        for _ in range(TRIES):
            length = rng.randint(self.recipe.min_chars, min(self.recipe.max_chars, len(self.text) - first))
            start = rng.randint(first, len(self.text) - length)
            yield self._off_crlf(start), self._off_crlf(start + length)

    def _off_crlf(self, offset: int) -> int:
        """Returns the offset, moved before a CRLF that it would split."""
        return offset - 1 if offset > 0 and self.text.startswith("\r\n", offset - 1) else offset

    def _draw_lines(self, rng: random.Random) -> Iterator[tuple[int, int]]:
        count = self._num_lines()
        for _ in range(min(TRIES, 4 * count)):
            start, end = self._line(rng.randrange(count))
            if start < end:  # not blank
                yield start, end

    def _draw_runs(self, rng: random.Random) -> Iterator[tuple[int, int]]:
        lines, recipe = self._runs(), self.recipe
        for _ in range(min(TRIES, 4 * len(lines))):
            first = rng.randrange(len(lines))
            wanted = first + rng.randint(1, MAX_LINES - 1)
            last = first
            for end in lines.run_ends(first, MAX_LINES, recipe.max_chars):
                if end > wanted and last > first:
                    break
                last = end
            if last > first:
                yield lines[first].start, lines[last].end

    def _draw_cursors(self, kind: str, rng: random.Random) -> Iterator[tuple[int, int]]:
        lines, max_chars = self._runs(), self.recipe.max_chars
        for _ in range(min(TRIES, 4 * len(lines))):
            found = draw_cursor(lines, kind, rng, max_lines=MAX_LINES, max_chars=max_chars)
            if found:
                yield found

    def _runs(self) -> Lines:
        if self._masked is None:
            self._masked = Lines(self.text, self.language)
        return self._masked

    def _num_lines(self) -> int:
        if self._lines is None:
            self._lines = self.text.split("\n" if "\n" in self.text else "\r")
            self._ends = list(itertools.accumulate(map(len, self._lines)))
        return len(self._lines)

    def _line(self, index: int) -> tuple[int, int]:
        """Start of a line after its indentation and end before trailing whitespace; equal for a blank line."""
        assert self._lines is not None
        line = self._lines[index]
        stripped = line.lstrip(_BOM).strip() if index == 0 else line.strip()
        # The ends exclude line breaks: add one for each line before this one.
        end = self._ends[index] + index - (len(line) - len(line.rstrip()))
        return end - len(stripped), end

    def _draw_nodes(self, kind: str, rng: random.Random) -> Iterator[tuple[int, int]]:
        source = self._parsed()
        if source is None:
            return
        windows = -(-len(source.data) // WINDOW_BYTES)
        found = self._nodes_in(source, kind, rng.randrange(windows) if windows > 1 else -1)
        if not found and windows > 1:
            found = self._nodes_in(source, kind, -1)
        for node in rng.sample(found, min(TRIES, len(found))):
            # A character has at most four bytes: nodes that can't satisfy the bounds are skipped before any decoding.
            if node.end_byte - node.start_byte > 4 * self.recipe.max_chars + 64:
                continue
            hole = syntax.hole(source, kind, node)
            if hole:
                yield self._chars(source.data, hole)

    def _nodes_in(self, source: syntax.Source, kind: str, window: int) -> list[tree_sitter.Node]:
        if (kind, window) not in self._nodes:
            within = None if window < 0 else (window * WINDOW_BYTES, (window + 1) * WINDOW_BYTES)
            self._nodes[kind, window] = syntax.nodes(source, kind, within)
        return self._nodes[kind, window]

    def _parsed(self) -> syntax.Source | None:
        if self._source is None and self.grammar is not None:
            data = self.text.encode("utf-8", "surrogatepass")
            self._source = syntax.parse(data, self.grammar)
            if self._source is None:
                self.grammar = None
        return self._source

    def _chars(self, data: bytes, hole: tuple[int, int]) -> tuple[int, int]:
        """Converts a byte range to characters, without Unicode whitespace at its ends (the bytes' trim left it)."""
        if self._is_ascii:
            return hole
        start = len(data[: hole[0]].decode("utf-8", "surrogatepass"))
        middle = data[hole[0] : hole[1]].decode("utf-8", "surrogatepass")
        return start + len(middle) - len(middle.lstrip()), start + len(middle.rstrip())
