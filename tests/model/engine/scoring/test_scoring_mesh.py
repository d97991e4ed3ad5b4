"""Scores over eight virtual devices are those of the reference forward pass on one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]

PROGRAM = """
import dataclasses, json, tempfile
import jax, jax.numpy as jnp, numpy as np
import model
from model.engine import Engine, EngineOptions, ScoreRequest
from model.gemma import Gemma, GemmaConfig, init_weights
from model.sharding import make_mesh

mha = GemmaConfig(num_layers=2, d_model=64, d_ff=128, num_heads=16, num_kv_heads=16, head_dim=8, vocab_size=320)
mqa = dataclasses.replace(mha, num_heads=8, num_kv_heads=1)
options = EngineOptions(slots=2, prompt_buckets=(32,), max_new_tokens=16, prefill_row_tokens=32, prompt_lookup="off")
rng = np.random.default_rng(1)

def ids(length):
    return tuple(rng.integers(0, 320, length).tolist())

requests = [
    ScoreRequest(prompt=ids(rng.integers(1, 32)), continuations=tuple(ids(n) for n in rng.integers(1, 16, 3)))
    for _ in range(30)
]

def reference(gemma, prompt, continuation):
    sequence = prompt + continuation
    logits = gemma(jnp.asarray([sequence + (0,) * (48 - len(sequence))]))[0]
    at = len(prompt) - 1 + np.arange(len(continuation))
    return np.asarray(jax.nn.log_softmax(logits))[at, list(continuation)]

cases = {
    "mha over 8": (mha, 8, 8, {}, "fast"),
    "mha, 4 times over 2, stacked": (mha, 8, 2, {"layout": "scanned"}, "fast"),
    "mqa, 3 times, exact": (mqa, 3, None, {}, "exact"),
}
for name, (config, devices, tensor_parallel, loading, determinism) in cases.items():
    with tempfile.TemporaryDirectory() as folder:
        weights = jax.tree.map(lambda w: w * 2.0, init_weights(jax.random.key(3), config))
        model.save(Gemma(config, weights=weights), folder)
        one = model.load(folder)
        mesh = make_mesh(config, jax.devices()[:devices], tensor_parallel=tensor_parallel)
        loaded = model.load(folder, mesh=mesh, **loading)
        with Engine(loaded, options=dataclasses.replace(options, determinism=determinism)) as engine:
            found = [f.result() for f in engine.score(requests)]
            stats = engine.stats()
            replicas = [each.stats()["score_tokens"] for each in engine._scorer._replicas]
    off = max(
        float(np.abs(ours - reference(one, request.prompt, continuation)).max())
        for request, scores in zip(requests, found)
        for ours, continuation in zip(scores, request.continuations)
    )
    print(json.dumps({"name": name, "off": off, "replicas": replicas, "scored": stats["tokens_scored"]}))
"""


@pytest.fixture(scope="module")
def cases() -> dict[str, dict]:
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | flags, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {case["name"]: case for case in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize(
    ("name", "replicas"), [("mha over 8", 1), ("mha, 4 times over 2, stacked", 4), ("mqa, 3 times, exact", 3)]
)
def test_scores_on_replicas_are_those_of_one_device(name: str, replicas: int, cases: dict[str, dict]) -> None:
    case = cases[name]
    assert case["off"] < 1e-4
    assert len(case["replicas"]) == replicas and all(case["replicas"])
    assert case["scored"] > 30 * 3
