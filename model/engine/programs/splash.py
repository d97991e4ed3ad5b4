"""Prefill attention by JAX's splash kernel (Pallas): TPUs.

The kernel runs an online softmax over blocks of 512 x 512 and skips those in which nothing is visible, so no scores
ever stand in the chip's main memory. Its mask may be an array made at run time: that of
`model.engine.programs.rows`, the same for all heads, with the rule of shared beginnings. XLA can't split a kernel
over a mesh by itself, so there each device runs it over its own heads.

For a row of 4,096 tokens on a v5e, 8 heads and 1 key head, the compiler schedules 2,181 instruction bundles for a
block and head, where the matrix unit alone takes 2,048 cycles; one long prompt is 36 blocks, packed ones fewer.
`docs/benchmarks.md` has it beside `einsum`. Cost: FlashAttention-2's (arXiv 2307.08691) on visible blocks.
"""

from __future__ import annotations

import math

import jax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float

from model.engine.programs.rows import RowAttention

BLOCK = 512
_LANES = 128  # blocks are multiples of it


def fits(length: int) -> bool:
    """Whether a row can be cut into blocks."""
    return math.gcd(length, BLOCK) % _LANES == 0


def splash(
    query: Float[Array, "1 length heads head_dim"],
    key: Float[Array, "1 kv_heads length head_dim"],
    value: Float[Array, "1 kv_heads length head_dim"],
    mask: Bool[Array, "length length"],
    *,
    interpret: bool = False,
) -> Float[Array, "1 length heads head_dim"]:
    """What one device's heads read of a row.

    Args:
        query: Rotated and scaled.
        key: Rotated.
        value: Values.
        mask: Which token (first axis) sees which; each at least one.
        interpret: Run the kernel in Pallas's interpreter, on any platform.
    """
    from jax.experimental.pallas.ops.tpu import splash_attention

    block = math.gcd(query.shape[1], BLOCK)
    sizes = splash_attention.BlockSizes(block_q=block, block_kv=block, block_kv_compute=block)
    kernel = splash_attention.make_splash_mha(
        mask[None], block_sizes=sizes, head_shards=1, q_seq_shards=1, interpret=interpret
    )
    # Under jit the library (JAX 0.10.2) makes an array of this flag, which it then asks for its truth.
    kernel.fwd_mask_info = kernel.fwd_mask_info._replace(is_dynamic_mask=True)
    return kernel(query[0].swapaxes(0, 1), key[0], value[0]).swapaxes(0, 1)[None]


def over_heads(attend: RowAttention, mesh: Mesh, num_kv_heads: int) -> RowAttention:
    """`attend` on each device of a mesh's `model` axis over its share of the heads.

    Args:
        attend: What one device runs.
        mesh: The devices; nothing is split over its other axes.
        num_kv_heads: Where they can't be split evenly each device has all of them (which takes a single one).
    """
    heads = PartitionSpec(None, None, "model")
    kv_heads = PartitionSpec(None, "model") if num_kv_heads % mesh.shape["model"] == 0 else PartitionSpec()
    return jax.shard_map(
        attend,
        mesh=mesh,
        in_specs=(heads, kv_heads, kv_heads, PartitionSpec()),
        out_specs=heads,
        check_vma=False,  # the kernel's outputs don't say over what they vary
    )
