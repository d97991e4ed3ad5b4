"""Training over the devices of a host: rows and state are split over all of them.

Each device has a part of every large array of the state (weights, gradients, both moments of the optimizer) and a part
of the batch; XLA gathers a block's weights where it is computed and adds up the gradients ("fully sharded", as ZeRO's
third stage, arXiv 1910.02054). So n devices hold a model n times as large as one does, whatever its number of heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from model.errors import ConfigError

_AXIS: Final = "data"
_SMALLEST_SPLIT: Final = 1 << 16  # numbers: below, gathering an array costs more than holding it


def training_mesh(devices: Sequence[Any]) -> Mesh:
    """One axis over all devices."""
    return Mesh(np.asarray(devices), (_AXIS,))


def state_shardings(state: Any, mesh: Mesh) -> Any:
    """For each array of a tree how it lies on the devices: split along the longest axis that divides, else whole.

    Of stacked blocks, the leading axis of layers isn't split: a device computes all layers.
    """

    def one(leaf: Any) -> NamedSharding:
        axes = range(max(0, leaf.ndim - 2), leaf.ndim)
        fitting = [axis for axis in axes if leaf.shape[axis] % mesh.size == 0]
        if leaf.size < _SMALLEST_SPLIT or not fitting:
            return NamedSharding(mesh, PartitionSpec())
        longest = max(fitting, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*(_AXIS if axis == longest else None for axis in range(leaf.ndim))))

    return jax.tree.map(one, state)


def rows_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of a batch: each device has its rows."""
    return NamedSharding(mesh, PartitionSpec(_AXIS))


def check_rows(batch_rows: int, micro_batches: int, num_devices: int) -> None:
    """Raises ConfigError unless every device gets the same number of rows of each micro-batch."""
    if batch_rows % (micro_batches * num_devices):
        raise ConfigError(
            f"batches of {batch_rows} rows in {micro_batches} micro-batches can't be spread over {num_devices} "
            f"devices: they must be a multiple of {micro_batches * num_devices} rows"
        )
