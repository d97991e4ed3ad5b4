"""Compiles the training step for a host of TPU chips that isn't present, and reads how much memory a chip needs.

    python -m model.estimates.training_aot codegemma-2b v5e:2x4 --rows 8 --length 2048
    python -m model.estimates.training_aot codegemma-2b v5e:2x4 --rows 8 --length 2048 --lora_rank 16

As `model.estimates.aot` does for the engine: nothing runs, and it needs the extra `tpu-aot`. The step is what
`codemill train --init_from` compiles there: state split over all chips, blocks stacked (a model with windows: unrolled)
and recomputed, bfloat16 with a float32 state.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from model.config import PRESETS, GemmaConfig
from model.estimates.report import ENVIRONMENT
from model.gemma import weight_shapes
from model.layers import GemmaWeights
from model.training.adapters import TARGETS, new_adapters
from model.training.placement import rows_sharding, state_shardings, training_mesh
from model.training.step import Rows, TrainingConfig, state_of, train_step


def training_memory(
    preset: str, topology: str, *, rows: int, length: int, micro_batches: int = 1, lora_rank: int | None = None
) -> dict[str, int]:
    """Bytes per chip of the compiled step: `argument`, `output`, `alias`, `temp`, and `peak` of them together."""
    config = PRESETS[preset]
    mesh = training_mesh(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)
    training = TrainingConfig(num_steps=1000, optimizer="adamw", learning_rate=2e-5)
    base = None if lora_rank is None else _weights(config, jnp.bfloat16)
    if lora_rank is None:
        trained: Any = _weights(config, jnp.float32)
    else:
        adapters = partial(
            new_adapters, config=config, rank=lora_rank, targets=TARGETS, is_stacked=config.window is None
        )
        trained = jax.eval_shape(adapters, jax.random.key(0))
    state = jax.eval_shape(partial(state_of, training=training), trained)
    kinds = (jnp.int32, jnp.int32, jnp.float32)
    batch: Any = Rows(*[jax.ShapeDtypeStruct((rows, length), kind) for kind in kinds])  # type: ignore[arg-type]
    step = partial(
        train_step,
        model=config,
        training=training,
        micro_batches=micro_batches,
        dtype=jnp.bfloat16,
        remat=True,
        num_devices=mesh.size,
    )
    compiled = jax.jit(
        lambda state, batch, base: step(state, batch, base=base),
        donate_argnums=0,
        out_shardings=(state_shardings(state, mesh), None),
    ).lower(
        _placed(state, state_shardings(state, mesh)),
        _placed(batch, jax.tree.map(lambda _: rows_sharding(mesh), batch)),
        None if base is None else _placed(base, state_shardings(base, mesh)),
    )
    memory = compiled.compile().memory_analysis()
    assert memory is not None, "this compiler reports no memory statistics"
    found = {
        "argument": memory.argument_size_in_bytes,
        "output": memory.output_size_in_bytes,
        "alias": memory.alias_size_in_bytes,
        "temp": memory.temp_size_in_bytes,
    }
    return {**found, "peak": found["argument"] + found["output"] - found["alias"] + found["temp"]}


def _weights(config: GemmaConfig, dtype: Any) -> GemmaWeights:
    weights = weight_shapes(config, dtype)
    if config.window is not None:
        return weights
    assert isinstance(weights.blocks, tuple)
    blocks = jax.tree.map(lambda *own: jax.ShapeDtypeStruct((len(own), *own[0].shape), own[0].dtype), *weights.blocks)
    return dataclasses.replace(weights, blocks=blocks)


def _placed(shapes: Any, shardings: Any) -> Any:
    def one(leaf: Any, at: Any) -> Any:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=at)

    return jax.tree.map(one, shapes, shardings)


def main(argv: Sequence[str] | None = None) -> int:
    """Compiles the step of the command line and prints bytes per chip as JSON."""
    parser = argparse.ArgumentParser(prog="python -m model.estimates.training_aot", description=__doc__.splitlines()[0])
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("topology")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--micro_batches", type=int, default=1)
    parser.add_argument("--lora_rank", type=int)
    fields = vars(parser.parse_args(argv))
    print(json.dumps(training_memory(fields.pop("preset"), fields.pop("topology"), **fields)))
    return 0


if __name__ == "__main__":
    os.environ.update({name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()})
    jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])  # JAX read the variable when it was imported
    sys.exit(main())
