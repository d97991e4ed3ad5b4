"""What is scored at once: a request's distinct sequences, divided into parts that each fit a row.

The last token of a sequence is never computed, only scored, so continuations that differ in it alone (the letters of a
multiple choice) are one sequence:

    prompt a b c      continuations  x | y | z w      sequences  a b c     scores x, y
                                                                 a b c z   scores z, w

In `fast` mode a part is one sequence, and rows are filled with parts of any requests, whose shared prefixes are
computed once. In `exact` mode a part is a request's sequences together, and the only ones in their row: the prompt is
computed once, and the bits depend on nothing but the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from model.engine.prefill_rows import LARGEST_GROUP
from model.engine.requests import ScoreRequest


@dataclass(frozen=True, slots=True)
class Branch:
    """One sequence, and the continuations that it scores.

    Args:
        tokens: The prompt and all tokens of a continuation but the last.
        prompt_length: Tokens of the prompt.
        continuations: Each continuation's number within its request, and its tokens.
    """

    tokens: tuple[int, ...]
    prompt_length: int
    continuations: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Sequences of one request that are scored in one row."""

    branches: tuple[Branch, ...]


def parts_of(request: ScoreRequest, *, together: bool, longest: int) -> list[Part]:
    """Divides a request.

    Args:
        request: The request; each continuation fits a row with the prompt.
        together: Whether sequences stay together as far as a row holds them.
        longest: Tokens of the longest row.

    >>> request = ScoreRequest(prompt=(1, 2), continuations=((7,), (8,), (9, 7), ()))
    >>> [[branch.tokens for branch in part.branches] for part in parts_of(request, together=True, longest=8)]
    [[(1, 2), (1, 2, 9)]]
    """
    branches = list(_branches(request))
    if not together:
        return [Part((branch,)) for branch in branches]
    parts: list[Part] = []
    group: list[Branch] = []
    room = 0
    for branch in branches:
        own = len(branch.tokens) - branch.prompt_length
        if group and (own > room or len(group) == LARGEST_GROUP):
            parts.append(Part(tuple(group)))
            group = []
        if not group:
            room = longest - branch.prompt_length
        group.append(branch)
        room -= own
    return [*parts, Part(tuple(group))] if group else parts


def _branches(request: ScoreRequest) -> Iterator[Branch]:
    found: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
    for number, continuation in enumerate(request.continuations):
        if continuation:
            found.setdefault(continuation[:-1], []).append((number, continuation))
    for computed, continuations in found.items():
        yield Branch((*request.prompt, *computed), len(request.prompt), tuple(continuations))
