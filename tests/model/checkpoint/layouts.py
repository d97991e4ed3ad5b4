"""Every layout of weights, each with what writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import orbax.checkpoint as ocp

import model
from model.gemma import Gemma
from tests.model.checkpoint.written import kaggle_tree, write_gguf, write_keras


def _as_npz(path: Path, weights: Any, config: Any) -> None:
    tree = kaggle_tree(config, weights)
    np.savez(path / "model.npz", **{f"{at}/{name}": one for at, arrays in tree.items() for name, one in arrays.items()})


LAYOUTS: dict[str, Callable[[Path, Any, Any], object]] = {
    "Hugging Face": lambda path, weights, config: model.save(Gemma(config, weights=weights), path),
    "Orbax": lambda path, weights, config: ocp.PyTreeCheckpointer().save(path / "2b", kaggle_tree(config, weights)),
    "npz": _as_npz,
    "Keras": lambda path, weights, config: write_keras(path / "model.weights.h5", weights, config),
    "GGUF": lambda path, weights, config: write_gguf(
        path / "model.gguf", weights, config, gguf.GGMLQuantizationType.F32
    ),
}
"""Writers into a folder, of weights and their config."""
