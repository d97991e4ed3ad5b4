"""The loss on rows that aren't trained on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import jax

from jobs.training.data import Place, Source, batches
from jobs.training.start import Start, compute_dtype, product_dtype
from model.errors import ConfigError
from model.training.adapters import adapted
from model.training.placement import rows_sharding
from model.training.step import Rows, TrainingConfig, TrainState, weighted_loss

if TYPE_CHECKING:
    from jobs.options.train import TrainOptions as Options


def held_out_loss(
    source: Source, start: Start, training: TrainingConfig, options: Options
) -> Callable[[TrainState], float]:
    """A function from a state to nats per weighted token, over the same batches each time.

    Args:
        source: The held-out rows.
        start: The model's shapes, its frozen weights and the devices.
        training: The training configuration.
        options: Name the rows of a batch, the parts in which it is computed, as in training, to limit memory, and how
            many batches are read, and kept in memory; fewer if there are fewer.

    Raises:
        ConfigError: There are fewer rows than one part has.
    """
    part = options.batch_rows // options.micro_batches
    found = batches(source, part, Place(0, 0), "--eval_input")
    wanted = itertools.islice(found, options.eval_batches * options.micro_batches)
    first_epoch = itertools.takewhile(lambda pair: pair[1].epoch == 0, wanted)
    kept = [rows for rows, _ in first_epoch]
    found.close()  # type: ignore[attr-defined]
    if not kept:
        raise ConfigError(
            f"--eval_input has fewer than {part} rows, which are computed at once (--batch_rows / --micro_batches); "
            "add some, or raise --micro_batches"
        )
    mesh = start.mesh
    dtypes = {"dtype": compute_dtype(options.dtype), "products": product_dtype(options.dtype)}

    def total(trained: Any, rows: Rows, frozen: Any) -> Any:
        weights = trained if frozen is None else adapted(frozen, trained, training.adapter_scale)
        return weighted_loss(weights, rows, start.config, **dtypes, num_devices=mesh.size if mesh else 1)

    compute = jax.jit(total)
    place: Any = partial(jax.device_put, device=rows_sharding(mesh)) if mesh else lambda rows: rows

    def measure(state: TrainState) -> float:
        sums = [compute(state.weights, place(rows), start.frozen) for rows in kept]
        return sum(float(loss) for loss, _ in sums) / sum(float(weight) for _, weight in sums)

    return measure
