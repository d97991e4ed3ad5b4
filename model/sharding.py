"""Sharding of weights and batches over a mesh of devices.

A mesh has two axes: `data` (splits requests) and `model` (splits matrices). The rules below map
the logical axes declared next to the parameters (`model.weights.WEIGHT_AXES`) to mesh axes. Each
block then costs two all-reduces over `model`, after `o_proj` and `down_proj` (Megatron's split,
arXiv 1909.08053); XLA inserts them.

CodeGemma 2B has one key/value head, which can't be split: all devices of its host are on the
`data` axis. 7B has 16 and is split over `model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from model.config import GemmaConfig
from model.errors import ConfigError
from model.weights import WEIGHT_AXES

# Logical axis -> mesh axis; other axes are not split.
RULES = {"vocab": "model", "queries": "model", "keys": "model", "d_ff": "model"}


def make_mesh(config: GemmaConfig, devices: Sequence[Any] | None = None, *, tensor_parallel: int | None = None) -> Mesh:
    """A (data, model) mesh over `devices` (all available ones if None).

    Args:
        config: The model's shapes: by default, multi-query models are not split, others over as many
            devices as their heads allow.
        devices: The mesh's devices.
        tensor_parallel: Size of the `model` axis; overrides the default.

    Raises:
        ConfigError: The devices or the model can't be split this way.
    """
    devices = jax.devices() if devices is None else list(devices)
    size = tensor_parallel
    if size is None:
        size = int(np.gcd(len(devices), config.num_kv_heads))
    if size < 1 or len(devices) % size:
        raise ConfigError(f"{len(devices)} devices can't be split into groups of tensor_parallel={size}")
    for name, count in (("num_heads", config.num_heads), ("d_ff", config.d_ff), ("vocab_size", config.vocab_size)):
        if count % size:
            raise ConfigError(f"{name}={count} is not divisible by tensor_parallel={size} devices")
    return Mesh(np.asarray(devices).reshape(-1, size), ("data", "model"))


def host_mesh(config: GemmaConfig, weight_bytes: int) -> Mesh | None:
    """A mesh over this process's accelerators: each holds a full model, or the minimum number together holds one.

    None if there is at most one accelerator; virtual CPU devices share one processor and don't count.

    Args:
        config: The model's shapes.
        weight_bytes: Bytes of its weights.
    """
    devices = jax.local_devices()
    if len(devices) == 1 or devices[0].platform == "cpu":
        return None
    memory_bytes = (devices[0].memory_stats() or {}).get("bytes_limit")
    return make_mesh(config, devices, tensor_parallel=devices_a_model(config, weight_bytes, len(devices), memory_bytes))


def devices_a_model(config: GemmaConfig, weight_bytes: int, num_devices: int, memory_bytes: int | None) -> int:
    """Number of devices that a model is split over: the minimum that leaves as much memory for caches as for weights.

    If the devices' memory is unknown or doesn't suffice, all that the key/value heads can be split over.

    >>> from model.config import PRESETS
    >>> [devices_a_model(PRESETS["codegemma-7b"], 16 << 30, 8, gib << 30) for gib in (15, 31, 80)]
    [4, 2, 1]
    """
    most = int(np.gcd(num_devices, config.num_kv_heads))
    if memory_bytes is None:
        return most
    sizes = [size for size in range(1, most + 1) if most % size == 0]
    return next((size for size in sizes if 2 * weight_bytes <= size * memory_bytes), most)


def weight_sharding(name: str, config: GemmaConfig, mesh: Mesh) -> NamedSharding:
    """The sharding of one weight (of one block), by its name in the parameter tree."""
    # A key/value head is never split: with fewer heads than devices, every device has all of them.
    whole = {"keys"} if config.num_kv_heads % mesh.shape["model"] else set()
    axes = [None if axis in whole else RULES.get(axis) for axis in WEIGHT_AXES[name]]
    return NamedSharding(mesh, PartitionSpec(*axes))


def row_sharding(sharding: NamedSharding) -> NamedSharding:
    """The sharding of an array with one number per row of a matrix, such as int8 scales."""
    return NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[:1]))


def stacked_sharding(sharding: NamedSharding) -> NamedSharding:
    """The sharding of a weight stacked along a leading `layers` axis, which isn't split."""
    return NamedSharding(sharding.mesh, PartitionSpec(None, *sharding.spec))
