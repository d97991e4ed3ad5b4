"""From stored tensors to weights on devices, one tensor at a time, in their final type.

A tensor is read in blocks of 32 MB, each converted into one host buffer of the final type, which
is then put on the devices as its sharding says. Nothing but that buffer and one block is held
on the host; on a CPU the buffer *is* the result. So peak host memory is the largest tensor in
its final type, plus a block, plus what the devices hold if they are the host.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, Sharding, SingleDeviceSharding

from model.checkpoint.stored import Checkpoint, Entry, StoredTensor, WeightPath, array_blocks
from model.errors import ConfigError, reading
from model.gemma import weight_tree
from model.layers import BlockWeights, GemmaWeights, Int8Matrix
from model.quantize import quantize_rows
from model.sharding import row_sharding, stacked_sharding, weight_sharding
from model.weights import WEIGHT_AXES

Layout = Literal["unrolled", "scanned"]

_CHECKED_AT_ONCE = 1 << 18  # numbers: what was just written is still in the processor's cache

# Types of 16 bits, which NumPy tests slowly: without the sign, all bits of the exponent are infinity, and more is NaN.
_INFINITE_BITS = {"bfloat16": 0x7F80, "float16": 0x7C00}
_WITHOUT_SIGN = np.uint16(0x7FFF)

_ALIGNMENT = 64  # bytes; XLA's CPU client takes a host buffer over without a copy if it begins at a multiple


def place(checkpoint: Checkpoint, *, dtype: Any, mesh: Mesh | None, layout: Layout, int8: bool) -> GemmaWeights:
    """Read a checkpoint that was checked.

    Args:
        checkpoint: What to read.
        dtype: Final type of the weights (of the norms alone, with `int8`).
        mesh: Devices to spread them over; the default device if None.
        layout: A tuple of blocks, or blocks stacked along a leading axis.
        int8: Convert matrices to 8 bits as they are read.

    Raises:
        ConfigError: A tensor's data are damaged, or hold a number that isn't finite.
    """
    config = checkpoint.config
    placed: dict[WeightPath, Any] = {}
    for path, host in _all_host_weights(checkpoint, np.dtype(dtype), int8):
        leaf = str(path[-1])
        sharding = weight_sharding(leaf, config, mesh) if mesh else SingleDeviceSharding(jax.devices()[0])
        if layout == "scanned" and path[0] == "blocks":
            stack = placed.get(("blocks", leaf))
            placed["blocks", leaf] = _insert(stack, host, int(path[1]), config.num_layers, sharding)
        else:
            placed[path] = _map(lambda array, at: jax.device_put(array, at), host, sharding)
    if layout == "unrolled":
        return weight_tree(lambda name, layer: placed[(name,) if layer is None else ("blocks", layer, name)], config)
    blocks = BlockWeights(**{str(path[-1]): value for path, value in placed.items() if path[0] == "blocks"})
    return GemmaWeights(embedding=placed[("embedding",)], blocks=blocks, final_norm=placed[("final_norm",)])


HostWeight = np.ndarray | Int8Matrix


def _all_host_weights(checkpoint: Checkpoint, dtype: np.dtype, int8: bool) -> Iterator[tuple[WeightPath, HostWeight]]:
    for name, entry in checkpoint.entries.items():
        weights = _host_weights(checkpoint.tensors[name], entry, dtype, int8)
        while True:  # what reads the file is guarded, and not what the devices do with it in between
            with reading(checkpoint.source, checkpoint.kind, at=name):
                weight = next(weights, None)
            if weight is None:
                break
            yield weight


def _host_weights(
    tensor: StoredTensor, entry: Entry, dtype: np.dtype, int8: bool
) -> Iterator[tuple[WeightPath, HostWeight]]:
    """Each weight that a stored tensor holds, in its final type, in a buffer of its own."""
    whole = None
    for path, take in entry.weights.items():
        if take is None:
            shape, blocks = entry.shape, tensor.blocks()
        else:
            whole = tensor.read() if whole is None else whole
            part = take(whole)
            shape, blocks = part.shape, array_blocks(part)
        is_matrix = len(WEIGHT_AXES[str(path[-1])]) == 2
        yield path, _fill_int8(shape, blocks) if int8 and is_matrix else _fill(shape, blocks, dtype)


def _fill(shape: tuple[int, ...], blocks: Iterator[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Blocks converted into one buffer; rows beyond `shape` are spare and dropped."""
    first = next(blocks)
    if first.shape == shape and first.dtype == dtype:
        _check_finite(first)
        for _ in blocks:  # nothing follows, but a checksum may
            pass
        return first  # came whole and as wanted: no second copy
    out, at = _aligned(shape, dtype), 0
    for block in itertools.chain([first], blocks):
        count = min(len(block), shape[0] - at)
        out[at : at + count] = block[:count]
        _check_finite(out[at : at + count])
        at += count
    _check_rows(at, shape)
    return out


def _fill_int8(shape: tuple[int, ...], blocks: Iterator[np.ndarray]) -> Int8Matrix:
    values, scale, at = _aligned(shape, np.dtype(np.int8)), _aligned(shape[:1], np.dtype(np.float32)), 0
    for block in blocks:
        step = -(-len(block) // 16)  # rounding holds several copies of what it rounds
        for begin in range(0, min(len(block), shape[0] - at), step):
            rows = block[begin : begin + min(step, shape[0] - at)]
            with np.errstate(invalid="ignore"):  # refused below
                values[at : at + len(rows)], scale[at : at + len(rows)] = quantize_rows(rows)
            at += len(rows)
    _check_rows(at, shape)
    _check_finite(scale)  # a row's scale is its largest number's: finite if they all are
    return Int8Matrix(values=values, scale=scale)  # type: ignore[arg-type]  # still on the host


def _check_rows(count: int, shape: tuple[int, ...]) -> None:
    if count != shape[0]:
        raise ConfigError(f"has {count} rows of numbers, not {shape[0]}")


def _check_finite(array: np.ndarray) -> None:
    """Raises ConfigError for infinities and what is no number; about a tenth of what reading costs."""
    flat = array.reshape(-1)
    for begin in range(0, flat.size, _CHECKED_AT_ONCE):
        if not _is_finite(flat[begin : begin + _CHECKED_AT_ONCE]):
            raise ConfigError(f"holds numbers that aren't finite in {array.dtype}; copy it again")


def _is_finite(numbers: np.ndarray) -> bool:
    infinity = _INFINITE_BITS.get(numbers.dtype.name)
    if infinity is None:
        return bool(np.isfinite(numbers).all())
    return int((numbers.view(np.uint16) & _WITHOUT_SIGN).max()) < infinity


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % _ALIGNMENT
    return raw[begin : begin + size].view(dtype).reshape(shape)


def _insert(stack: Any, host: Any, layer: int, num_layers: int, sharding: Sharding) -> Any:
    """Write one block's weight into its place of the stack on the devices, without a second stack."""

    def empty(array: np.ndarray, at: Sharding) -> jax.Array:
        spread = stacked_sharding(at) if isinstance(at, NamedSharding) else at
        return jax.jit(lambda: jnp.zeros((num_layers, *array.shape), array.dtype), out_shardings=spread)()

    stack = _map(empty, host, sharding) if stack is None else stack
    arrays = _map(lambda array, at: jax.device_put(array, at), host, sharding)
    return jax.tree.map(lambda whole, part: _write(whole, part, layer), stack, arrays)


def _write_layer(stack: jax.Array, part: jax.Array, layer: jax.Array) -> jax.Array:
    return jax.lax.dynamic_update_index_in_dim(stack, part, layer, axis=0)


_write = jax.jit(_write_layer, donate_argnums=0)


def _map(function: Any, host: np.ndarray | Int8Matrix, sharding: Sharding) -> Any:
    """Apply to a plain weight, or to the two arrays of an 8-bit one, each with its sharding."""
    if not isinstance(host, Int8Matrix):
        return function(host, sharding)
    rows = row_sharding(sharding) if isinstance(sharding, NamedSharding) else sharding
    return Int8Matrix(values=function(host.values, sharding), scale=function(host.scale, rows))
