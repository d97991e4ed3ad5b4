"""Weights spread over eight virtual devices compute the same as on one device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from model import PRESETS
from model.errors import ConfigError
from model.gemma import weight_shapes
from model.sharding import devices_a_model, host_mesh, make_mesh, weight_sharding
from model.weights import WEIGHT_AXES

ROOT = Path(__file__).parents[2]

PROGRAM = """
import dataclasses, json, sys, tempfile
import jax, jax.numpy as jnp, numpy as np
import model
from model.gemma import Gemma, GemmaConfig, forward, weight_shapes
from jax.sharding import NamedSharding, PartitionSpec
from model.sharding import make_mesh

jax.config.update("jax_default_matmul_precision", "highest")
mqa = GemmaConfig(num_layers=2, d_model=32, d_ff=64, num_heads=8, num_kv_heads=1, head_dim=8, vocab_size=96)
cases = {
    "mqa, data": (mqa, None, {}),
    "mqa, 4 x model": (mqa, 4, {}),
    "mha, model": (dataclasses.replace(mqa, num_kv_heads=8), None, {}),
    "gqa, 4 x model": (dataclasses.replace(mqa, num_kv_heads=4), None, {"layout": "scanned", "quantize": "int8"}),
}
for name, (config, tensor_parallel, options) in cases.items():
    rng = np.random.default_rng(0)
    draw = lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape) * 0.3, jnp.float32)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Gemma(config, weights=jax.tree.map(draw, weight_shapes(config))), folder)
        one = model.load(folder, **options)
        mesh = make_mesh(config, tensor_parallel=tensor_parallel)
        spread = model.load(folder, mesh=mesh, **options)
    tokens = rng.integers(0, 96, (8, 12))
    ours = spread(jax.device_put(tokens, NamedSharding(mesh, PartitionSpec("data"))))
    embedding = jax.tree.leaves(spread.arrays().embedding)[0]
    print(json.dumps({
        "name": name,
        "mesh": dict(mesh.shape),
        "off": float(np.abs(np.asarray(ours) - np.asarray(one(jnp.asarray(tokens)))).max()),
        "spread": float(np.std(np.asarray(ours))),
        "embedding_rows_here": embedding.addressable_shards[0].data.shape[0],
        "devices": len(embedding.sharding.device_set),
    }))
"""


@pytest.fixture(scope="module")
def cases() -> dict[str, dict]:
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {case["name"]: case for case in map(json.loads, done.stdout.splitlines())}


def test_logits_over_eight_devices_are_one_devices(cases):
    assert len(cases) == 4
    for case in cases.values():
        assert case["devices"] == 8
        assert case["off"] < 1e-4 < case["spread"], case


def test_a_multi_query_model_is_complete_on_each_device_and_others_are_split(cases):
    assert cases["mqa, data"]["mesh"] == {"data": 8, "model": 1}
    assert cases["mqa, data"]["embedding_rows_here"] == 96
    assert cases["mha, model"]["mesh"] == {"data": 1, "model": 8}
    assert cases["mha, model"]["embedding_rows_here"] == 12
    assert cases["mqa, 4 x model"]["embedding_rows_here"] == 24


@pytest.mark.parametrize("chips", [1, 4, 8])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_splits_evenly_over_a_host(name, chips):
    """Shapes alone, on an abstract mesh: no device is needed."""
    config = PRESETS[name]
    mesh = jax.sharding.AbstractMesh((1, chips), ("data", "model"))
    whole = sharded = 0
    for path, leaf in jax.tree_util.tree_flatten_with_path(weight_shapes(config))[0]:
        sharding = weight_sharding(path[-1].name, config, mesh)
        whole += int(np.prod(leaf.shape))
        sharded += int(np.prod(sharding.shard_shape(leaf.shape)))
    keys_and_values = 2 * config.num_layers * config.num_kv_heads * config.head_dim * config.d_model
    norms = whole - sum(leaf.size for leaf in jax.tree.leaves(weight_shapes(config)) if len(leaf.shape) > 1)
    assert sharded <= whole / chips + norms + (keys_and_values if config.num_kv_heads % chips else 0)


def test_an_impossible_mesh_is_refused():
    with pytest.raises(ConfigError, match="1 devices can't be split into groups of tensor_parallel=2"):
        make_mesh(PRESETS["codegemma-7b"], jax.devices()[:1], tensor_parallel=2)
    with pytest.raises(ConfigError, match="num_heads=8 is not divisible by tensor_parallel=16"):
        make_mesh(PRESETS["codegemma-2b"], list(range(16)), tensor_parallel=16)


def test_axes_are_declared_for_every_weight():
    config = PRESETS["gemma-3-1b"]  # which has the most kinds
    paths, _ = jax.tree_util.tree_flatten_with_path(weight_shapes(config))
    assert {path[-1].name for path, _ in paths} == WEIGHT_AXES.keys()


@pytest.mark.parametrize(
    ("preset", "gib", "count", "memory_gib", "size"),
    [
        ("codegemma-7b", 15.9, 4, 15.75, 4),
        ("codegemma-7b", 7.95, 4, 15.75, 2),
        ("codegemma-7b", 15.9, 8, 80, 1),
        ("codegemma-7b", 15.9, 8, None, 8),
        ("codegemma-7b", 500, 8, 16, 8),
        ("codegemma-2b", 4.67, 8, 4, 1),
    ],
)
def test_a_model_takes_the_fewest_devices_that_leave_room_for_its_caches(preset, gib, count, memory_gib, size):
    memory = None if memory_gib is None else int(memory_gib * 2**30)
    assert devices_a_model(PRESETS[preset], int(gib * 2**30), count, memory) == size


def test_a_host_without_accelerators_needs_no_mesh():
    assert host_mesh(PRESETS["codegemma-2b"], 1) is None
