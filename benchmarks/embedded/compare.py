"""Paired differences of two models on the same holes, with 95% intervals by resampling packages.

python benchmarks/embedded/compare.py before.json after.json      # of `evaluate.py --details`
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

RESAMPLES = 5000


def difference(before: list[list], after: list[list], seed: int = 0) -> tuple[float, float, float]:
    """`after` minus `before` of a ratio of sums, and its interval.

    Args:
        before: For each hole its package, the figure's sum, and what that is divided by.
        after: The same holes in the same order.
        seed: Seed of the resampling.

    Raises:
        ValueError: They are of other holes.

    >>> difference([["a", 1, 2], ["b", 0, 2]], [["a", 2, 2], ["b", 1, 2]])
    (0.5, 0.5, 0.5)
    """
    if [(one[0], one[2]) for one in before] != [(one[0], one[2]) for one in after]:
        raise ValueError("the two evaluations are of other holes: use the same corpus, files and vocabulary")
    sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
    for (package, old, size), (_, new, _) in zip(before, after, strict=True):
        sums[package] += (new - old, size)
    packages = np.asarray(list(sums.values()))
    drawn = packages[np.random.default_rng(seed).integers(0, len(packages), (RESAMPLES, len(packages)))].sum(1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    whole = packages.sum(0)
    return float(whole[0] / whole[1]), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args()
    before, after = (json.loads(path.read_text()) for path in (options.before, options.after))
    for name in before:
        middle, low, high = difference(before[name], after[name])
        print(f"{name}: {middle:+.4f} ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    main()
