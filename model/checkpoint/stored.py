"""What every checkpoint format has in common: named tensors, read in blocks, and how they map to our weights.

A format module lists a checkpoint's tensors without reading them (`StoredTensor`) and says
which of our weights each one holds (`Entry`). `check` compares the two before a byte of
weights is read. NumPy only, no JAX.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model.config import GEMMA_3_VOCABULARY, GemmaConfig
from model.errors import ConfigError
from model.storage import read_bytes

# Where a weight stands in GemmaWeights: ("embedding",), ("final_norm",) or ("blocks", 3, "q_proj").
WeightPath = tuple[str | int, ...]

# Rows of a tensor that are converted at a time: small beside any large tensor.
BLOCK_BYTES = 32 << 20

# Some layouts have rows of embedding beyond the vocabulary, with no piece to them: DeepMind's of Gemma 1 and 2 has 128,
# and that of a Gemma 3 with a vision tower has 64, as has the size of the vocabulary in its config.
_SPARE_ROWS = (128, 64)
_VOCABULARIES = (256_000, GEMMA_3_VOCABULARY)

_MOST_JSON_BYTES = 64 << 20

_LISTED = 4  # names in an error message before "and N more"


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a checkpoint, not yet read.

    Args:
        shape: As stored.
        dtype: Its element type as stored, such as `BF16` or `float32`, for messages.
        blocks: Reads it once, as consecutive slices along axis 0 of at most about `BLOCK_BYTES`.
    """

    shape: tuple[int, ...]
    dtype: str
    blocks: Callable[[], Iterator[np.ndarray]]

    def read(self) -> np.ndarray:
        """The whole tensor: never twice, as joining a list of its blocks would have it."""
        whole, at = None, 0
        for block in self.blocks():  # to the end, even where the first is all: a checksum may follow
            if at + len(block) > self.shape[0]:
                raise ConfigError(f"has more than the {self.shape[0]} rows that it states")
            if block.shape == self.shape:
                whole = block
            else:
                whole = np.empty(self.shape, block.dtype) if whole is None else whole
                whole[at : at + len(block)] = block
            at += len(block)
        if whole is None or at != self.shape[0]:
            raise ConfigError(f"has {at} rows, not the {self.shape[0]} that it states")
        return whole


@dataclass(frozen=True)
class Entry:
    """What one stored tensor holds.

    Args:
        shape: The shape that the tensor must have.
        weights: Each weight that it holds, and how to take it out of the whole tensor ([out, in] for
            matrices); None where it is the weight as it is, which is then streamed in blocks.
    """

    shape: tuple[int, ...]
    weights: Mapping[WeightPath, Callable[[np.ndarray], np.ndarray] | None]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found and listed.

    Args:
        kind: The format's name, for messages.
        source: Where it lies.
        config: The model's shapes.
        tensors: By the name that the format gives them.
        entries: What each tensor must be, by the same names.
        ignored: Names that may be there and aren't read.
    """

    kind: str
    source: str
    config: GemmaConfig
    tensors: Mapping[str, StoredTensor]
    entries: Mapping[str, Entry]
    ignored: Collection[str] = field(default=())


Layout = Callable[[GemmaConfig], dict[str, Entry]]


def rename(source: str, tensors: Mapping[str, StoredTensor], new_name: Callable[[str], str]) -> dict[str, StoredTensor]:
    """The tensors by other names. Raises ConfigError where two get one name."""
    renamed: dict[str, StoredTensor] = {}
    for name, tensor in tensors.items():
        if new_name(name) in renamed:
            raise ConfigError(f"{source} holds {new_name(name)} twice, once as {name}")
        renamed[new_name(name)] = tensor
    return renamed


def read_json(path: str) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ConfigError: There is none.
    """
    try:
        value = json.loads(read_bytes(path, max_bytes=_MOST_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path} is no JSON object")
    return value


def list_checkpoint(
    kind: str,
    source: str,
    config: GemmaConfig,
    tensors: Mapping[str, StoredTensor],
    layout: Layout,
    ignored: Collection[str] = (),
) -> Checkpoint:
    """A checkpoint whose tensors are to stand as `layout` says.

    Raises:
        ConfigError: The config states more layers than there are tensors: it isn't believed any further.
    """
    if config.num_layers > len(tensors):
        raise ConfigError(f"{source} states {config.num_layers:,} layers; it has {len(tensors):,} tensors")
    return Checkpoint(kind, source, config, tensors, layout(config), ignored)


def without_spare_rows(config: GemmaConfig, embedding_rows: int | None = None) -> GemmaConfig:
    """The config with the vocabulary's true size, where config or embedding count spare rows.

    Args:
        config: As stated.
        embedding_rows: Rows of the embedding; a published vocabulary's if None.
    """
    for rows in _VOCABULARIES if embedding_rows is None else (embedding_rows,):
        if abs(rows - config.vocab_size) in _SPARE_ROWS:
            return dataclasses.replace(config, vocab_size=min(rows, config.vocab_size))
    return config


def check(checkpoint: Checkpoint) -> None:
    """Compare every name and shape with what the config needs.

    Raises:
        ConfigError: One line that names what is missing, unexpected or of another shape.
    """
    tensors, entries = checkpoint.tensors, checkpoint.entries
    missing = [name for name in entries if name not in tensors]
    unexpected = [name for name in tensors if name not in entries and name not in checkpoint.ignored]
    off = [
        f"{name} is {list(tensors[name].shape)}, not {list(entry.shape)}"
        for name, entry in entries.items()
        if name in tensors and not _fits(tensors[name].shape, entry)
    ]
    faults = [
        f"{len(names)} {what} ({_some(names)})"
        for names, what in ((missing, "missing"), (unexpected, "unexpected"), (off, "of another shape"))
        if names
    ]
    if faults:
        raise ConfigError(
            f"{checkpoint.source} ({checkpoint.kind}) doesn't hold the Gemma model that its config states: "
            f"of {len(entries)} tensors {'; '.join(faults)}"
        )


def is_embedding(entry: Entry) -> bool:
    """Whether the tensor is the embedding alone: its spare rows are dropped on load."""
    return set(entry.weights) == {("embedding",)}


def _fits(shape: tuple[int, ...], entry: Entry) -> bool:
    if is_embedding(entry) and len(shape) == 2:
        return shape[1] == entry.shape[1] and shape[0] - entry.shape[0] in (0, *_SPARE_ROWS)
    return shape == entry.shape


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def array_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Slices along axis 0 of an array (or a memory map) of about `BLOCK_BYTES` each."""
    if array.ndim == 0 or array.nbytes <= BLOCK_BYTES:
        yield array
        return
    rows = rows_per_block(array.shape, array.itemsize)
    for begin in range(0, array.shape[0], rows):
        yield array[begin : begin + rows]


def rows_per_block(shape: Sequence[int], itemsize: float) -> int:
    """How many rows of a tensor make a block: at least one."""
    return max(1, int(BLOCK_BYTES // max(1.0, np.prod(shape[1:], dtype=np.float64) * itemsize)))
