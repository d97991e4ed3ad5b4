"""Checkpoints of a training run: everything needed to resume it, in one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jobs.storage.folders import COMPLETED
from jobs.training.data import Place
from model.errors import ConfigError
from model.training.step import TrainState

KEPT_CHECKPOINTS: Final = 2


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file atomically: it appears under its name only when it is complete."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def save_checkpoint(folder: Path, state: TrainState, place: Place) -> Path:
    """Writes a checkpoint; removes all but the last `KEPT_CHECKPOINTS`."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    arrays = {jax.tree_util.keystr(path): np.array(jax.device_get(leaf), order="C") for path, leaf in leaves}
    path = folder / f"{int(state.step):010d}.safetensors"
    for torn in folder.glob("*.tmp"):  # of a run that was killed while it wrote
        torn.unlink()
    # Not in memory once more: weights and moments of 2 billion parameters are 30 GB.
    temporary = path.with_name(path.name + ".tmp")
    save_file(arrays, temporary, metadata={"epoch": str(place.epoch), "row": str(place.row)})
    temporary.replace(path)
    for old in sorted(folder.glob("*.safetensors"))[:-KEPT_CHECKPOINTS]:
        old.unlink()
    return path


def load_checkpoint(path: Path, shapes: TrainState, shardings: Any = None) -> tuple[TrainState, Place]:
    """Reads a checkpoint back, array by array onto the devices.

    Args:
        path: The file.
        shapes: The shapes that the state must have.
        shardings: How each array lies on the devices; None for one device.

    Raises:
        ConfigError: The file is damaged, or its shapes differ from those of the options.
    """
    wanted = [(jax.tree_util.keystr(where), leaf) for where, leaf in jax.tree_util.tree_flatten_with_path(shapes)[0]]
    places = jax.tree.leaves(shardings) if shardings else [None] * len(wanted)
    arrays = []
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata(), set(file.keys())
            for (name, leaf), at in zip(wanted, places, strict=True):
                array = file.get_tensor(name) if name in names else None
                if array is None or array.shape != leaf.shape:
                    found = "absent" if array is None else f"of shape {array.shape}"
                    raise ConfigError(
                        f"{path}: {name} is {found}, the options specify {leaf.shape}; use the shapes of that run"
                    )
                arrays.append(jax.device_put(array, at) if at else jax.numpy.asarray(array))
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"{path} is not a readable checkpoint ({error}); remove it to continue from the previous one"
        ) from None
    state = jax.tree.unflatten(jax.tree.structure(shapes), arrays)
    return state, Place(int(metadata["epoch"]), int(metadata["row"]))


def has_begun(run: Path) -> bool:
    """Whether a run has a checkpoint, or is complete; those of a complete run may have been removed."""
    return last_checkpoint(run / "checkpoints") is not None or (run / COMPLETED).exists()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in a folder, or None."""
    return max(folder.glob("*.safetensors"), default=None)
