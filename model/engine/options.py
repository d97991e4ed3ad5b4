"""What fixes the engine's shapes, and their automatic choice per platform.

Every array in the engine has a static shape that follows from these numbers and the model's
config, so XLA compiles a small known set of programs. Imports no JAX: a plan freezes these
options before any device starts.
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

# Slots by platform where memory isn't known, and in `exact` mode. A CPU is bound by arithmetic from about 32 rows on.
_SLOTS = {"cpu": 32, "gpu": 128, "tpu": 64}
# The most that are chosen from memory. Slots share the reading of the weights, so accelerators gain until memory ends:
# of 2B's step at 1,280 tokens of context, the caches are half at 212 slots and 70% at 512.
_MOST_SLOTS = {"cpu": 32, "gpu": 128, "tpu": 512}
# A TPU computes rows in eights: those beyond a multiple of it cost what the next multiple does.
_SLOTS_STEP = {"cpu": 1, "gpu": 1, "tpu": 8}
_DTYPE = {"cpu": "float32", "gpu": "bfloat16", "tpu": "bfloat16"}
# Steps a burst may take before the host looks: a host round trip costs well under one step on each of them.
_BURST_STEPS = {"cpu": 16, "gpu": 16, "tpu": 32}
# Tokens that fill a device's matrix units; longer rows gain nothing and delay the slots that wait.
_ROW_TOKENS = {"cpu": 1024, "gpu": 4096, "tpu": 4096}


def prompt_buckets(max_prompt_tokens: int) -> tuple[int, ...]:
    """The prompt lengths that are compiled for: powers of two from 64 up to, and exactly, the longest prompt.

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
    """Shapes and mode of one engine. None and `auto` mean: chosen by `resolve` for the platform.

    Args:
        determinism: `exact`: each prompt is prefilled alone and every shape is frozen, so the same version, hardware
            and options give bit-equal tokens in any order and with any neighbours. `fast`: every optimisation; tokens
            differ from `exact` only at near-ties.
        slots: Requests decoded at once.
        prompt_buckets: Prompt lengths that are compiled for, ascending; a longer prompt is refused.
        max_new_tokens: Most tokens that a request may ask for: the length of the generation cache.
        burst_steps: Most decode steps between two looks by the host.
        prefill_row_tokens: `fast`: prompts are prefilled together in rows of up to so many tokens.
        min_shared_prefix: `fast`: prompts in a row that begin with so many equal tokens share them; 0: never.
        prompt_lookup: `fast`: whether tokens are drafted by prompt lookup. `auto` measures while running whether it
            gains and drafts where it does (`model.engine.switching`): mostly below about 64 slots, where a step over
            several tokens costs little more than over one. `exact` mode never drafts.
        draft_tokens: So many tokens are drafted for a step.
        prompt_cache: How prompts' keys and values are held: `auto` in the compute dtype, `int8` in 8 bits with a
            scale for each position and head, which is half the memory of bfloat16 and a quarter of float32.
        max_stop_ids: Most stop ids that a request may name.
        dtype: Of weights, activations and caches: `float32` or `bfloat16`. Logits are always float32.
        pipeline_bursts: Whether the next burst is dispatched before the last one is read: hides the host's work
            behind the device's, at the price of a burst of idling for a slot that has just ended.
        compile_cache: Folder of JAX's persistent compilation cache; None leaves JAX's setting alone.
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
        """The options of the engine that a spec asks for."""
        return cls(
            **spec.values_of(EngineSettings),
            prompt_buckets=prompt_buckets(spec.max_prompt_tokens),
            max_new_tokens=spec.max_new_tokens,
        )

    def resolve(
        self, platform: str, *, config: GemmaConfig | None = None, memory_bytes: int | None = None
    ) -> ResolvedOptions:
        """Fills in what was left to choose.

        Args:
            platform: `cpu`, `gpu` or `tpu`.
            config: The model, and
            memory_bytes: the device's memory beside its weights: bounds the slots in `fast` mode where they are left
                open. In `exact` mode their number is part of the promise and never depends on them.
        """
        platform = platform if platform in _SLOTS else "gpu"  # JAX also says `cuda` and `rocm`
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
        position_bytes = self.prompt_buckets[-1] * prompt_head_bytes + self.generation_length() * head_bytes
        return 2 * config.num_layers * config.num_kv_heads * position_bytes

    def may_draft(self) -> bool:
        """Whether any step may draft."""
        return self.determinism == "fast" and self.prompt_lookup != "off"

    def generation_length(self) -> int:
        """Positions of a slot's generation cache: drafts that turn out wrong stand behind the last token."""
        return self.max_new_tokens + (self.draft_tokens if self.may_draft() else 0)

    def history_length(self) -> int:
        """Tokens of prompt and output that each slot keeps for drafts."""
        return self.prompt_buckets[-1] + self.max_new_tokens if self.may_draft() else 0


@dataclass(frozen=True, kw_only=True)
class ResolvedOptions(EngineOptions):
    """Options with nothing left open; made by `EngineOptions.resolve`."""

    slots: int
    burst_steps: int
    prefill_row_tokens: int
    dtype: Literal["float32", "bfloat16"]
    pipeline_bursts: bool

    def row_lengths(self) -> list[int]:
        """Lengths of prefill rows that are compiled for: the buckets, and in `fast` mode the target and its steps.

        Where many wait, rows are full whatever their lengths; the steps are for the times when few do.
        """
        lengths = set(self.prompt_buckets)
        if self.determinism == "fast":
            for eighths in (2, 4, 6, 8):
                lengths.add(max(1, self.prefill_row_tokens * eighths // 8))
        return sorted(lengths)

    def staged_length(self) -> int:
        """Positions of a prefilled row: the longest row, and room for a slice of any width at its end."""
        return self.row_lengths()[-1] + (0 if self.determinism == "exact" else self.prompt_buckets[-1])

    def fingerprint(self) -> dict[str, Any]:
        """All that tokens can depend on beside weights and request, for a row's lineage. Starts JAX's backend."""
        import jax

        shapes = dataclasses.asdict(self)
        del shapes["compile_cache"]
        shapes["prompt_cache"] = "compute" if self.prompt_cache == "auto" else self.prompt_cache  # as rows say it
        shapes["prompt_buckets"] = list(self.prompt_buckets)
        device = jax.devices()[0]
        return {
            **shapes,
            "platform": device.platform,
            "device_kind": device.device_kind,
            "jax": metadata.version("jax"),
            "jaxlib": metadata.version("jaxlib"),
        }
