"""Checkpoints in every form that CodeGemma is published in, read onto devices; one form written.

    huggingface.py   config.json + safetensors          read, written
    kaggle_flax.py   Orbax of DeepMind's flat names      read
    keras.py         KerasHub's .weights.h5              read
    gguf_file.py     llama.cpp's GGUF                    read
    npz.py           .npz of DeepMind's flat names       read

`formats.py` lists them, and is where one is added; `detection.py` tells them apart, `stored.py` checks every name and
shape before weights are read, `placement.py` streams tensor by tensor onto the devices. No pickle is ever read, and
nothing that a file says of itself is believed before it is compared with what the file holds: a damaged checkpoint is
a `ConfigError` of one line. Finding, checking and hashing start no JAX, so a driver without devices can refuse one.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any, Literal

from model.checkpoint.detection import checkpoint_hash, find
from model.checkpoint.huggingface import entries
from model.checkpoint.huggingface_config import config_to_json
from model.checkpoint.stored import WeightPath
from model.config import GemmaConfig
from model.errors import ConfigError
from model.storage import filesystem, join

if TYPE_CHECKING:
    import jax
    import numpy as np

    from model.gemma import Gemma
    from model.layers import GemmaWeights

__all__ = ["checkpoint_hash", "load", "read_config", "save"]

_SHARD_BYTES = 5 << 30  # files of a saved checkpoint, as transformers splits them


def read_config(path: str | os.PathLike[str]) -> GemmaConfig:
    """The shapes of the checkpoint at a path, every name and shape checked, no weights read, no JAX started.

    Raises:
        ConfigError: One line that says what is off.
    """
    return find(path).config


def load(
    path: str | os.PathLike[str],
    *,
    dtype: Any = None,
    mesh: jax.sharding.Mesh | None = None,
    layout: Literal["unrolled", "scanned"] = "unrolled",
    quantize: Literal["int8"] | None = None,
) -> Gemma:
    """Load a Gemma model, tensor by tensor onto its devices.

    Args:
        path: A folder or file, local or a URL such as `gs://...`, in any of the forms above; or
            "embedded", the small model that ships with the package.
        dtype: Type of weights and computation; float32 on CPU and bfloat16 elsewhere if None.
        mesh: Devices to spread the weights over (`model.sharding.make_mesh`); one device if None.
        layout: `unrolled` blocks, or `scanned`: stacked along a leading axis.
        quantize: `int8` converts matrices to 8 bits as they are read.

    Raises:
        ConfigError: One line: what was found and what is accepted, or which names and shapes are off.
    """
    import jax
    import jax.numpy as jnp

    from model.checkpoint.placement import place
    from model.gemma import Gemma

    if layout not in ("unrolled", "scanned") or quantize not in (None, "int8"):
        raise ConfigError(f"layout={layout!r}, quantize={quantize!r}; accepted: unrolled, scanned; int8 or None")
    if dtype is None:
        platform = (mesh.devices.flat[0] if mesh else jax.devices()[0]).platform
        dtype = jnp.float32 if platform == "cpu" else jnp.bfloat16
    checkpoint = find(path)
    if layout == "scanned" and checkpoint.config.window is not None:
        raise ConfigError("layers with and without a window can't be stacked; load them unrolled")
    weights = place(checkpoint, dtype=dtype, mesh=mesh, layout=layout, int8=quantize == "int8")
    return Gemma(checkpoint.config, dtype=dtype, weights=weights)


def save(gemma: Gemma, path: str | os.PathLike[str], *, dtype: Any = None) -> None:
    """Write a model in the Hugging Face layout: `config.json`, one safetensors file or several with an index.

    Files appear under their names only when complete. The vocabulary isn't part of the
    weights: copy `tokenizer.model` beside them.

    Args:
        gemma: The model; not one in 8 bits.
        path: A folder, local or a URL; made if absent, files of the same names replaced.
        dtype: Type to store; the weights' own if None.
    """
    import ml_dtypes  # noqa: F401 - lets NumPy know "bfloat16" by name
    import numpy as np

    files, folder = filesystem(path)
    files.makedirs(folder, exist_ok=True)
    weights = gemma.arrays()
    stored = np.dtype(weights.final_norm.dtype if dtype is None else dtype)
    shards = _split(gemma.config, stored.itemsize)
    homes = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors" if len(shards) > 1 else "model.safetensors"
        arrays = {key: np.asarray(_weight(weights, place)).astype(stored, copy=False) for key, place in shard.items()}
        _write(files, join(folder, name), _safetensors(arrays))
        homes.update(dict.fromkeys(shard, name))
    if len(shards) > 1:
        total = gemma.config.num_parameters * stored.itemsize
        index = {"metadata": {"total_size": total}, "weight_map": homes}
        _write(files, join(folder, "model.safetensors.index.json"), json.dumps(index, indent=1).encode())
    _write(files, join(folder, "config.json"), json.dumps(config_to_json(gemma.config, stored.name), indent=1).encode())


def _split(config: GemmaConfig, itemsize: int) -> list[dict[str, WeightPath]]:
    """Tensor names and where their weights stand, in groups of at most `_SHARD_BYTES`."""
    shards: list[dict[str, WeightPath]] = [{}]
    filled = 0
    for name, entry in entries(config).items():
        size = math.prod(entry.shape) * itemsize
        if shards[-1] and filled + size > _SHARD_BYTES:
            shards.append({})
            filled = 0
        (shards[-1][name],) = entry.weights
        filled += size
    return shards


def _weight(weights: GemmaWeights, place: WeightPath) -> jax.Array:
    from model.layers import BlockWeights, Int8Matrix

    if place[0] != "blocks":
        found = getattr(weights, str(place[0]))
    elif isinstance(weights.blocks, BlockWeights):
        found = getattr(weights.blocks, str(place[2]))[place[1]]
    else:
        found = getattr(weights.blocks[int(place[1])], str(place[2]))
    if isinstance(found, Int8Matrix):
        raise ConfigError("a model in 8 bits can't be saved; load it without quantize")
    return found


def _safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    return save(arrays, metadata={"format": "pt"})  # transformers refuses a file that doesn't say so


def _write(files: Any, path: str, content: bytes) -> None:
    """Write a file that appears only when complete: renamed on a disk, one upload in a bucket."""
    if "file" not in files.protocol:
        files.pipe_file(path, content)
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    files.pipe_file(temporary, content)
    os.replace(temporary, path)
