"""Prefill attention with JAX's splash kernel (Pallas), for TPUs.

The kernel runs an online softmax over blocks of 512 x 512 and skips those that are fully masked, so scores are never
written to the chip's main memory. Its mask may be an array computed at run time: the one of
`model.engine.programs.rows`, equal for all heads, with the rules of shared prefixes and windows. XLA can't partition a
kernel over a mesh, so each device runs it over its own heads.

For a row of 4,096 tokens on a v5e, 8 heads and 1 key head, the compiler schedules 2,181 instruction bundles per
block and head, where the matrix unit alone takes 2,048 cycles. A single long prompt takes 36 blocks, several prompts
in the row fewer. `docs/benchmarks.md` compares it with `einsum`. Cost: FlashAttention-2's (arXiv 2307.08691) on
visible blocks.
"""

from __future__ import annotations

import math

import jax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float

from model.engine.programs.rows import RowAttention

BLOCK = 512
_LANES = 128  # block sizes are multiples of it


def fits(length: int) -> bool:
    """Whether a row can be divided into blocks."""
    return math.gcd(length, BLOCK) % _LANES == 0


def splash(
    query: Float[Array, "1 length heads head_dim"],
    key: Float[Array, "1 kv_heads length head_dim"],
    value: Float[Array, "1 kv_heads length head_dim"],
    mask: Bool[Array, "length length"],
    *,
    cap: float | None = None,
    interpret: bool = False,
) -> Float[Array, "1 length heads head_dim"]:
    """Attention output of one device's heads over a row.

    Args:
        query: Rotated and scaled.
        key: Rotated.
        value: Values.
        mask: Which token (first axis) attends to which; each to at least one.
        cap: Scores are softly capped at it (`model.layers.soft_cap`).
        interpret: Run the kernel in Pallas's interpreter, on any platform.
    """
    from jax.experimental.pallas.ops.tpu import splash_attention

    block = math.gcd(query.shape[1], BLOCK)
    sizes = splash_attention.BlockSizes(block_q=block, block_kv=block, block_kv_compute=block)
    kernel = splash_attention.make_splash_mha(
        mask[None],
        block_sizes=sizes,
        head_shards=1,
        q_seq_shards=1,
        attn_logits_soft_cap=cap,
        interpret=interpret,
    )
    # Under jit, the library (JAX 0.10.2) turns this flag into an array and then evaluates it as a boolean.
    kernel.fwd_mask_info = kernel.fwd_mask_info._replace(is_dynamic_mask=True)
    return kernel(query[0].swapaxes(0, 1), key[0], value[0]).swapaxes(0, 1)[None]


def over_heads(attend: RowAttention, mesh: Mesh, num_kv_heads: int) -> RowAttention:
    """`attend` on each device of a mesh's `model` axis, over its share of the heads.

    Args:
        attend: The function that one device runs.
        mesh: The devices; nothing is split over its other axes.
        num_kv_heads: If they can't be split evenly, each device has all of them (this requires a single one).
    """
    heads = PartitionSpec(None, None, "model")
    kv_heads = PartitionSpec(None, "model") if num_kv_heads % mesh.shape["model"] == 0 else PartitionSpec()
    return jax.shard_map(
        attend,
        mesh=mesh,
        in_specs=(heads, kv_heads, kv_heads, PartitionSpec()),
        out_specs=heads,
        check_vma=False,  # the kernel's outputs don't declare the mesh axes over which they vary
    )
