"""Answer selection: the best samples of each target, and near-duplicate removal within a row.

A sample's score is its mean log-probability (nats per token, at most 0) plus its agreement, the mean edit similarity
(0 to 1) to the other samples that passed all checks. An answer that the model repeats in different words is more
likely to be correct than one that it gives once (self-consistency, arXiv 2203.11171). Where code has been called with
generated inputs, its agreement is that of what it returned instead: code in other words may do the same. Ties go to the
earlier sample.

Answers to different targets of a row are duplicates if both the code they are about and their texts are near
duplicates. For example, "Initialize self." may be kept for many different classes, but only once for copies of one
class. The first one in the source is kept.

Cost: (number of samples)^2 edit distances per target; 5-grams and two MinHash signatures
(`transforms.duplicates.signatures`) per kept answer of a row with several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transforms.checks import edit_similarity

# Two samples of at least this edit similarity count as the same answer; the better one is kept.
NEAR_DUPLICATE = 0.9


@dataclass(frozen=True, slots=True)
class Chosen:
    """A sample that is kept: its position, and its agreement with the others by text and by behavior (None for a single
    sample, and where nothing is known about behavior).
    """

    index: int
    agreement: float | None
    behavior: float | None = None


def choose_samples(
    texts: Sequence[str], scores: Sequence[float], keep: int, outputs: Sequence[tuple[str, ...] | None] = ()
) -> list[Chosen]:
    """Chooses at most `keep` of the samples that passed, the best first.

    Args:
        texts: The text of each sample.
        scores: Their mean log-probabilities.
        keep: The maximum number to keep.
        outputs: What the code of each returned for the same inputs, if that is known; "" for a result that isn't.

    >>> [chosen.index for chosen in choose_samples(["return area", "return  area", "raise b"], [-0.2, -0.3, -0.1], 2)]
    [0, 2]
    """
    if len(texts) == 1:
        return [Chosen(0, None)]
    similar = [[edit_similarity(one, other) for other in texts] for one in texts]
    agreement = [(sum(row) - 1.0) / (len(texts) - 1) for row in similar]
    behavior = [behavior_agreement(index, outputs) for index in range(len(texts))]
    agreed = [by_text if by is None else by for by, by_text in zip(behavior, agreement, strict=True)]
    ranked = sorted(range(len(texts)), key=lambda index: (-(scores[index] + agreed[index]), index))
    kept: list[int] = []
    for index in ranked:
        if len(kept) < keep and all(similar[index][other] < NEAR_DUPLICATE for other in kept):
            kept.append(index)
    return [Chosen(index, agreement[index], behavior[index]) for index in kept]


def behavior_agreement(index: int, outputs: Sequence[tuple[str, ...] | None]) -> float | None:
    """The mean share of inputs for which other samples return what sample `index` does; None: can't tell.

    Only inputs count for which both results are known ("" is none).

    >>> behavior_agreement(0, [("1", "2", "3"), ("1", "3", ""), None, ("1", "2", "3")])
    0.75
    """
    own = outputs[index] if index < len(outputs) else None
    others = [one for number, one in enumerate(outputs) if number != index and one is not None]
    if own is None:
        return None
    shares = []
    for one in others:
        same = [mine == other for mine, other in zip(own, one, strict=True) if mine and other]
        shares += [sum(same) / len(same)] if same else []
    return sum(shares) / len(shares) if shares else None


def find_repeats(pairs: Sequence[tuple[str, str]]) -> dict[int, int]:
    """Returns the positions of answers that repeat an earlier one, each with the position of the answer that is kept.

    Args:
        pairs: For each answer, what it is about and its text, in the order of the source.

    >>> find_repeats([("x", "one"), ("y", "one"), ("x", "one")])
    {2: 0}
    """
    if len(pairs) < 2:
        return {}
    subjects, answers = (_clusters([pair[side] for pair in pairs]) for side in (0, 1))
    first: dict[tuple[int, int], int] = {}
    found = {}
    for position, key in enumerate(zip(subjects, answers, strict=True)):
        if (stays := first.setdefault(key, position)) != position:
            found[position] = stays
    return found


def _clusters(texts: Sequence[str]) -> list[int]:
    """Returns for each text the position of the first text of its cluster of near duplicates."""
    from transforms.duplicates.signatures import find_duplicates, sign

    keys = [f"{position:012d}" for position in range(len(texts))]
    found = find_duplicates(map(sign, keys, texts), threshold=NEAR_DUPLICATE)
    return [int(found[key].kept) if key in found else position for position, key in enumerate(keys)]
