"""The baseline that the embedded model is held against: it copies from the same file, by the longest match.

    rest of the file:   ... for name in names :⏎ print ( name ) ...
    so far:             ... for name in
                            └── longest run that also stands elsewhere ──> `names` is proposed

At every step the tokens before the hole and those written so far are looked up in the rest of the file, before and
after the hole: the longest run of up to `MAX_MATCH` tokens that ends them and stands elsewhere as well is
continued as it was there; among equally long ones the commonest continuation is taken, then the nearest before the
hole. Where even the last token stands nowhere else, it ends; it also ends where the model would. It sees the whole
file, more than the model's window, in the model's own tokens.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

MAX_MATCH = 24


def copy_middle(
    prefix: Sequence[int], suffix: Sequence[int], stop_ids: Collection[int], *, max_tokens: int, num_stops: int = 1
) -> list[int]:
    """What the baseline writes into a hole.

    Args:
        prefix: Tokens of the file before the hole.
        suffix: Tokens after it.
        stop_ids: A middle ends at the `num_stops`-th of these, which is not part of it; the end of the file is one too.
        max_tokens: It ends after so many at the latest.

    >>> copy_middle([5, 1, 2, 3, 9, 1], [9, 7], {9}, max_tokens=8)
    [2, 3]
    """
    end = -1  # stands between the parts, and for the end of the file
    rest = [*prefix, end, *suffix, end]
    after: dict[int, list[int]] = defaultdict(list)  # token -> where it stands with something after it
    for place in range(len(rest) - 1):
        if place != len(prefix) - 1:  # what follows there is what is asked for
            after[rest[place]].append(place)
    written: list[int] = []
    while len(written) < max_tokens:
        so_far = [*prefix[-MAX_MATCH:], *written][-MAX_MATCH:]
        token = _continuation(rest, after, so_far)
        if token is None or token == end:
            break
        if token in stop_ids:
            num_stops -= 1
            if num_stops == 0:
                break
        written.append(token)
    return written


def _continuation(rest: list[int], after: dict[int, list[int]], so_far: list[int]) -> int | None:
    """The token that followed the longest run that ends `so_far`; None where its last token stands nowhere else."""
    if not so_far:
        return None
    best, places = 0, after[so_far[-1]]
    matches: list[int] = []
    for place in places:
        length = 1
        while length < len(so_far) and length <= place and rest[place - length] == so_far[-1 - length]:
            length += 1
        if length > best:
            best, matches = length, []
        if length == best:
            matches.append(place)
    if not matches:
        return None
    votes = Counter(rest[place + 1] for place in matches)
    most = max(votes.values())
    return next(rest[place + 1] for place in reversed(matches) if votes[rest[place + 1]] == most)
