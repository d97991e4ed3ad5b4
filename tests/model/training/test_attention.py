from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model.layers import KeyValues, attention, causal_mask
from model.training import attention as attentions
from model.training.attention import Reach, packed_attention

BATCH, LENGTH, HEAD = 2, 29, 8


def arrays(heads: int, kv_heads: int, length: int = LENGTH) -> tuple[jax.Array, ...]:
    rng = np.random.default_rng(0)
    shapes = ((BATCH, length, heads, HEAD), (BATCH, kv_heads, length, HEAD), (BATCH, kv_heads, length, HEAD))
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes)


def segments(length: int = LENGTH) -> jax.Array:
    """Three examples and padding; the second row has other bounds."""
    ends = np.asarray([[5, 19, 26], [11, 12, 29]])
    return jnp.asarray((np.arange(length)[None, :, None] >= ends[:, None, :]).sum(-1) + 1)


def reference(query, key, value, segment_ids, window, cap):
    mask = causal_mask(query.shape[1], segment_ids, window)
    return attention(query, KeyValues(key=key, value=value, mask=mask), cap=cap)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(attentions, "_LEAST_BLOCK", 8)


@pytest.mark.parametrize(
    ("heads", "kv_heads", "window", "cap"), [(3, 1, None, None), (4, 2, 6, 3.0), (2, 2, 1, None), (2, 1, 100, None)]
)
def test_blocks_read_what_the_reference_attention_reads_and_have_its_gradients(heads, kv_heads, window, cap):
    query, key, value = arrays(heads, kv_heads)
    target = jnp.asarray(np.random.default_rng(1).standard_normal(query.shape), jnp.float32)

    def gradients(attend):
        return jax.jit(jax.value_and_grad(lambda *own: jnp.sum(attend(*own) * target), argnums=(0, 1, 2)))

    reach = Reach(window, cap, jnp.float32)
    found = gradients(lambda *own: packed_attention(*own, segments(), reach))(query, key, value)
    expected = gradients(lambda *own: reference(*own, segments(), window, cap))(query, key, value)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5), found, expected)


def test_every_pair_of_tokens_that_may_see_each_other_is_in_one_block():
    for length, window in ((29, None), (29, 3), (4, None), (1000, 70)):
        visible = np.asarray(causal_mask(length, None, window))[0]
        covered = np.zeros((length, length), int)
        for queries, keys in attentions._blocks(length, window):
            covered[queries, keys] += 1
        assert covered.max() == 1 and not visible[covered == 0].any(), (length, window)


def test_long_rows_are_cut_into_a_few_blocks_and_no_block_of_a_window_starts_far_before_it():
    blocks = list(attentions._blocks(100_000, 1024))
    assert len(blocks) == attentions._BLOCKS
    assert all(queries.start - keys.start <= 1023 for queries, keys in blocks)


def test_scores_as_large_as_copying_heads_have_them_overflow_neither_way():
    query, key, value = arrays(2, 1)
    reach = Reach(None, None, jnp.float32)

    def total(*own):
        return jnp.sum(packed_attention(*own, segments(), reach) ** 2)

    of = jax.jit(jax.grad(total, argnums=(0, 1, 2)))
    for scale in (300.0, -300.0):
        found = of(query * scale, key, value)
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in found)


def test_the_backward_pass_of_a_row_has_no_array_of_all_its_scores():
    length = 512
    query, key, value = arrays(3, 1, length)
    segment_ids, reach = jnp.ones((BATCH, length), jnp.int32), Reach(None, None, jnp.float32)
    step = jax.jit(jax.grad(lambda *own: jnp.sum(packed_attention(*own, segment_ids, reach)), argnums=(0, 1, 2)))
    text = step.lower(query, key, value).as_text()
    assert f"x{length // attentions._BLOCKS}x{length}x" in text and f"x{length}x{length}x" not in text


def test_products_in_bfloat16_are_near_those_in_float32_and_differ():
    own = arrays(3, 1)
    exact, rounded = (
        jax.jit(partial(packed_attention, reach=Reach(None, None, dtype)))(*own, segments())
        for dtype in (jnp.float32, jnp.bfloat16)
    )
    assert rounded.dtype == jnp.float32
    assert 0 < float(jnp.abs(exact - rounded).max()) < 0.05
