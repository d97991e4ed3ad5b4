"""The forward pass against independent implementations, and against itself in every other form."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

import model
from model import PRESETS, Gemma, GemmaConfig
from model.gemma import forward, hidden_states, weight_shapes
from model.layers import (
    GemmaWeights,
    KeyValues,
    attention,
    block,
    causal_mask,
    embed,
    over_blocks,
    rms_norm,
    rotation,
    unembed,
)

OWN = Path(__file__).parents[1] / "golden"
SHARED = Path(__file__).parents[2].parent / "shared" / "golden"
GENERATIONS = ["mqa", "mha", "gemma2", "gemma3", "gemma3_scaled"]
GOLDENS = [folder / name for folder in (OWN, SHARED) for name in GENERATIONS]
TINY = GemmaConfig(num_layers=2, d_model=32, d_ff=64, num_heads=4, num_kv_heads=2, head_dim=8, vocab_size=80)


@pytest.fixture(autouse=True)
def exact_matmuls():
    with jax.default_matmul_precision("highest"):
        yield


@pytest.fixture(scope="module", params=GOLDENS, ids=lambda folder: f"{folder.parents[0].parent.name}-{folder.name}")
def golden(request) -> Path:
    if not request.param.exists():
        pytest.skip("not made here: the same arithmetic has a golden in tests/golden or in ../shared/golden")
    return request.param


@pytest.fixture(scope="module")
def tiny() -> Gemma:
    return Gemma(TINY, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def tokens() -> jax.Array:
    return jax.random.randint(jax.random.key(1), (2, 12), 0, TINY.vocab_size)


def stacked(weights: GemmaWeights) -> GemmaWeights:
    blocks = jax.tree.map(lambda *layers: jnp.stack(layers), *weights.blocks)
    return GemmaWeights(embedding=weights.embedding, blocks=blocks, final_norm=weights.final_norm)


def test_logits_agree_with_an_independent_implementation(golden):
    expected = np.load(golden / "expected.npz")
    logits = model.load(golden, dtype=jnp.float32)(jnp.asarray(expected["tokens"]))
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-4, rtol=0)


def test_every_greedy_token_is_the_independent_implementations(golden):
    expected = np.load(golden / "expected.npz")
    gemma = model.load(golden, dtype=jnp.float32)
    new_tokens = expected["greedy"].shape[1]
    rows = np.zeros((len(expected["prompt_lengths"]), expected["tokens"].shape[1] + new_tokens), np.int32)
    for row, length in zip(rows, expected["prompt_lengths"], strict=True):
        row[:length] = expected["tokens"][0, :length]
    for step in range(new_tokens):  # later tokens can't change a token's logits
        last = expected["prompt_lengths"] + step - 1
        best = np.asarray(gemma(jnp.asarray(rows)))[np.arange(len(rows)), last].argmax(-1)
        rows[np.arange(len(rows)), last + 1] = best
    for row, length, greedy in zip(rows, expected["prompt_lengths"], expected["greedy"], strict=True):
        assert row[length : length + new_tokens].tolist() == greedy.tolist()


@pytest.mark.parametrize("name", GENERATIONS)
def test_the_script_behind_the_goldens_agrees_with_two_published_implementations(name):
    if not SHARED.exists():
        pytest.skip("the published implementations' numbers are in ../shared/golden, which isn't there")
    spec = importlib.util.spec_from_file_location("make_golden", OWN / "make_golden.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    expected = np.load(SHARED / name / "expected.npz")
    config = json.loads((SHARED / name / "config.json").read_text())
    logits = script.reference_logits(config, load_file(SHARED / name / "model.safetensors"), expected["tokens"][0, :20])
    np.testing.assert_allclose(logits, expected["logits"][0, :20], atol=1e-4, rtol=0)


def test_the_scanned_layout_computes_what_the_unrolled_one_does(tiny, tokens):
    scanned = Gemma(TINY, weights=stacked(tiny.arrays()))
    np.testing.assert_allclose(scanned(tokens), tiny(tokens), atol=2e-5)


def test_a_later_token_changes_no_earlier_logits(tiny, tokens):
    changed = tokens.at[:, 7].add(1) % TINY.vocab_size
    before, after = tiny(tokens), tiny(changed)
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert not np.allclose(before[:, 7:], after[:, 7:])


def test_packed_sequences_get_the_logits_that_they_get_alone(tiny, tokens):
    first, second = tokens[:1, :5], tokens[1:, :7]  # in one row of 12, then with padding to the right
    segment_ids = jnp.array([[1] * 5 + [2] * 7])
    packed = tiny(jnp.concatenate([first, second], axis=1), segment_ids=segment_ids)
    alone = tiny(jnp.concatenate([jnp.pad(first, ((0, 0), (0, 7))), jnp.pad(second, ((0, 0), (0, 5)))]))
    np.testing.assert_allclose(packed[0, :5], alone[0, :5], atol=1e-5)
    np.testing.assert_allclose(packed[0, 5:], alone[1, :7], atol=1e-5)


def test_stepwise_decode_with_two_caches_agrees_with_one_forward_pass(tiny, tokens):
    """As in the engine: a prompt cache that is only read, a generation cache, one softmax over both."""
    weights, prompt_length, steps = tiny.arrays(), 7, 5

    @jax.jit
    def prefill(weights, tokens):
        turn = rotation(jnp.broadcast_to(jnp.arange(prompt_length), tokens.shape), TINY.head_dim, TINY.rope_base)

        def attend(query, key, value):
            read = attention(query, KeyValues(key=key, value=value, mask=causal_mask(prompt_length)))
            return read, KeyValues(key=key, value=value, mask=jnp.ones((1, 1, prompt_length), bool))

        step = lambda x, one, _: block(one, x, turn, attend, TINY)
        return over_blocks(step, embed(weights.embedding, tokens), weights.blocks)[1]

    @jax.jit
    def decode(weights, token, step, prompt_caches, caches):
        turn = rotation(jnp.broadcast_to(prompt_length + step, token.shape), TINY.head_dim, TINY.rope_base)

        def one_block(x, one, both):
            prompt, (keys, values) = both

            def attend(query, key, value):
                new = keys.at[:, :, step].set(key[:, :, 0]), values.at[:, :, step].set(value[:, :, 0])
                recent = KeyValues(key=new[0], value=new[1], mask=(jnp.arange(steps) <= step)[None, None])
                return attention(query, prompt, recent), new

            return block(one, x, turn, attend, TINY)

        x = embed(weights.embedding, token)
        x, caches = over_blocks(one_block, x, weights.blocks, tuple(zip(prompt_caches, caches, strict=True)))
        return unembed(rms_norm(x, weights.final_norm, TINY.norm_eps), weights.embedding), caches

    expected = tiny(tokens)
    prompt_caches = prefill(weights, tokens[:, :prompt_length])
    empty = jnp.zeros((2, TINY.num_kv_heads, steps, TINY.head_dim))
    caches = ((empty, empty),) * TINY.num_layers
    for step in range(steps):
        place = prompt_length + step
        logits, caches = decode(weights, tokens[:, place, None], jnp.int32(step), prompt_caches, caches)
        np.testing.assert_allclose(logits[:, 0], expected[:, place], atol=1e-5)


def test_recomputing_activations_changes_no_gradient(tiny, tokens):
    def loss(weights, remat):
        return jnp.mean(hidden_states(weights, tokens, TINY, remat=remat) ** 2)

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    plain, recomputed = gradient(tiny.arrays(), False), gradient(tiny.arrays(), True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), plain, recomputed)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(plain))


def test_bfloat16_computes_nearly_the_same_logits_and_returns_float32(tiny, tokens):
    exact, rounded = tiny(tokens), Gemma(TINY, weights=tiny.arrays(), dtype=jnp.bfloat16)(tokens)
    assert rounded.dtype == jnp.float32
    assert 0 < np.abs(exact - rounded).max() < 0.1 * np.std(exact)


def test_the_module_splits_and_merges_as_flax_expects(tiny, tokens):
    graph, state = nnx.split(tiny)
    np.testing.assert_array_equal(nnx.merge(graph, state)(tokens), tiny(tokens))
    assert len(jax.tree.leaves(nnx.state(tiny, nnx.Param))) == 9 * TINY.num_layers + 2


# Parameters counted from the reports' tables: embedding, and the rest. Gemma 1 and 2 count the spare rows of the
# embedding; Gemma 3's report rounds to millions.
PUBLISHED = {
    "codegemma-2b": (524_550_144, 1_981_884_416),
    "codegemma-7b": (786_825_216, 7_751_248_896),
    "gemma-2-2b": (590_118_912, 2_024_517_888),
    "gemma-2-9b": (917_962_752, 8_324_201_984),
    "gemma-2-27b": (1_180_237_824, 26_047_480_320),
    "gemma-3-1b": (302e6, 698e6),
    "gemma-3-4b": (675e6, 3_209e6),
    "gemma-3-12b": (1_012e6, 10_759e6),
    "gemma-3-27b": (1_416e6, 25_600e6),
}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_the_published_shapes(name):
    config = PRESETS[name]
    abstract = nnx.eval_shape(lambda: Gemma(config, rngs=nnx.Rngs(0)))
    count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(abstract.weights))
    assert count == config.num_parameters
    spare = 128 * config.d_model if config.generation < 3 else 0
    base = name.removesuffix("-it").replace("-1.1", "")
    if base in PUBLISHED:
        assert count + spare == pytest.approx(sum(PUBLISHED[base]), rel=2e-3 if config.generation == 3 else 0)
    logits = jax.eval_shape(lambda w, t: forward(w, t, config), weight_shapes(config), jnp.zeros((1, 8), int))
    assert (logits.shape, logits.dtype) == ((1, 8, config.vocab_size), jnp.float32)


def test_a_token_behind_every_window_changes_no_logits_where_all_layers_have_one():
    config = replace(TINY, window=3, window_pattern=(True,))
    gemma = Gemma(config, rngs=nnx.Rngs(0))
    tokens = jnp.arange(12)[None]
    first, reached = gemma(tokens), 2 * (config.num_layers) + 1
    changed = gemma(tokens.at[0, 0].set(70))
    np.testing.assert_array_equal(first[:, reached:], changed[:, reached:])
    assert not np.allclose(first[:, reached - 1], changed[:, reached - 1])


def test_the_two_families_have_the_published_attention():
    assert (PRESETS["codegemma-2b"].num_heads, PRESETS["codegemma-2b"].num_kv_heads) == (8, 1)
    assert (PRESETS["codegemma-7b"].num_heads, PRESETS["codegemma-7b"].num_kv_heads) == (16, 16)
    assert all(config.is_instruction_tuned == name.endswith("-it") for name, config in PRESETS.items())
