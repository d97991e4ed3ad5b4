"""Texts that end a completion: found between bursts, so that a request's slot is free for the next one.

    tokens -> bytes -> text so far -> the first token after which the end can't change any more

The completion is cut behind that token, and whoever asked cuts its text at the stop. That gives the text that cutting
the whole completion would give: the stop that begins first ends it, so a stop that is found counts only when none that
began earlier can still be completed (of the stops `bc` and `abcd`, `bc` ends `xbc` at once, but `abc` only when the
next character is no `d`). Tokens are looked at one by one, so how many a burst generates makes no difference.

Cost: about 2 microseconds a token, and a tenth of one more for each stop. Uses neither device nor JAX.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Decoder(Protocol):
    """The part of a vocabulary that is needed here (`model.tokenizer.Tokenizer`)."""

    def decode_bytes(self, ids: Iterable[int], *, keep_control: bool = False) -> bytes: ...


@dataclass(frozen=True, slots=True)
class StopTexts:
    """Texts of which the first to occur in the generated text ends it.

    Args:
        texts: The texts, none of them empty.
        vocabulary: What the tokens stand for.
    """

    texts: tuple[str, ...]
    vocabulary: Decoder

    def watch(self) -> StopWatch:
        """Begins to watch one completion."""
        return StopWatch(self)


class StopWatch:
    """Watches one completion for its stop texts."""

    def __init__(self, stops: StopTexts):
        self._stops = stops
        self._longest = max(map(len, stops.texts), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # as the tokenizer decodes; bytes may wait
        self._tail = ""  # the end of the text, as much as a stop may need
        self._first: int | None = None  # where the first stop found begins in the tail
        self._seen = 0

    def end(self, tokens: Sequence[int] | np.ndarray) -> int | None:
        """How many of the tokens the completion keeps; None if it goes on.

        Args:
            tokens: All that were generated so far, without the id that ended them.
        """
        for number in range(self._seen, len(tokens)):
            self._add(self._decoder.decode(self._stops.vocabulary.decode_bytes([int(tokens[number])])))
            if self._first is not None and not self._may_begin_before(self._first):
                return number + 1
        self._seen = len(tokens)
        return None

    def _add(self, new: str) -> None:
        if self._first is None:
            dropped = max(0, len(self._tail) - self._longest + 1)
            self._tail = self._tail[dropped:]
        self._tail += new
        found = [at for stop in self._stops.texts if (at := self._tail.find(stop)) >= 0]
        self._first = min(found, default=None)

    def _may_begin_before(self, end: int) -> bool:
        """Whether the text's end is the beginning of a stop that begins before a place in the tail."""
        return any(
            stop.startswith(self._tail[at:])
            for stop in self._stops.texts
            for at in range(max(0, len(self._tail) - len(stop) + 1), end)
        )
