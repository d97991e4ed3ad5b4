"""Placement of the engine's arrays, which follows the weights: on one device, or over the `model` axis of a mesh.

    mesh (data, model)      0 1 2 3        each row of `data` is a replica: a full model, its own caches and slots;
                            4 5 6 7        in it, heads are split over `model`, as the weights are (`model.sharding`)

Replicas share nothing, so none waits for another's requests, and a request's tokens come from one replica alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from model.config import GemmaConfig
from model.layers import GemmaWeights


@dataclass(frozen=True)
class Placement:
    """Shardings of one replica's arrays.

    Args:
        whole: Of arrays that each device holds in full: slots' state, reports.
        heads: Of caches [slots kv_heads positions head_dim].
        stacked_heads: Of caches with a leading `layers` axis.
        mesh: The replica's devices; None for a single one.
    """

    whole: Sharding
    heads: Sharding
    stacked_heads: Sharding
    mesh: Mesh | None

    @classmethod
    def of(cls, weights: GemmaWeights, config: GemmaConfig) -> Placement:
        """The placement that matches a replica's weights."""
        mesh = mesh_of(weights)
        if mesh is None:
            one = SingleDeviceSharding(_device_of(weights))
            return cls(one, one, one, None)
        assert mesh.shape["data"] == 1, "a replica is one row of the mesh's data axis"
        return cls.over(mesh, config)

    @classmethod
    def over(cls, mesh: Mesh, config: GemmaConfig) -> Placement:
        """The placement over a mesh; nothing is split over its `data` axis."""
        # A key/value head is never split: with fewer heads than devices, every device has all of them.
        axis = "model" if config.num_kv_heads % mesh.shape["model"] == 0 else None

        def split(*axes: str | None) -> NamedSharding:
            return NamedSharding(mesh, PartitionSpec(*axes))

        return cls(split(), split(None, axis), split(None, None, axis), mesh)

    def of_caches(self, caches: Any) -> Any:
        """A tree with the sharding of each array of caches, values or scales, stacked over layers or not."""
        is_stacked = not isinstance(caches, tuple)
        sharding = self.stacked_heads if is_stacked else self.heads
        return jax.tree.map(lambda _: sharding, caches)

    def of_state(self, state: Any) -> Any:
        """A tree with the sharding of each array of the slots' state."""
        return jax.tree.map(lambda _: self.whole, state)


def make_placed(make: Callable[[], Any], place: Callable[[Any], Any]) -> Any:
    """Runs `make` so that each array is created on its devices: none ever holds more than its share.

    Args:
        make: Makes a tree of arrays.
        place: Maps a tree of shapes to a tree of shardings: a method of `Placement`.
    """
    return jax.jit(make, out_shardings=place(jax.eval_shape(make)))()


def placed_shapes(make: Callable[[], Any], place: Callable[[Any], Any]) -> Any:
    """The shapes and shardings of what `make_placed` would return."""
    shapes = jax.eval_shape(make)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes, place(shapes)
    )


def shapes_of(tree: Any) -> Any:
    """The shapes and shardings of existing arrays."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree)


def shardings_of(tree: Any) -> Any:
    """The sharding of each array, or of each shape that has one."""
    return jax.tree.map(lambda leaf: leaf.sharding, tree)


def mesh_of(weights: GemmaWeights) -> Mesh | None:
    """The (data, model) mesh that weights are spread over; None if they are on one device."""
    sharding = getattr(jax.tree.leaves(weights)[0], "sharding", None)  # a NumPy array has none
    return sharding.mesh if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, Mesh) else None


def replicas(weights: GemmaWeights) -> list[GemmaWeights]:
    """The weights of each replica, one per row of the mesh's `data` axis, on that row's devices; nothing is copied."""
    mesh = mesh_of(weights)
    if mesh is None:
        return [weights]
    lines = [Mesh(line[None], mesh.axis_names) for line in mesh.devices]
    return [jax.tree.map(lambda leaf, line=line: _on_line(leaf, line), weights) for line in lines]


def _on_line(leaf: jax.Array, line: Mesh) -> jax.Array:
    devices = set(line.devices.flat)
    parts = [shard.data for shard in leaf.addressable_shards if shard.device in devices]
    assert isinstance(leaf.sharding, NamedSharding)
    sharding = NamedSharding(line, leaf.sharding.spec)
    return jax.make_array_from_single_device_arrays(leaf.shape, sharding, parts)


def _device_of(weights: GemmaWeights) -> jax.Device:
    first = jax.tree.leaves(weights)[0]
    return next(iter(first.devices())) if isinstance(first, jax.Array) else jax.devices()[0]
