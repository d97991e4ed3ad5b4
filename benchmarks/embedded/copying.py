"""The embedded model's baseline: it copies from the same file, by the longest match.

    rest of the file:   ... for name in names :⏎ print ( name ) ...
    so far:             ... for name in
                            └── longest run that also occurs elsewhere ──> `names` is proposed

At every step, the tokens before the hole and those generated so far are looked up in the rest of the file, before and
after the hole. The longest run of up to `MAX_MATCH` tokens that ends them and also occurs elsewhere is continued as it
was there. Among equally long runs, the most frequent continuation is taken, then the nearest one before the hole. The
baseline stops if even the last token occurs nowhere else, and also where the model would stop. It uses the entire
file, which is more than the model's window, in the model's own tokens.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

MAX_MATCH = 24


def copy_middle(
    prefix: Sequence[int], suffix: Sequence[int], stop_ids: Collection[int], *, max_tokens: int, num_stops: int = 1
) -> list[int]:
    """The baseline's middle for a hole.

    Args:
        prefix: Tokens of the file before the hole.
        suffix: Tokens after it.
        stop_ids: A middle ends at the `num_stops`-th of these, which is not part of it; the end of the file counts too.
        max_tokens: Maximum tokens of the middle.

    >>> copy_middle([5, 1, 2, 3, 9, 1], [9, 7], {9}, max_tokens=8)
    [2, 3]
    """
    end = -1  # marks the gap between the parts, and the end of the file
    rest = [*prefix, end, *suffix, end]
    after: dict[int, list[int]] = defaultdict(list)  # token -> its positions that have a token after them
    for place in range(len(rest) - 1):
        if place != len(prefix) - 1:  # the continuation there is the one to predict
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
    """The token after the longest run that ends `so_far`; None if its last token occurs nowhere else."""
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
