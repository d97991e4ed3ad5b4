"""The loss on rows that aren't trained on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from jobs.training.data import Place, Source, batches
from jobs.training.start import Start
from model.errors import ConfigError
from model.training.adapters import adapted
from model.training.placement import rows_sharding
from model.training.step import Rows, TrainingConfig, TrainState, weighted_loss


def held_out_loss(
    source: Source, start: Start, training: TrainingConfig, *, batch_rows: int, num_batches: int, dtype: Any
) -> Callable[[TrainState], float]:
    """A function from a state to nats per weighted token, over the same batches each time.

    Args:
        source: The held-out rows.
        start: The model's shapes, its frozen weights and the devices.
        training: The training configuration.
        batch_rows: Rows of a batch.
        num_batches: Batches that are read, and kept in memory; fewer if there are fewer.
        dtype: Compute dtype.

    Raises:
        ConfigError: There are fewer rows than one batch has.
    """
    found = batches(source, batch_rows, Place(0, 0))
    first_epoch = itertools.takewhile(lambda pair: pair[1].epoch == 0, itertools.islice(found, num_batches))
    kept = [rows for rows, _ in first_epoch]
    found.close()  # type: ignore[attr-defined]
    if not kept:
        raise ConfigError(f"--eval_input has fewer rows than a batch, {batch_rows}; add some, or lower --batch_rows")
    mesh = start.mesh

    def total(trained: Any, rows: Rows, frozen: Any) -> Any:
        weights = trained if frozen is None else adapted(frozen, trained, training.adapter_scale)
        return weighted_loss(weights, rows, start.config, dtype=dtype, num_devices=mesh.size if mesh else 1)

    compute = jax.jit(total)
    place: Any = partial(jax.device_put, device=rows_sharding(mesh)) if mesh else lambda rows: rows

    def measure(state: TrainState) -> float:
        sums = [compute(state.weights, place(rows), start.frozen) for rows in kept]
        return sum(float(loss) for loss, _ in sums) / sum(float(weight) for _, weight in sums)

    return measure
