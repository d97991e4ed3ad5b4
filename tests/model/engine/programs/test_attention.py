"""The paths of prefill attention agree with each other and with a plain forward pass over each prompt."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model.engine.prefill_rows import lay_out
from model.engine.programs.attention import _splash, path_for, row_attention, slot_attention
from model.engine.programs.rows import visible
from model.engine.transfer import prompt_row
from model.layers import KeyValues, attention, causal_mask


@pytest.fixture(scope="module")
def row():
    rng = np.random.default_rng(0)
    file = rng.integers(0, 9, 140).tolist()
    prompts = [file, [*file[:80], 1, 2], rng.integers(0, 9, 150).tolist(), [3]]
    return prompt_row(lay_out(prompts, min_shared=32)[0], 512)


def projections(heads: int, kv_heads: int):
    keys = jax.random.split(jax.random.key(0), 3)
    query = jax.random.normal(keys[0], (1, 512, heads, 16))
    return query, *(jax.random.normal(key, (1, kv_heads, 512, 16)) for key in keys[1:])


@pytest.mark.parametrize("path", ["blocked", "cudnn"])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 1), (6, 2)])
def test_paths_agree(path, heads, kv_heads, row):
    args = projections(heads, kv_heads)
    used = int(row.used)
    expected = jax.jit(row_attention("einsum"))(*args, row)[:, :used]
    read = jax.jit(row_attention(path))(*args, row)
    assert bool(jnp.isfinite(read).all())
    np.testing.assert_allclose(read[:, :used], expected, atol=2e-5)


def test_a_prompt_alone_reads_as_a_causal_forward_pass_does():
    query, key, value = projections(4, 2)
    row = prompt_row(lay_out([list(range(200))], min_shared=0)[0], 512)
    plain = attention(query[:, :200], KeyValues(key=key[:, :, :200], value=value[:, :, :200], mask=causal_mask(200)))
    np.testing.assert_allclose(jax.jit(row_attention("blocked"))(query, key, value, row)[:, :200], plain, atol=2e-5)


def test_every_token_attends_to_itself(row):
    assert bool(jnp.diagonal(visible(row)).all())


def test_each_platform_has_a_path():
    assert path_for("cpu", jnp.float32) == "blocked"
    assert path_for("gpu", jnp.bfloat16) == "cudnn"
    assert path_for("gpu", jnp.float32) == "einsum"
    assert path_for("tpu", jnp.bfloat16) == "splash"
    assert path_for("metal", jnp.bfloat16) == "einsum"


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 1), (2, 2), (4, 2)])
def test_the_tpu_kernel_in_pallas_interpreter_reads_what_einsum_does(heads, kv_heads, row):
    keys = jax.random.split(jax.random.key(0), 3)
    query = jax.random.normal(keys[0], (1, 512, heads, 128))
    key, value = (jax.random.normal(one, (1, kv_heads, 512, 128)) for one in keys[1:])
    used = int(row.used)
    read = jax.jit(partial(_splash, interpret=True))(query, key, value, row)
    assert bool(jnp.isfinite(read).all())
    np.testing.assert_allclose(read[:, :used], row_attention("einsum")(query, key, value, row)[:, :used], atol=2e-5)


def test_rows_that_the_tpu_kernel_cannot_divide_use_einsum():
    query, key, value = (array[:, ..., :72, :] for array in projections(4, 4))
    query = query[:, :72]
    row = prompt_row(lay_out([list(range(60))], min_shared=0)[0], 72)
    expected = jax.jit(row_attention("einsum"))(query, key, value, row)
    np.testing.assert_array_equal(jax.jit(row_attention("splash"))(query, key, value, row), expected)


@pytest.mark.parametrize(("heads", "kv_heads", "length"), [(4, 4, 1), (4, 4, 5), (4, 2, 1), (8, 1, 1)])
def test_rows_of_zeros_next_to_the_queries_do_not_change_the_output(heads, kv_heads, length):
    keys = jax.random.split(jax.random.key(2), 5)
    query = jax.random.normal(keys[0], (3, length, heads, 16))
    caches = [jax.random.normal(key, (2, 3, kv_heads, 24, 16)) for key in keys[1:3]]
    masks = [jax.random.bernoulli(key, 0.5, (3, 1, 24)).at[:, :, 0].set(True) for key in keys[3:5]]
    parts = [KeyValues(key=key, value=value, mask=mask) for (key, value), mask in zip(caches, masks, strict=True)]
    read = jax.jit(slot_attention("tpu"))(query, *parts)
    np.testing.assert_allclose(read, jax.jit(slot_attention("cpu"))(query, *parts), atol=2e-6)


def test_rows_of_zeros_are_added_on_tpus_alone_and_only_where_queries_are_few():
    def lines(platform: str, heads: int, length: int) -> str:
        query, cache = jnp.zeros((2, length, heads, 8)), jnp.zeros((2, 2, 4, 8))
        part = KeyValues(key=cache, value=cache, mask=jnp.ones((2, 1, 4), bool))
        return str(jax.make_jaxpr(slot_attention(platform))(query, part))

    assert "optimization_barrier" in lines("tpu", heads=2, length=1)
    assert "optimization_barrier" not in lines("tpu", heads=16, length=1)
    assert "optimization_barrier" not in lines("tpu", heads=2, length=8)
    assert "optimization_barrier" not in lines("cpu", heads=2, length=1)
    assert "optimization_barrier" not in lines("gpu", heads=2, length=1)
