from __future__ import annotations

import os
import subprocess
import sys

import jax
import pytest

from model.errors import ConfigError
from model.training.placement import check_rows, state_shardings, training_mesh

# In a process of its own: the number of virtual devices is fixed when JAX starts.
EIGHT_DEVICES = """
from functools import partial
import jax, jax.numpy as jnp, numpy as np
from model.config import GemmaConfig
from model.training import placement
from model.training.adapters import new_adapters
from model.training.step import Rows, TrainingConfig, new_state, state_of, train_step

placement._SMALLEST_SPLIT = 64
config = GemmaConfig(num_layers=1, d_model=16, d_ff=32, num_heads=2, num_kv_heads=1, head_dim=8, vocab_size=24)
rng = np.random.default_rng(0)
rows = Rows(
    tokens=jnp.asarray(rng.integers(4, 24, (16, 12))),
    segment_ids=jnp.ones((16, 12), jnp.int32),
    loss_weights=jnp.asarray(rng.uniform(0.5, 2, (16, 12)), jnp.float32),
)
mesh = placement.training_mesh(jax.devices())
base = new_state(jax.random.key(0), config, TrainingConfig(num_steps=9)).weights
for optimizer, frozen in (("muon", None), ("adamw", None), ("adamw", base)):
    training = TrainingConfig(num_steps=9, warmup_steps=1, learning_rate=1e-3, optimizer=optimizer)
    trained = base if frozen is None else new_adapters(jax.random.key(1), config, 4, ("q_proj", "down_proj"))
    one = state_of(trained, training)
    step = partial(train_step, model=config, training=training, micro_batches=2)
    shardings = placement.state_shardings(one, mesh)
    many = jax.device_put(one, shardings)
    held = many.weights.blocks[0].gate_proj if frozen is None else many.weights[0]["down_proj"].a
    assert len({str(shard.index) for shard in held.addressable_shards}) == 8, held.sharding
    over = jax.jit(partial(step, num_devices=8), out_shardings=(shardings, None))
    spread = None if frozen is None else jax.device_put(frozen, placement.state_shardings(frozen, mesh))
    alone = jax.jit(step)
    for _ in range(2):
        one, _ = alone(one, rows, base=frozen)
        many, _ = over(many, jax.device_put(rows, placement.rows_sharding(mesh)), base=spread)
    same = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=2e-3, atol=2e-5), one.weights, jax.device_get(many.weights))
    assert all(jax.tree.leaves(same)), (optimizer, same)
print("same")
"""


def test_eight_devices_with_a_part_of_the_state_each_train_as_one_does():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", EIGHT_DEVICES]
    done = subprocess.run(words, env={**os.environ, **flags}, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip() == "same", done.stderr[-2000:]


def test_small_arrays_and_those_that_do_not_divide_are_on_every_device_whole():
    mesh = training_mesh(jax.devices()[:1] * 1)
    shapes = [jax.ShapeDtypeStruct(shape, "float32") for shape in ((8,), (512, 256), (3, 256, 512))]
    assert [tuple(one.spec) for one in state_shardings(shapes, mesh)] == [
        (), ("data", None), (None, None, "data"),
    ]  # fmt: skip


def test_rows_that_devices_can_not_share_evenly_are_refused():
    check_rows(16, 2, 8)
    with pytest.raises(
        ConfigError, match="batches of 12 rows in 2 micro-batches can't be spread over 8 devices: they must be a mult"
    ):
        check_rows(12, 2, 8)
