"""Cuts prefix and suffix down to the whole lines nearest the hole, so that a prompt fits its budget of tokens.

            ┌ prefix_start                     suffix_end ┐
    file:   |....|=====================[ hole ]===========|........|

The rule: what fits is not cut (tried where the context has at most `MAX_CHARS_PER_TOKEN` characters a token).
Otherwise the suffix gets at most `SUFFIX_SHARE` of the budget, except that what the prefix can't use is the
suffix's; the prefix gets the rest. Each side keeps the lines nearest the hole. The hole's own line, up to the hole
and after it, is always kept; where even these two don't fit, the target is refused with `prompt_too_long`. Nothing is
cut within a line.

Lines are encoded from the hole outwards until the budget is full, so a file of any size costs what its window costs. A
line's tokens, summed, are what a window is judged by; then each side is encoded as one text, and loses further lines
in the rare case that it came out longer than their sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from model.errors import RecordError

SUFFIX_SHARE: Final = 1 / 3

# No piece of the vocabularies is longer (CodeGemma's longest has 31 characters), so a line of more characters than this
# times the budget can't fit, and is not encoded to find out.
MAX_PIECE_CHARS: Final = 64

# Code has 2 to 5 characters a token: a longer context won't fit whole, and is not encoded whole to find out.
MAX_CHARS_PER_TOKEN: Final = 8


class Encoder(Protocol):
    """Turns text into ids; a `model.tokenizer.Tokenizer` does."""

    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Window:
    """What a prompt shows around a hole: `text[prefix_start:start]`, `text[end:suffix_end]`, and their ids."""

    prefix_start: int
    suffix_end: int
    prefix_ids: list[int]
    suffix_ids: list[int]
    is_windowed: bool


def fit_window(encoder: Encoder, text: str, start: int, end: int, max_tokens: int) -> Window:
    """Keeps as many whole lines around the hole `text[start:end]` as `max_tokens` hold.

    Raises:
        RecordError: `prompt_too_long`, where the rest of the hole's own line doesn't fit.
    """
    if start + len(text) - end <= MAX_CHARS_PER_TOKEN * max_tokens:
        prefix_ids, suffix_ids = encoder.encode(text[:start]), encoder.encode(text[end:])
        if len(prefix_ids) + len(suffix_ids) <= max_tokens:
            return Window(0, len(text), prefix_ids, suffix_ids, is_windowed=False)
    before = _Side(encoder, text, 0, start, max_tokens, is_prefix=True)
    after = _Side(encoder, text, end, len(text), max_tokens, is_prefix=False)
    needed = before.counts[0] + after.counts[0]
    if needed > max_tokens:
        raise RecordError(
            "prompt_too_long",
            f"the hole's own line needs at least {needed} tokens of context, the budget is {max_tokens}; "
            "raise --max_prompt_tokens",
        )
    for_suffix = max(int(max_tokens * SUFFIX_SHARE), max_tokens - before.tokens)
    # Either side's own line comes first: neither may take what the other's needs.
    after.keep(max(min(for_suffix, max_tokens - before.counts[0]), after.counts[0]))
    before.keep(max_tokens - after.tokens)
    prefix_ids, suffix_ids = before.encoded(), after.encoded()
    while len(prefix_ids) + len(suffix_ids) > max_tokens:  # joined lines came out longer than their sum
        side = before if len(before.counts) > len(after.counts) else after
        if len(side.counts) == 1:
            raise RecordError(
                "prompt_too_long",
                f"the hole's own line needs {len(prefix_ids) + len(suffix_ids)} tokens of context, the budget is "
                f"{max_tokens}; raise --max_prompt_tokens",
            )
        side.drop_farthest()
        prefix_ids, suffix_ids = before.encoded(), after.encoded()
    return Window(before.edge, after.edge, prefix_ids, suffix_ids, before.edge > 0 or after.edge < len(text))


class _Side:
    """The text on one side of the hole as lines, nearest first, as far as a budget reaches."""

    def __init__(self, encoder: Encoder, text: str, low: int, high: int, max_tokens: int, *, is_prefix: bool):
        self._encoder, self._text, self._low, self._high = encoder, text, low, high
        self._is_prefix = is_prefix
        self._end_of_line = "\n" if "\n" in text else "\r"
        self.counts: list[int] = []  # tokens of each line kept
        self._edges: list[int] = []  # the far end of each
        self.tokens = 0
        self._read(max_tokens)

    @property
    def edge(self) -> int:
        """The offset where the kept text begins (prefix) or ends (suffix)."""
        return self._edges[-1]

    def _read(self, max_tokens: int) -> None:
        near, far_end = (self._high, self._low) if self._is_prefix else (self._low, self._high)
        while not self.counts or (near != far_end and self.tokens <= max_tokens):
            edge = self._next_edge(near)
            line = self._text[min(near, edge) : max(near, edge)]
            is_hopeless = len(line) > MAX_PIECE_CHARS * max_tokens
            count = -(-len(line) // MAX_PIECE_CHARS) if is_hopeless else len(self._encoder.encode(line))
            self.counts.append(count)
            self._edges.append(edge)
            self.tokens += count
            near = edge

    def _next_edge(self, near: int) -> int:
        """The far end of the line that begins (suffix) or ends (prefix) at `near`; the line break ends a line."""
        if self._is_prefix:
            # The break that ends the line before the hole's own belongs to that line, not to the hole's.
            is_own = not self.counts
            return self._text.rfind(self._end_of_line, self._low, near if is_own else near - 1) + 1 or self._low
        found = self._text.find(self._end_of_line, near, self._high)
        return self._high if found < 0 else found + 1

    def keep(self, max_tokens: int) -> None:
        """Drops the farthest lines until the sum of tokens is at most `max_tokens`; the nearest stays."""
        while self.tokens > max_tokens and len(self.counts) > 1:
            self.drop_farthest()

    def drop_farthest(self) -> None:
        self.tokens -= self.counts.pop()
        self._edges.pop()

    def encoded(self) -> list[int]:
        kept = self._text[self.edge : self._high] if self._is_prefix else self._text[self._low : self.edge]
        return self._encoder.encode(kept)
