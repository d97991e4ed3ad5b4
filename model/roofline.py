"""The roofline: lower bounds (floors) of time from bytes, operations and published peaks. Doesn't import JAX.

    decode step    = max(bytes / bandwidth, FLOPs / peak);  bytes = all weights once + each slot's keys and values once
    prefill        = tokens * FLOPs per token / peak, or one read of the weights per row, whichever is longer
    slots          = memory for caches / bytes of one slot's caches

In layers with a window, a token reads and attends to the window's positions at most, and a slot's prompt takes no more.

A floor is not a prediction: real programs reach only a share of the peaks, and a printed range is the floor divided by
stated, assumed shares. With `chips` > 1, one model is split over them: bytes and operations are divided evenly and
communication is free, so the result is still a floor.
Source of the method: Williams, Waterman, Patterson, "Roofline" (CACM 52(4), 2009); of the operation counts:
"Scaling Laws for Neural Language Models" (arXiv 2001.08361), section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.config import GemmaConfig
from model.errors import ConfigError

Storage = Literal["float32", "bfloat16", "int8"]
WIDTHS: dict[Storage, int] = {"float32": 4, "bfloat16": 2, "int8": 1}

# Share of the memory left by the weights that caches take, here and in the engine; the rest is for rows that wait for
# a slot, activations and temporaries.
CACHE_SHARE = 0.7
# The engine prefills prompts in rows of about this many tokens, and reads the weights once per row.
ROW_TOKENS = 4096
GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Device:
    """One chip's published peaks.

    Args:
        name: Name on the command line.
        title: Display name.
        peak_flops: Dense matrix operations per second in the compute dtype; a multiply-add counts as two.
        bandwidth: Bytes per second from its memory.
        memory_bytes: Memory that programs can use.
        compute: The compute dtype that the peak applies to.
        source: Source of the numbers.
    """

    name: str
    title: str
    peak_flops: float
    bandwidth: float
    memory_bytes: int
    compute: Storage
    source: str


_TPU_DOCS = "cloud.google.com/tpu/docs"
_HBM_LIMIT = "memory: the TPU compiler's limit for one program"
DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device(
            name="v5e",
            title="TPU v5e",
            peak_flops=197e12,
            bandwidth=819e9,
            memory_bytes=int(15.75 * GIB),
            compute="bfloat16",
            source=f"{_TPU_DOCS}/v5e; {_HBM_LIMIT}",
        ),
        Device(
            name="v6e",
            title="TPU v6e",
            peak_flops=918e12,
            bandwidth=1640e9,
            memory_bytes=int(31.25 * GIB),
            compute="bfloat16",
            source=f"{_TPU_DOCS}/v6e; {_HBM_LIMIT}",
        ),
        Device(
            name="v5p",
            title="TPU v5p",
            peak_flops=459e12,
            bandwidth=2765e9,
            memory_bytes=95 * 10**9,
            compute="bfloat16",
            source=f"{_TPU_DOCS}/v5p",
        ),
        Device(
            name="h100",
            title="H100 SXM",
            peak_flops=989e12,
            bandwidth=3350e9,
            memory_bytes=80 * 10**9,
            compute="bfloat16",
            source="NVIDIA H100 data sheet, SXM, without sparsity",
        ),
        Device(
            name="h200",
            title="H200 SXM",
            peak_flops=989e12,
            bandwidth=4800e9,
            memory_bytes=141 * 10**9,
            compute="bfloat16",
            source="NVIDIA H200 data sheet, SXM, without sparsity",
        ),
        Device(
            name="cpu",
            title="32-core CPU",
            # 32 cores * 2 AVX-512 units * 16 lanes * 2 * 2.6 GHz; 8 channels of DDR4-3200.
            peak_flops=5.3e12,
            bandwidth=204.8e9,
            memory_bytes=128 * 10**9,
            compute="float32",
            source="Intel Xeon Platinum 8358 (ark.intel.com), one socket, base clock; 128 GB is an assumption",
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A model as stored on the device: its shapes, and the dtypes of weights and caches."""

    config: GemmaConfig
    weights: Storage = "bfloat16"
    cache: Storage = "bfloat16"

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights.

        >>> from model.config import PRESETS
        >>> round(Shape(config=PRESETS["codegemma-2b"]).weight_bytes / GIB, 2)
        4.67
        """
        return self.config.num_parameters * WIDTHS[self.weights]

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of one token's keys and values in all layers.

        >>> from model.config import PRESETS
        >>> Shape(config=PRESETS["codegemma-7b"]).cache_bytes_per_token // 1024
        448
        """
        config = self.config
        return 2 * config.num_layers * config.num_kv_heads * config.head_dim * WIDTHS[self.cache]

    def cache_bytes(self, positions: float, new_positions: float = 0.0) -> float:
        """Bytes of the keys and values of a sequence, as far as layers with a window hold them.

        Args:
            positions: Positions of which those layers hold their window.
            new_positions: Positions behind these that all layers hold: an engine's generation cache.

        >>> from model.config import PRESETS
        >>> small = Shape(config=PRESETS["gemma-3-1b"])
        >>> round(small.cache_bytes(32_768) / (32_768 * small.cache_bytes_per_token), 3)
        0.167
        """
        held = self._held(positions) + self.config.num_layers * new_positions
        return held * self.cache_bytes_per_token / self.config.num_layers

    def _held(self, positions: float) -> float:
        """The positions that all layers together hold of so many."""
        return sum(positions if window is None else min(positions, window) for window in self.config.windows)

    @property
    def block_parameters(self) -> int:
        """Number of weights of all blocks' matrices: those that prefill multiplies a token with, since it computes no
        logits.
        """
        config = self.config
        attention = config.head_dim * (2 * config.num_heads + 2 * config.num_kv_heads)
        return config.num_layers * config.d_model * (attention + 3 * config.d_ff)

    def prefill_flops_per_token(self, prompt_tokens: float) -> float:
        """Operations per prompt token, which attends to half of its prompt on average, or to less with a window."""

        def mean(window: int | None) -> float:
            beyond = 0.0 if window is None else max(0.0, prompt_tokens - window)
            return (prompt_tokens**2 - beyond**2) / (2 * prompt_tokens)

        return 2 * self.block_parameters + self._attention_flops(sum(map(mean, self.config.windows)))

    def decode_flops_per_token(self, context: float) -> float:
        """Operations per generated token that attends to `context` tokens, including the logits."""
        logits = self.config.vocab_size * self.config.d_model
        return 2 * (self.block_parameters + logits) + self._attention_flops(self._held(context))

    def _attention_flops(self, seen: float) -> float:
        """Operations of one token that attends to so many positions of all layers together."""
        return 4 * self.config.num_heads * self.config.head_dim * seen


def decode_step_s(shape: Shape, device: Device, *, slots: int, context: float, chips: int = 1) -> float:
    """Minimum seconds of one decode step of `slots` requests, each of which attends to `context` tokens.

    >>> from model.config import PRESETS
    >>> shape, v5e = Shape(config=PRESETS["codegemma-2b"]), DEVICES["v5e"]
    >>> round(64 / decode_step_s(shape, v5e, slots=64, context=1280))
    8036
    """
    num_bytes = shape.weight_bytes + slots * shape.cache_bytes(context)
    flops = slots * shape.decode_flops_per_token(context)
    return max(num_bytes / device.bandwidth, flops / device.peak_flops) / chips


def prefill_s(shape: Shape, device: Device, *, tokens: float, prompt_tokens: float, chips: int = 1) -> float:
    """Minimum seconds to prefill `tokens` tokens in prompts of `prompt_tokens` each."""
    flops = tokens * shape.prefill_flops_per_token(prompt_tokens)
    read = tokens / ROW_TOKENS * shape.weight_bytes
    return max(flops / device.peak_flops, read / device.bandwidth) / chips


def largest_slots(shape: Shape, device: Device, *, positions: int, chips: int = 1, new_positions: int = 0) -> int:
    """Maximum slots whose caches of `positions` tokens, `new_positions` of them generated, fit next to the weights.

    0 if not even one does.

    A share of `1 - CACHE_SHARE` of the memory left by the weights is reserved for prefill rows and temporaries.
    """
    free = chips * device.memory_bytes - shape.weight_bytes
    return max(0, int(free * CACHE_SHARE // shape.cache_bytes(positions - new_positions, new_positions)))


def fewest_chips(
    shape: Shape, device: Device, *, positions: int, min_slots: int = 16, most: int = 8, new_positions: int = 0
) -> int:
    """The smallest power of two of chips that holds the model and `min_slots` slots.

    A multi-query model has a single key/value head, which isn't split, so it fits on one chip or not at all.

    Raises:
        ConfigError: It fits on none; the message states required and available memory.
    """
    limit = min(most, shape.config.num_kv_heads)
    chips = 1
    while chips <= limit:
        if largest_slots(shape, device, positions=positions, chips=chips, new_positions=new_positions) >= min_slots:
            return chips
        chips *= 2
    chips //= 2
    if largest_slots(shape, device, positions=positions, chips=chips, new_positions=new_positions) >= 1:
        return chips
    raise ConfigError(
        f"{shape.weight_bytes / GIB:.1f} GiB of {shape.weights} weights and a slot of {positions} positions exceed "
        f"{chips} x {device.title} ({chips * device.memory_bytes / GIB:.1f} GiB)"
    )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The amount of generation to estimate.

    Args:
        requests: Number of prompts.
        prompt_tokens: Mean tokens per prompt.
        new_tokens: Mean tokens generated per prompt.
        max_prompt_tokens: Maximum prompt length, which slots are sized for.
        max_new_tokens: Maximum completion length, which slots are sized for.
    """

    requests: int
    prompt_tokens: float
    new_tokens: float
    max_prompt_tokens: int
    max_new_tokens: int

    def __post_init__(self) -> None:
        if self.requests < 1 or not self.prompt_tokens > 0 or not self.new_tokens > 0:
            raise ConfigError(
                f"{self.requests} requests of {self.prompt_tokens} prompt tokens and {self.new_tokens} new tokens; "
                "each must be above 0"
            )
        if self.prompt_tokens > self.max_prompt_tokens or self.new_tokens > self.max_new_tokens:
            raise ConfigError(
                f"means of {self.prompt_tokens:,.0f} prompt and {self.new_tokens:,.0f} new tokens exceed the maximums, "
                f"{self.max_prompt_tokens:,} and {self.max_new_tokens:,}"
            )


@dataclass(frozen=True, kw_only=True)
class Floor:
    """The minimum time of a workload on one group of chips that holds one copy of the model.

    Args:
        device: The device.
        chips: Chips that hold one model.
        slots: Requests that they decode concurrently.
        steps: Decode steps, with every slot busy in each.
        prefill_s: Seconds for all prompts.
        decode_s: Seconds for all decode steps.
    """

    device: Device
    chips: int
    slots: int
    steps: int
    prefill_s: float
    decode_s: float

    @property
    def wall_s(self) -> float:
        """Seconds on one group of chips."""
        return self.prefill_s + self.decode_s

    @property
    def chip_hours(self) -> float:
        """Hours times chips: more groups divide the time and cost the same."""
        return self.wall_s * self.chips / 3600


def floor_of(
    work: Workload, shape: Shape, device: Device, *, chips: int | None = None, slots: int | None = None
) -> Floor:
    """The floor of a workload.

    Args:
        work: The workload.
        shape: The model.
        device: The device.
        chips: Chips that hold one model; the minimum if None.
        slots: Requests decoded concurrently; the maximum that fits if None.

    Raises:
        ConfigError: The model or the slots don't fit.
    """
    positions = work.max_prompt_tokens + work.max_new_tokens
    if chips is None:
        chips = fewest_chips(shape, device, positions=positions, new_positions=work.max_new_tokens)
    most = largest_slots(shape, device, positions=positions, chips=chips, new_positions=work.max_new_tokens)
    if most < (slots or 1):
        raise ConfigError(
            f"{slots or 1} slots of {positions} positions don't fit on {chips} x {device.title}, {most} do; "
            "fewer slots, shorter prompts or more chips would"
        )
    slots = min(most if slots is None else slots, work.requests)
    # The first new token is decoded from the prompt's last one, so a request of n new tokens takes n steps.
    steps = -(-int(work.requests * work.new_tokens) // slots)
    context = work.prompt_tokens + (work.new_tokens + 1) / 2
    return Floor(
        device=device,
        chips=chips,
        slots=slots,
        steps=steps,
        prefill_s=prefill_s(
            shape,
            device,
            tokens=work.requests * work.prompt_tokens,
            prompt_tokens=work.prompt_tokens,
            chips=chips,
        ),
        decode_s=steps * decode_step_s(shape, device, slots=slots, context=context, chips=chips),
    )
