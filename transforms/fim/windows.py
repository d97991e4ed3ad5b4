"""Reduces prefix and suffix to the complete lines nearest the hole, so that a prompt fits its token budget.

            ┌ prefix_start                     suffix_end ┐
    file:   |....|=====================[ hole ]===========|........|

The rule: text that fits is not cut. Otherwise the suffix gets at most `SUFFIX_SHARE` of the budget, plus what the
prefix can't use; the prefix gets the rest. Each side keeps the lines nearest the hole. The hole's own line, up to the
hole and after it, is always kept; if even these two parts don't fit, the target is rejected as `prompt_too_long`. No
line is cut, except at the hole.

Each line is encoded once, from the hole outward until the budget is full, so the cost depends on the prompt's length
and not on the file's size. While much room is left, many lines are encoded together, because a text never has more
tokens than bytes. A line is encoded with the line breaks before it: vocabularies have tokens for a break and the
indentation after it, but none that continues past a break. The concatenated ids of the lines are therefore those of the
full text (`Encoder.splits_at_newlines`). If that isn't guaranteed, a side is encoded as one text, and loses lines if
the result is longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from model.errors import RecordError

SUFFIX_SHARE: Final = 1 / 3

# No token of the vocabularies is longer (CodeGemma's longest has 31 characters), so a line of more characters than this
# times the budget can't fit, and is not encoded.
MAX_PIECE_CHARS: Final = 64


class Encoder(Protocol):
    """Encodes text to ids; a `model.tokenizer.Tokenizer` does."""

    @property
    def splits_at_newlines(self) -> bool:
        """Whether splitting a text before a line feed (one that follows no other) leaves its ids unchanged."""
        ...

    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Window:
    """A prompt's text around a hole: `text[prefix_start:start]`, `text[end:suffix_end]`, and its ids."""

    prefix_start: int
    suffix_end: int
    prefix_ids: list[int]
    suffix_ids: list[int]
    is_windowed: bool


def fit_window(encoder: Encoder, text: str, start: int, end: int, max_tokens: int) -> Window:
    """Keeps as many complete lines around the hole `text[start:end]` as fit into `max_tokens`.

    Raises:
        RecordError: `prompt_too_long`, if the rest of the hole's own line doesn't fit.
    """
    before, after = _Prefix(encoder, text, start, max_tokens), _Suffix(encoder, text, end, max_tokens)
    needed = len(before.ids) + len(after.ids)
    if needed > max_tokens:
        raise RecordError(
            "prompt_too_long",
            f"the line around the middle needs at least {needed} tokens of context, the limit is {max_tokens}; "
            "raise --max_prompt_tokens",
        )
    after.grow(min(int(max_tokens * SUFFIX_SHARE), max_tokens - len(before.ids)))
    before.grow(max_tokens - len(after.ids))
    after.grow(max_tokens - len(before.ids))
    is_windowed = before.edge > 0 or after.edge < len(text)
    return Window(before.edge, after.edge, before.ids, after.ids, is_windowed)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line on one side of the hole, or several that are added together.

    Args:
        edge: Where the kept text starts (prefix) or ends (suffix) if this is the farthest line kept.
        ids: Ids of the line and the breaks before it.
        count: The minimum number of tokens that it adds if it is the farthest.
        next: Where the search for the next line starts; None if there is none.
        ends_at_break: Whether the edge is preceded by a break that `ids` doesn't contain.
    """

    edge: int
    ids: list[int]
    count: int
    next: int | None
    ends_at_break: bool = False


class _Side:
    """The text on one side of the hole, limited to the requested lines; it starts with the nearest line."""

    def __init__(self, encoder: Encoder, text: str, hole: int, max_tokens: int):
        self._encoder, self._text, self._hole = encoder, text, hole
        self._max_chars = MAX_PIECE_CHARS * max_tokens
        self._eol = "\n" if "\n" in text else "\r"
        self._is_additive = encoder.splits_at_newlines and self._eol == "\n"
        self._ahead: _Line | None = None  # read, but it didn't fit
        self._max_bytes_a_char = 1 if text.isascii() else 4
        self._lines = [self._read(hole, is_own=True)]
        self._num_ids = len(self._lines[0].ids)
        self.ids = self._encoded()

    @property
    def edge(self) -> int:
        """Where the kept text starts (prefix) or ends (suffix)."""
        return self._lines[-1].edge

    def grow(self, max_tokens: int) -> None:
        """Adds lines while all together have at most `max_tokens`."""
        num_before = len(self._lines)
        while (line := self._ahead or self._next(max_tokens)) and self._num_ids + line.count <= max_tokens:
            self._lines.append(line)
            self._num_ids += len(line.ids)
            self._ahead = None
        self._ahead = line
        if len(self._lines) == num_before:
            return
        self.ids = self._encoded()
        while len(self.ids) > max_tokens and len(self._lines) > num_before:  # longer than estimated
            self._ahead = self._lines.pop()
            self._num_ids -= len(self._ahead.ids)
            self.ids = self._encoded()

    def _next(self, max_tokens: int) -> _Line | None:
        """The next lines: all that are certain to fit, as a text has no more tokens than bytes, or else one line."""
        begin = self._lines[-1].next
        if begin is None:
            return None
        room = (max_tokens - self._num_ids) // self._max_bytes_a_char
        sure = self._read_block(begin, room) if self._is_additive and room > 0 else None
        return sure or self._read(begin)

    def _skip_breaks(self, place: int) -> int:
        while self._text.startswith(self._eol, place):
            place += 1
        return place

    def _encode_line(self, low: int, high: int) -> list[int]:
        """Ids of a part of the text; if it is certainly too long, zeros as a lower bound of its length."""
        if high - low > self._max_chars:
            return [0] * -(-(high - low) // MAX_PIECE_CHARS)
        return self._encoder.encode(self._text[low:high])

    def _read(self, near: int, *, is_own: bool = False) -> _Line:
        """Reads the line at `near`."""
        raise NotImplementedError

    def _read_block(self, near: int, room: int) -> _Line | None:
        """Reads the lines at `near` that together have at most `room` characters, as one; None if there are none."""
        raise NotImplementedError

    def _encoded(self) -> list[int]:
        raise NotImplementedError


class _Prefix(_Side):
    def _read(self, near: int, *, is_own: bool = False) -> _Line:
        edge = self._text.rfind(self._eol, 0, near) + 1
        breaks = edge
        while breaks > 0 and self._text[breaks - 1] == self._eol:
            breaks -= 1
        return self._line(breaks, edge, near)

    def _read_block(self, near: int, room: int) -> _Line | None:
        if near <= room:
            return self._line(0, 0, near)
        breaks = self._text.find(self._eol, near - room, near)
        if breaks > 0 and self._text[breaks - 1] == self._eol:  # within a run of breaks that extends beyond the room
            breaks = self._text.find(self._eol, self._skip_breaks(breaks), near)
        return self._line(breaks, self._skip_breaks(breaks), near) if breaks >= 0 else None

    def _line(self, breaks: int, edge: int, near: int) -> _Line:
        """The line text[breaks:near], of which text[edge:near] is kept if it is the farthest.

        The tokens of the breaks are not counted: without the breaks, the rest may have that many tokens more.
        """
        if near == 0:  # a file that starts with line breaks
            return _Line(0, [], 0, None)
        ids = self._encode_line(breaks, near)
        return _Line(edge, ids, max(0, len(ids) - (edge - breaks)), breaks if edge > 0 else None)

    def _encoded(self) -> list[int]:
        if not self._is_additive:
            return self._encode_line(self.edge, self._hole)
        *nearer, farthest = self._lines
        end = nearer[-1].next if nearer else self._hole
        assert end is not None, "there is no further line to add"
        ids = list(farthest.ids) if farthest.next is None else self._encode_line(farthest.edge, end)
        for line in reversed(nearer):
            ids += line.ids
        return ids


class _Suffix(_Side):
    def _read(self, near: int, *, is_own: bool = False) -> _Line:
        end = self._text.find(self._eol, near if is_own else self._skip_breaks(near))
        return self._line(near, end if end >= 0 else len(self._text))

    def _read_block(self, near: int, room: int) -> _Line | None:
        if near + room >= len(self._text):
            return self._line(near, len(self._text))
        end = self._text.rfind(self._eol, near, near + room)
        while end > near and self._text[end - 1] == self._eol:
            end -= 1
        return self._line(near, end) if end > near else None

    def _line(self, near: int, end: int) -> _Line:
        """The line text[near:end]; if it is the farthest and not at the file's end, one break ends it."""
        ids = self._encode_line(near, end)
        if end == len(self._text):
            return _Line(end, ids, len(ids), None)
        return _Line(end + 1, ids, len(ids) + 1, end if end + 1 < len(self._text) else None, ends_at_break=True)

    def _encoded(self) -> list[int]:
        if not self._is_additive:
            return self._encode_line(self._hole, self.edge)
        ids = [id_ for line in self._lines for id_ in line.ids]
        return ids + self._encoder.encode(self._eol) if self._lines[-1].ends_at_break else ids
