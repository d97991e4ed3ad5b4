"""How weights and batches lie over a mesh of devices.

A mesh has two axes: `data` (requests are split over it) and `model` (matrices are). The rules
below turn the logical axes declared beside the parameters (`model.gemma.WEIGHT_AXES`) into
mesh axes. Each block then costs two all-reduces over `model`, after `o_proj` and `down_proj`
(Megatron's split, arXiv 1909.08053); XLA puts them in.

CodeGemma 2B has one key/value head, which can't be split: its host's devices are all `data`.
7B has 16 and is split over `model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from model.config import GemmaConfig
from model.errors import ConfigError
from model.gemma import WEIGHT_AXES, weight_tree
from model.layers import GemmaWeights

# Logical axis -> mesh axis; what isn't here is whole on every device.
RULES = {"vocab": "model", "queries": "model", "keys": "model", "d_ff": "model"}


def make_mesh(config: GemmaConfig, devices: Sequence[Any] | None = None, *, tensor_parallel: int | None = None) -> Mesh:
    """A (data, model) mesh over `devices` (all there are if None).

    Args:
        config: The model's shapes: multi-query models are not split by default, others over as many
            devices as their heads allow.
        devices: What to build it of.
        tensor_parallel: Size of the `model` axis instead.

    Raises:
        ConfigError: The devices or the model can't be split so.
    """
    devices = jax.devices() if devices is None else list(devices)
    size = tensor_parallel
    if size is None:
        size = int(np.gcd(len(devices), config.num_kv_heads))
    if size < 1 or len(devices) % size:
        raise ConfigError(f"{len(devices)} devices can't be split into groups of tensor_parallel={size}")
    for name, count in (("num_heads", config.num_heads), ("d_ff", config.d_ff), ("vocab_size", config.vocab_size)):
        if count % size:
            raise ConfigError(f"{name}={count} can't be split over tensor_parallel={size} devices")
    return Mesh(np.asarray(devices).reshape(-1, size), ("data", "model"))


def weight_sharding(name: str, config: GemmaConfig, mesh: Mesh) -> NamedSharding:
    """The sharding of one weight (of one block) by its name in the parameter tree."""
    # A key/value head is never cut in two: fewer heads than devices stay whole everywhere.
    whole = {"keys"} if config.num_kv_heads % mesh.shape["model"] else set()
    axes = [None if axis in whole else RULES.get(axis) for axis in WEIGHT_AXES[name]]
    return NamedSharding(mesh, PartitionSpec(*axes))


def weight_shardings(config: GemmaConfig, mesh: Mesh) -> GemmaWeights:
    """The (unrolled) parameter tree with a sharding for each weight."""
    return weight_tree(lambda name, _: weight_sharding(name, config, mesh), config.num_layers)


def row_sharding(sharding: NamedSharding) -> NamedSharding:
    """The sharding of something with one number for each row of a matrix, such as int8 scales."""
    return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[:1]))


def stacked_sharding(sharding: NamedSharding) -> NamedSharding:
    """The sharding of a weight that is stacked along a leading `layers` axis, which isn't split."""
    return NamedSharding(sharding.mesh, PartitionSpec(None, *sharding.spec))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Arrays with a leading batch or slots axis: split over `data`."""
    return NamedSharding(mesh, PartitionSpec("data"))
