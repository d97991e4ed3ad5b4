"""An engine over eight virtual devices generates the tokens of an engine on one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# One key head per query head, like 7B, but small; and one for all, like 2B.
PROGRAM = """
import dataclasses, json, tempfile
from functools import partial
import jax, jax.numpy as jnp, numpy as np
import model
from model.engine.programs.attention import _splash, row_attention
from model.engine.prefill_rows import lay_out
from model.engine.transfer import prompt_row
from model.engine import Engine, EngineOptions, Request, Sampling
from model.gemma import Gemma, GemmaConfig, init_weights
from model.sharding import make_mesh

mha = GemmaConfig(num_layers=2, d_model=64, d_ff=128, num_heads=16, num_kv_heads=16, head_dim=8, vocab_size=320)
mqa = dataclasses.replace(mha, num_heads=8, num_kv_heads=1)
options = EngineOptions(slots=3, prompt_buckets=(32,), max_new_tokens=12, prefill_row_tokens=32, burst_steps=5)
options = dataclasses.replace(options, prompt_lookup="off")
rng = np.random.default_rng(1)
shared_prefix = rng.integers(0, 320, 20).tolist()
requests = [
    Request(
        prompt=tuple((shared_prefix if i % 3 == 0 else []) + rng.integers(0, 320, rng.integers(1, 11)).tolist()),
        max_new_tokens=int(rng.integers(3, 13)),
        stop_ids=frozenset(range(i % 4)),
        sampling=Sampling(temperature=0.8 if i % 4 == 3 else 0.0, seed=i),
    )
    for i in range(20)
]


def ask(gemma, **changes):
    with Engine(gemma, options=dataclasses.replace(options, min_shared_prefix=8, **changes)) as engine:
        # Twice, from two calls, so that requests arrive while others decode.
        futures = [*engine.submit(requests[:12]), *engine.submit(requests[12:])]
        return [f.result() for f in futures], engine.stats(), engine.fingerprint()


def gap(gemma, request, ours, theirs):
    "How far apart the two tokens at the first difference are, in logits; 0 where there is none."
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), None)
    if at is None:
        return 0.0 if ours == theirs else 1e9
    logits = gemma(jnp.asarray([request.prompt + ours[:at]]))[0, -1]
    return float(abs(logits[ours[at]] - logits[theirs[at]]))


cases = {
    "mha over 8": (mha, 8, 8, {}, {}),
    "mha, twice over 2, in 8 bits": (mha, 4, 2, {"quantize": "int8", "layout": "scanned"}, {"prompt_cache": "int8"}),
    "mqa, 3 times, exact": (mqa, 3, None, {}, {"determinism": "exact"}),
}
for name, (config, devices, tensor_parallel, loading, changes) in cases.items():
    with tempfile.TemporaryDirectory() as folder:
        weights = jax.tree.map(lambda w: w * 2.0, init_weights(jax.random.key(3), config))
        model.save(Gemma(config, weights=weights), folder)
        one = model.load(folder, **loading)
        mesh = make_mesh(config, jax.devices()[:devices], tensor_parallel=tensor_parallel)
        expected, _, _ = ask(one, **changes)
        found, stats, fingerprint = ask(model.load(folder, mesh=mesh, **loading), **changes)
    print(json.dumps({
        "name": name,
        "gaps": [gap(one, *both) for both in zip(requests, (c.tokens for c in found), (c.tokens for c in expected))],
        "logprob_off": max(abs(a.mean_logprob - b.mean_logprob) for a, b in zip(found, expected)),
        "distinct": len({c.tokens for c in found}),
        "stats": stats,
        "tensor_parallel": fingerprint["tensor_parallel"],
    }))

row = prompt_row(lay_out([rng.integers(0, 9, n).tolist() for n in (200, 150)], min_shared=0)[0], 384)
for num_kv_heads in (8, 1):
    config = dataclasses.replace(mqa, num_kv_heads=num_kv_heads, head_dim=128)
    mesh = make_mesh(config, jax.devices()[:4], tensor_parallel=4)
    query, key, value = (
        jax.random.normal(jax.random.key(i), shape)
        for i, shape in enumerate([(1, 384, 8, 128), *[(1, num_kv_heads, 384, 128)] * 2])
    )
    read = jax.jit(partial(_splash, mesh=mesh, interpret=True))(query, key, value, row)
    off = jnp.abs(read - row_attention("einsum")(query, key, value, row))[:, :350].max()
    shards = len({str(shard.index) for shard in read.addressable_shards})
    print(json.dumps({"name": f"kernel, {num_kv_heads} key heads", "off": float(off), "shards": shards}))
"""


@pytest.fixture(scope="module")
def cases() -> dict[str, dict]:
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | flags, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {case["name"]: case for case in map(json.loads, done.stdout.splitlines())}


REPLICAS_AND_SIZES = {
    "mha over 8": (1, 8),
    "mha, twice over 2, in 8 bits": (2, 2),
    "mqa, 3 times, exact": (3, 1),
}


@pytest.mark.parametrize("name", REPLICAS_AND_SIZES)
def test_tokens_are_those_of_one_device_except_for_near_ties(name: str, cases: dict[str, dict]) -> None:
    case = cases[name]
    assert max(case["gaps"]) < 1e-3
    assert sum(gap == 0 for gap in case["gaps"]) >= 18
    assert case["distinct"] > 15
    assert case["logprob_off"] < (1e-4 if max(case["gaps"]) == 0 else 1.0)


@pytest.mark.parametrize("name", REPLICAS_AND_SIZES)
def test_each_data_row_of_the_mesh_is_a_replica_with_its_own_slots(name: str, cases: dict[str, dict]) -> None:
    replicas, size = REPLICAS_AND_SIZES[name]
    stats = cases[name]["stats"]
    assert cases[name]["tensor_parallel"] == size
    assert stats["slots"] == 3 * replicas
    assert stats["requests_done"] == 20
    assert stats["requests_queued"] == 0


@pytest.mark.parametrize("kv_heads", [8, 1])
def test_the_tpu_kernel_runs_on_each_device_over_its_heads(kv_heads: int, cases: dict[str, dict]) -> None:
    case = cases[f"kernel, {kv_heads} key heads"]
    assert case["shards"] == 4
    assert case["off"] < 2e-5
