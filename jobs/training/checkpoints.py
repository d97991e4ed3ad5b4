"""Checkpoints of a training run: everything needed to resume it, in one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

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
    write_whole(path, save(arrays, metadata={"epoch": str(place.epoch), "row": str(place.row)}))
    for old in sorted(folder.glob("*.safetensors"))[:-KEPT_CHECKPOINTS]:
        old.unlink()
    return path


def load_checkpoint(path: Path, shapes: TrainState) -> tuple[TrainState, Place]:
    """Reads a checkpoint back.

    Args:
        path: The file.
        shapes: The shapes that the state must have.

    Raises:
        ConfigError: The file is damaged, or its shapes differ from those of the options.
    """
    wanted = [(jax.tree_util.keystr(where), leaf) for where, leaf in jax.tree_util.tree_flatten_with_path(shapes)[0]]
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata(), set(file.keys())
            arrays = [file.get_tensor(name) if name in names else None for name, _ in wanted]
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"{path} is not a readable checkpoint ({error}); remove it to continue from the previous one"
        ) from None
    for (name, leaf), array in zip(wanted, arrays, strict=True):
        if array is None or array.shape != leaf.shape:
            found = "absent" if array is None else f"of shape {array.shape}"
            raise ConfigError(
                f"{path}: {name} is {found}, the options specify {leaf.shape}; use the shapes of that run"
            )
    state = jax.tree.unflatten(jax.tree.structure(shapes), [jax.numpy.asarray(array) for array in arrays])
    return state, Place(int(metadata["epoch"]), int(metadata["row"]))


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in a folder, or None."""
    return max(folder.glob("*.safetensors"), default=None)
