"""The fixed prompt that every model is scored with when it is loaded."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from model import Gemma
from model.errors import ConfigError
from model.fixed_prompt import fixed_prompt, score_fixed_prompt
from tests.model.checkpoint.written import TINY, random_weights


def scored(change=lambda weights: weights, scale=1.0) -> str:
    weights = jax.tree.map(lambda leaf: np.asarray(leaf * scale), random_weights(TINY))
    return score_fixed_prompt(Gemma(TINY, dtype=np.float32, weights=change(weights)))


def damaged(weights, value):
    embedding = weights.embedding.copy()
    embedding[17, 3] = value  # a token that the prompt doesn't hold: the embedding also gives the logits
    return dataclasses.replace(weights, embedding=embedding)


def test_the_same_model_has_the_same_hash_and_another_has_another():
    assert scored() == scored()
    assert scored() != scored(scale=0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_seen_wherever_it_stands(value):
    with pytest.raises(ConfigError, match=r"aren't finite at [1-8] of 8 positions") as error:
        scored(lambda weights: damaged(weights, value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("vocab_size", [40, 4096, 256_000])
def test_the_fixed_prompt_stays_in_the_vocabulary(vocab_size):
    assert all(0 <= token < vocab_size for token in fixed_prompt(vocab_size))
