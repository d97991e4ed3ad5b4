"""The options that determine the engine's shapes, and their automatic choice per platform.

Every array in the engine has a static shape that follows from these numbers and the model's
config, so XLA compiles a small, known set of programs. Doesn't import JAX, because a plan freezes
these options before any device starts.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

from model.config import GemmaConfig
from model.engine.settings import EngineSettings, EngineSpec, TokenLimits
from model.errors import ConfigError
from model.roofline import CACHE_SHARE

_SHORTEST_BUCKET = 64
_ROW_STEP = 128  # attention computes rows in tiles, whose size is the common divisor of this and the row's length

# Slots by platform if memory is unknown, and in `exact` mode. A CPU is compute-bound from about 32 rows on.
_SLOTS = {"cpu": 32, "gpu": 128, "tpu": 64}
# Upper limits of the choice from memory. Slots share the reads of the weights, so accelerators gain until memory is
# full: caches take half of 2B's step at 1,280 tokens of context with 212 slots, and 70% with 512.
_MOST_SLOTS = {"cpu": 32, "gpu": 128, "tpu": 512}
# A TPU computes rows in groups of eight: a partly filled group costs as much as a full one.
_SLOTS_STEP = {"cpu": 1, "gpu": 1, "tpu": 8}
_DTYPE = {"cpu": "float32", "gpu": "bfloat16", "tpu": "bfloat16"}
# Maximum steps of a burst: a host round trip costs well under one step on each platform.
_BURST_STEPS = {"cpu": 16, "gpu": 16, "tpu": 32}
# Tokens that fill a device's matrix units; longer rows gain nothing and delay waiting slots.
_ROW_TOKENS = {"cpu": 1024, "gpu": 4096, "tpu": 4096}


def prompt_buckets(max_prompt_tokens: int) -> tuple[int, ...]:
    """The compiled prompt lengths: powers of two from 64, and the maximum prompt length itself as the last one.

    >>> prompt_buckets(768)
    (64, 128, 256, 512, 768)
    """
    buckets = []
    length = _SHORTEST_BUCKET
    while length < max_prompt_tokens:
        buckets.append(length)
        length *= 2
    return (*buckets, max_prompt_tokens)


@dataclass(frozen=True, kw_only=True)
class EngineOptions(EngineSettings):
    """Shapes and mode of one engine. None and `auto` are resolved for the platform by `resolve`.

    Args:
        determinism: `exact`: each prompt is prefilled alone and every shape is frozen, so the same version, hardware
            and options produce bit-identical tokens in any order and with any other requests in flight. `fast`: every
            optimization; tokens differ from `exact` only at near ties.
        slots: Requests decoded concurrently.
        prompt_buckets: Compiled prompt lengths, ascending; a longer prompt is refused.
        max_new_tokens: Maximum tokens that a request may ask for: the length of the generation cache.
        burst_steps: Maximum decode steps between two looks of the scheduler.
        prefill_row_tokens: `fast`: prompts are prefilled together in rows of up to this many tokens.
        min_shared_prefix: `fast`: prompts in a row share a common prefix of at least this many tokens; 0: never.
        prompt_lookup: `fast`: whether tokens are drafted by prompt lookup. `auto` measures at run time whether drafting
            is faster, and drafts while it is (`model.engine.switching`): mostly below about 64 slots, where a step over
            several tokens costs little more than a step over one. `exact` mode never drafts.
        draft_tokens: Number of tokens drafted per step.
        prompt_cache: Precision of the prompts' keys and values: `auto` is the compute dtype; `int8` is 8 bits with one
            scale per position and head, which takes half the memory of bfloat16 and a quarter of float32.
        max_stop_ids: Maximum number of stop ids per request.
        dtype: Of weights, activations and caches: `float32` or `bfloat16`. Logits are always float32.
        pipeline_bursts: Whether the next burst is dispatched before the previous one is read. This overlaps the host's
            work with the device's, at the cost of one idle burst for a slot whose request has just ended.
        compile_cache: Folder of JAX's persistent compilation cache; None leaves JAX's setting unchanged.
    """

    prompt_buckets: tuple[int, ...] = prompt_buckets(TokenLimits.max_prompt_tokens)
    max_new_tokens: int = TokenLimits.max_new_tokens
    burst_steps: int | None = None
    prefill_row_tokens: int | None = None
    min_shared_prefix: int = 32
    draft_tokens: int = 4
    max_stop_ids: int = 64
    pipeline_bursts: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        buckets = self.prompt_buckets
        if not buckets or buckets[0] < 1 or any(a >= b for a, b in itertools.pairwise(buckets)):
            raise ConfigError(f"prompt_buckets is {buckets}; it must be a list of ascending positive lengths")
        for name in ("burst_steps", "prefill_row_tokens", "max_new_tokens", "max_stop_ids", "draft_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; it must be at least 1")
        if self.min_shared_prefix < 0:
            raise ConfigError(f"min_shared_prefix is {self.min_shared_prefix}; it must be at least 0")

    @classmethod
    def of(cls, spec: EngineSpec) -> EngineOptions:
        """The engine options of a spec."""
        return cls(
            **spec.values_of(EngineSettings),
            prompt_buckets=prompt_buckets(spec.max_prompt_tokens),
            max_new_tokens=spec.max_new_tokens,
        )

    def resolve(
        self, platform: str, *, config: GemmaConfig | None = None, memory_bytes: int | None = None
    ) -> ResolvedOptions:
        """Fills in the values that were left open.

        Args:
            platform: `cpu`, `gpu` or `tpu`.
            config: The model's shapes.
            memory_bytes: The device's memory left by the weights. With `config`, it limits the slots in `fast` mode if
                they are left open. In `exact` mode their number is guaranteed and never depends on memory.
        """
        platform = platform if platform in _SLOTS else "gpu"  # JAX also reports `cuda` and `rocm`
        dtype = _DTYPE[platform] if self.dtype == "auto" else self.dtype
        slots = self.slots or _SLOTS[platform]
        if self.slots is None and self.determinism == "fast" and config is not None and memory_bytes is not None:
            slots = self._slots_in(memory_bytes, config, dtype, platform)
        chosen = {
            "slots": slots,
            "burst_steps": self.burst_steps or _BURST_STEPS[platform],
            "prefill_row_tokens": self.prefill_row_tokens or _ROW_TOKENS[platform],
            "dtype": dtype,
            "pipeline_bursts": platform != "cpu" if self.pipeline_bursts is None else self.pipeline_bursts,
        }
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return ResolvedOptions(**{**own, **chosen})

    def _slots_in(self, memory_bytes: int, config: GemmaConfig, dtype: str, platform: str) -> int:
        fitting = int(memory_bytes * CACHE_SHARE) // self._slot_bytes(config, dtype)
        slots, step = max(1, min(fitting, _MOST_SLOTS[platform])), _SLOTS_STEP[platform]
        return slots - slots % step if slots > step else slots

    def _slot_bytes(self, config: GemmaConfig, dtype: str) -> int:
        """Bytes of one slot's prompt and generation caches."""
        width = 2 if dtype == "bfloat16" else 4
        head_bytes = config.head_dim * width
        prompt_head_bytes = config.head_dim + 4 if self.prompt_cache == "int8" else head_bytes  # 4: its scale
        longest = self.prompt_buckets[-1]
        prompts = sum(longest if window is None else min(longest, window) for window in config.windows)
        positions_bytes = prompts * prompt_head_bytes + config.num_layers * self.generation_length() * head_bytes
        return 2 * config.num_kv_heads * positions_bytes

    def longest_scored(self) -> int:
        """Maximum tokens of a prompt with a continuation to score: those of the longest prompt and completion."""
        return self.prompt_buckets[-1] + self.max_new_tokens

    def may_draft(self) -> bool:
        """Whether any step may draft."""
        return self.determinism == "fast" and self.prompt_lookup != "off"

    def generation_length(self) -> int:
        """Positions of a slot's generation cache; rejected drafts are stored after the last token."""
        return self.max_new_tokens + (self.draft_tokens if self.may_draft() else 0)

    def history_length(self) -> int:
        """Tokens of prompt and output that each slot keeps for drafting."""
        return self.prompt_buckets[-1] + self.max_new_tokens if self.may_draft() else 0


@dataclass(frozen=True, kw_only=True)
class ResolvedOptions(EngineOptions):
    """Options with all values chosen; created by `EngineOptions.resolve`."""

    slots: int
    burst_steps: int
    prefill_row_tokens: int
    dtype: Literal["float32", "bfloat16"]
    pipeline_bursts: bool

    def row_lengths(self) -> list[int]:
        """Compiled lengths of prefill rows: the buckets, and in `fast` mode the target length and fractions of it.

        If many prompts wait, rows are full whatever their lengths; the fractions are for times when few do.
        """
        lengths = set(self.prompt_buckets)
        if self.determinism == "fast":
            for eighths in (2, 4, 6, 8):
                lengths.add(max(1, self.prefill_row_tokens * eighths // 8))
        return sorted(lengths)

    def score_lengths(self) -> list[int]:
        """Compiled lengths of rows to score: those of prefill, and one for the longest prompt with its continuation."""
        lengths, longest = self.row_lengths(), -(-self.longest_scored() // _ROW_STEP) * _ROW_STEP
        return lengths if lengths[-1] >= self.longest_scored() else [*lengths, longest]

    def staged_length(self) -> int:
        """Positions of a prefilled row: the longest row, plus room for a slice of any width at its end."""
        return self.row_lengths()[-1] + (0 if self.determinism == "exact" else self.prompt_buckets[-1])

    def fingerprint(self) -> dict[str, Any]:
        """All that tokens can depend on besides weights and request, for a row's lineage. Initializes JAX's backend."""
        import jax

        shapes = dataclasses.asdict(self)
        del shapes["compile_cache"]
        shapes["prompt_cache"] = "compute" if self.prompt_cache == "auto" else self.prompt_cache  # as in the lineage
        shapes["prompt_buckets"] = list(self.prompt_buckets)
        device = jax.devices()[0]
        return {
            **shapes,
            "platform": device.platform,
            "device_kind": device.device_kind,
            "jax": metadata.version("jax"),
            "jaxlib": metadata.version("jaxlib"),
        }
