"""How much memory loading a checkpoint takes, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# Every reader's imports come before the first measurement, so that only the weights count.
PROGRAM = """
import resource, sys, jax, jax.numpy as jnp, tensorstore
import model, model.checkpoint.kaggle_flax, model.checkpoint.placement
jax.block_until_ready(jnp.ones(8) + 1)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
gemma = model.load(sys.argv[1], dtype=jnp.dtype(sys.argv[2]))
jax.block_until_ready(gemma.arrays())
sizes = [leaf.nbytes for leaf in jax.tree.leaves(gemma.arrays())]
print(peak() - before, sum(sizes), max(sizes))
"""


class Loading(NamedTuple):
    """Bytes by which the process's peak grew, of the loaded weights, and of the largest of them."""

    grown: int
    result: int
    largest: int


def measure_loading(folder: Path, dtype: str) -> Loading:
    """Loads the checkpoint in `folder` as `dtype`."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), dtype],
        check=True,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    return Loading(*map(int, done.stdout.split()))
