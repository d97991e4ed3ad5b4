"""Which answers are kept: of one request the likely ones that others agree with, of a unit no two alike.

The score of a sample is its mean log-probability (nats a token, at most 0) plus its agreement, the mean edit similarity
to the other samples that passed all checks (0 to 1): an answer that the model gives again and again in other words is
more likely right than one that it gave once (self-consistency, arXiv 2203.11171). Ties fall to the earlier sample.

Answers to different requests repeat each other where both what was asked about and what was answered are near
duplicates: "Initialize self." may be said of many classes, but of copies of one class it is kept once. Which one stays
follows from the order of the source alone.

Cost: samples squared edit distances per target; 5-grams and MinHash (`transforms.duplicates.signatures`) per kept
    answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transforms.checks import edit_similarity

# Two answers nearer than this are one answer, and the better one stands for both.
NEAR_DUPLICATE = 0.9


@dataclass(frozen=True, slots=True)
class Chosen:
    """A sample that is kept: its position, and how far the others agree with it (None for a lone sample)."""

    index: int
    agreement: float | None


def choose_samples(texts: Sequence[str], scores: Sequence[float], keep: int) -> list[Chosen]:
    """Chooses at most `keep` of the samples that passed, the best first.

    Args:
        texts: What each sample says.
        scores: Their mean log-probabilities.
        keep: How many at most.

    >>> [chosen.index for chosen in choose_samples(["return a", "return  a", "raise b"], [-0.2, -0.3, -0.1], 2)]
    [0, 2]
    """
    if len(texts) == 1:
        return [Chosen(0, None)]
    similar = [[edit_similarity(one, other) for other in texts] for one in texts]
    agreement = [(sum(row) - 1.0) / (len(texts) - 1) for row in similar]
    ranked = sorted(range(len(texts)), key=lambda index: (-(scores[index] + agreement[index]), index))
    kept: list[int] = []
    for index in ranked:
        if len(kept) < keep and all(similar[index][other] < NEAR_DUPLICATE for other in kept):
            kept.append(index)
    return [Chosen(index, agreement[index]) for index in kept]


def find_repeats(pairs: Sequence[tuple[str, str]]) -> dict[int, int]:
    """The answers that repeat an earlier one, by position, each with the position of the one that stays for it.

    Args:
        pairs: What each was asked about, and what it says, in the order of the source.

    >>> find_repeats([("x", "one"), ("y", "one"), ("x", "one")])
    {2: 0}
    """
    subjects, answers = (_clusters([pair[side] for pair in pairs]) for side in (0, 1))
    first: dict[tuple[int, int], int] = {}
    found = {}
    for position, key in enumerate(zip(subjects, answers, strict=True)):
        if (stays := first.setdefault(key, position)) != position:
            found[position] = stays
    return found


def _clusters(texts: Sequence[str]) -> list[int]:
    """For each text the position of the first one of its cluster of near duplicates."""
    from transforms.duplicates.signatures import find_duplicates, sign

    keys = [f"{position:012d}" for position in range(len(texts))]
    found = find_duplicates(map(sign, keys, texts), threshold=NEAR_DUPLICATE)
    return [int(found[key].kept) if key in found else position for position, key in enumerate(keys)]
