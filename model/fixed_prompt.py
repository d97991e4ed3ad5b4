"""Scores one fixed prompt with a loaded model: whether its logits are finite, and a hash that tells models apart.

Weights that are damaged, or read in a wrong type or layout, rarely fail by themselves: they give text without sense, or
NaN for every token. One forward pass over a few tokens through all layers shows the latter before a row is asked for,
and its hash shows later whether two runs had the same arithmetic. Cost: one small compilation and one forward pass.
"""

from __future__ import annotations

import hashlib
from typing import Final

import jax.numpy as jnp
import numpy as np

from model.errors import ConfigError
from model.gemma import Gemma

_TOKENS: Final = 8
_BOS: Final = 2  # in every Gemma vocabulary
_DECIMALS: Final = 1  # of a logit: sums in another order differ by less than a thousandth of that
_HEX_DIGITS: Final = 16


def fixed_prompt(vocab_size: int) -> list[int]:
    """Begin of sequence, then ids spread evenly over the vocabulary.

    >>> fixed_prompt(4096)
    [2, 512, 1024, 1536, 2048, 2560, 3072, 3584]
    """
    return [_BOS, *(vocab_size * number // _TOKENS for number in range(1, _TOKENS))]


def score_fixed_prompt(gemma: Gemma) -> str:
    """Returns a hash of the most likely token after each position and its logit, rounded: stable on one platform.

    Raises:
        ConfigError: A logit isn't finite.
    """
    tokens = jnp.asarray([fixed_prompt(gemma.config.vocab_size)], jnp.int32)
    logits = np.asarray(gemma(tokens)[0], np.float32)
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise ConfigError(
            f"the model's logits for a fixed prompt aren't finite at {bad} of {_TOKENS} positions: its weights are "
            "damaged or too large for this type; copy them again, or compute in another dtype"
        )
    top = logits.argmax(axis=1)
    scores = [f"{token}:{logits[place, token]:.{_DECIMALS}f}" for place, token in enumerate(top)]
    return hashlib.sha256(" ".join(scores).encode()).hexdigest()[:_HEX_DIGITS]
