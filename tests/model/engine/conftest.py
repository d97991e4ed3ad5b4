"""A small random model, and a function that makes random requests from a seed."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np
import pytest

from model.config import GemmaConfig
from model.engine import Request, Sampling
from model.gemma import Gemma, init_weights

SMALL = GemmaConfig(
    num_layers=2, d_model=48, d_ff=96, num_heads=4, num_kv_heads=2, head_dim=12, vocab_size=307, context_length=256
)


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Engines of equal shapes compile once in these tests."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="session")
def small_model() -> Gemma:
    weights = init_weights(jax.random.key(7), SMALL)
    return Gemma(SMALL, weights=jax.tree.map(lambda w: w * 2.0, weights))


@pytest.fixture(scope="session")
def mixed_requests() -> list[Request]:
    """Greedy and sampled requests of uneven lengths, some of which stop early."""
    rng = np.random.default_rng(3)
    requests = []
    for index in range(24):
        prompt = tuple(int(t) for t in rng.integers(0, SMALL.vocab_size, rng.integers(1, 41)))
        is_sampled = index % 2 == 1
        requests.append(
            Request(
                prompt=prompt,
                max_new_tokens=int(rng.integers(1, 25)),
                stop_ids=frozenset(int(t) for t in rng.integers(0, SMALL.vocab_size, 6)),
                sampling=Sampling(
                    temperature=0.9 if is_sampled else 0.0,
                    top_k=(0, 40)[index % 4 == 3],
                    top_p=(1.0, 0.9)[index % 8 >= 4],
                    seed=1000 + index,
                ),
            )
        )
    return requests
