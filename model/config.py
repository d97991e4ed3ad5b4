"""The shapes of Gemma's text models, of three generations: one frozen dataclass and the published presets.

What differs between generations is a few named fields, whose defaults are Gemma 1's:

    field             Gemma 1 (CodeGemma)  Gemma 2            Gemma 3
    query_scalar      head_dim             stated             stated
    attention_cap     none                 50                 none
    final_cap         none                 30                 none
    window, pattern   none                 every other layer  five layers of six
    local_rope_base   -                    rope_base          10,000 (rope_base: 1,000,000)
    rope_scale        1                    1                  8 from 4B on
    has_qk_norms      no                   no                 yes
    has_post_norms    no                   yes                yes

Imports no JAX, so plans and command lines can name a preset without starting a device.
Sources: the reports of Gemma (arXiv 2403.08295, table 1), CodeGemma (arXiv 2406.11409), Gemma 2 (arXiv 2408.00118)
and Gemma 3 (arXiv 2503.19786).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from model.errors import ConfigError

_COUNTS = (
    "num_layers", "d_model", "d_ff", "num_heads", "num_kv_heads", "head_dim", "vocab_size", "context_length",
)  # fmt: skip
_MOST = 2**31 - 1  # positions and sizes are 32-bit numbers on the devices
_LARGEST_BASE = 1e12  # far above any that is published
_LARGEST_FACTOR = 1e6  # of caps, query scalars and rope scales
_LARGEST = {
    "norm_eps": 1.0,
    "rope_base": _LARGEST_BASE,
    "local_rope_base": _LARGEST_BASE,
    "query_scalar": _LARGEST_FACTOR,
    "attention_cap": _LARGEST_FACTOR,
    "final_cap": _LARGEST_FACTOR,
    "rope_scale": _LARGEST_FACTOR,
}
_OPTIONAL = ("local_rope_base", "query_scalar", "attention_cap", "final_cap")


@dataclass(frozen=True, kw_only=True)
class GemmaConfig:
    """The numbers that fix every shape of a Gemma model and what its layers compute.

    Args:
        num_layers: Transformer blocks.
        d_model: Width of the residual stream.
        d_ff: Width of the gated feed-forward layer.
        num_heads: Query heads.
        num_kv_heads: Key/value heads: 1 is multi-query, `num_heads` is multi-head attention.
        head_dim: Width of one head.
        vocab_size: Rows of the tied embedding.
        context_length: Longest sequence that the model was trained on, in tokens.
        norm_eps: Added to the mean square in RMSNorm.
        rope_base: Base wavelength of the rotary position embedding.
        is_instruction_tuned: Whether the model expects the chat form.
        query_scalar: Queries are multiplied by `query_scalar**-0.5`; `head_dim` if None.
        attention_cap: Attention scores become `cap * tanh(scores / cap)`; None: as they are.
        final_cap: The same for logits.
        window: In windowed layers, a token attends to itself and the `window - 1` tokens before it.
        window_pattern: Which layers are windowed, repeated over the layers; empty without a window.
        local_rope_base: `rope_base` of windowed layers; the same if None.
        rope_scale: In layers without a window, positions are divided by it.
        has_qk_norms: Whether queries and keys are normalized, per head, before they are rotated.
        has_post_norms: Whether the outputs of attention and feed-forward layer are normalized before they are added.
    """

    num_layers: int
    d_model: int
    d_ff: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int = 256_000
    context_length: int = 8192
    norm_eps: float = 1e-6
    rope_base: float = 10_000.0
    is_instruction_tuned: bool = False
    query_scalar: float | None = None
    attention_cap: float | None = None
    final_cap: float | None = None
    window: int | None = None
    window_pattern: tuple[bool, ...] = ()
    local_rope_base: float | None = None
    rope_scale: float = 1.0
    has_qk_norms: bool = False
    has_post_norms: bool = False

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
                raise ConfigError(f"model shape {name} is {value!r}; it must be a whole number from 1 to {_MOST:,}")
        for name, most in _LARGEST.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
                raise ConfigError(f"{name} is {value!r}; it must be a number above 0 and at most {most:,}")
        for name in ("is_instruction_tuned", "has_qk_norms", "has_post_norms"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be true or false")
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(f"{self.num_heads} query heads can't share {self.num_kv_heads} key/value heads evenly")
        if self.head_dim % 2:
            raise ConfigError(f"head_dim is {self.head_dim}; the rotary embedding needs an even number")
        self._check_windows()

    def _check_windows(self) -> None:
        window, pattern = self.window, self.window_pattern
        if (window is None) != (not any(pattern)):
            raise ConfigError(f"a window of {window} and a window pattern {list(pattern)} don't fit each other")
        if len(pattern) > self.num_layers:
            raise ConfigError(f"the window pattern has {len(pattern)} layers; the model has {self.num_layers}")
        if window is None:
            return
        if not isinstance(window, int) or isinstance(window, bool) or window < 1:
            raise ConfigError(f"window is {window!r}; it must be a whole number of tokens above 0")
        if window > self.context_length:
            raise ConfigError(f"the window is {window:,} tokens, the context only {self.context_length:,}")

    @property
    def windows(self) -> tuple[int | None, ...]:
        """The window of each layer; None where there is none.

        >>> PRESETS["gemma-3-270m"].windows[:7]
        (512, 512, 512, 512, 512, None, 512)
        """
        pattern = self.window_pattern or (False,)
        return tuple(self.window if pattern[i % len(pattern)] else None for i in range(self.num_layers))

    @property
    def generation(self) -> int:
        """The generation of Gemma that computes so: 1, 2 or 3."""
        return 3 if self.has_qk_norms else 2 if self.has_post_norms else 1

    def rope_of(self, window: int | None) -> tuple[float, float]:
        """The base and the scale of the rotary embedding in layers with a window, or in those without."""
        if window is None:
            return self.rope_base, self.rope_scale
        return self.local_rope_base or self.rope_base, 1.0

    @property
    def num_parameters(self) -> int:
        """How many numbers the model has, the tied embedding counted once.

        >>> PRESETS["codegemma-2b"].num_parameters
        2506172416
        """
        attention = self.head_dim * (2 * self.num_heads + 2 * self.num_kv_heads)
        norms = 4 if self.has_post_norms else 2
        block = self.d_model * (attention + 3 * self.d_ff + norms) + (2 * self.head_dim if self.has_qk_norms else 0)
        return self.num_layers * block + self.d_model * (self.vocab_size + 1)


def _gemma_2(
    num_layers: int, d_model: int, d_ff: int, num_heads: int, num_kv_heads: int, *, head_dim: int, query_scalar: int
) -> GemmaConfig:
    return GemmaConfig(
        num_layers=num_layers, d_model=d_model, d_ff=d_ff, num_heads=num_heads, num_kv_heads=num_kv_heads,
        head_dim=head_dim, query_scalar=query_scalar, attention_cap=50.0, final_cap=30.0, window=4096,
        window_pattern=(True, False), has_post_norms=True,
    )  # fmt: skip


def _gemma_3(
    num_layers: int, d_model: int, d_ff: int, num_heads: int, num_kv_heads: int, *, head_dim: int = 256,
    window: int = 1024, query_scalar: int = 256, rope_scale: float = 8.0, context_length: int = 131_072,
) -> GemmaConfig:  # fmt: skip
    return GemmaConfig(
        num_layers=num_layers, d_model=d_model, d_ff=d_ff, num_heads=num_heads, num_kv_heads=num_kv_heads,
        head_dim=head_dim, vocab_size=GEMMA_3_VOCABULARY, context_length=context_length, rope_base=1_000_000.0,
        query_scalar=query_scalar, window=window, window_pattern=(True,) * 5 + (False,), local_rope_base=10_000.0,
        rope_scale=rope_scale, has_qk_norms=True, has_post_norms=True,
    )  # fmt: skip


GEMMA_3_VOCABULARY = 262_144

_2B = GemmaConfig(num_layers=18, d_model=2048, d_ff=16_384, num_heads=8, num_kv_heads=1, head_dim=256)
_7B = GemmaConfig(num_layers=28, d_model=3072, d_ff=24_576, num_heads=16, num_kv_heads=16, head_dim=256)
_7B_IT = replace(_7B, is_instruction_tuned=True)
_BASE = {
    "gemma-2-2b": _gemma_2(26, 2304, 9216, 8, 4, head_dim=256, query_scalar=256),
    "gemma-2-9b": _gemma_2(42, 3584, 14_336, 16, 8, head_dim=256, query_scalar=256),
    "gemma-2-27b": _gemma_2(46, 4608, 36_864, 32, 16, head_dim=128, query_scalar=144),
    "gemma-3-270m": _gemma_3(18, 640, 2048, 4, 1, window=512, rope_scale=1.0, context_length=32_768),
    "gemma-3-1b": _gemma_3(26, 1152, 6912, 4, 1, window=512, rope_scale=1.0, context_length=32_768),
    "gemma-3-4b": _gemma_3(34, 2560, 10_240, 8, 4),
    "gemma-3-12b": _gemma_3(48, 3840, 15_360, 16, 8),
    "gemma-3-27b": _gemma_3(62, 5376, 21_504, 32, 16, head_dim=128, query_scalar=168),
}

PRESETS: dict[str, GemmaConfig] = {
    "codegemma-2b": _2B,
    "codegemma-1.1-2b": _2B,
    "codegemma-7b": _7B,
    "codegemma-7b-it": _7B_IT,
    "codegemma-1.1-7b-it": _7B_IT,
    **_BASE,
    **{f"{name}-it": replace(config, is_instruction_tuned=True) for name, config in _BASE.items()},
}


def with_published_fields(config: GemmaConfig, generation: int, source: str) -> GemmaConfig:
    """The config of the published model with these shapes, for layouts whose files state nothing but shapes.

    Args:
        config: Shapes as told by the tensors, as of Gemma 1.
        generation: The generation, as told by the tensors that there are.
        source: Where they lie.

    Raises:
        ConfigError: No published model has them: nothing states its windows, its caps or its rotary embedding.
    """
    if generation == 1:
        return config
    for known in _BASE.values():
        if known.generation == generation and all(getattr(known, name) == getattr(config, name) for name in _SHAPES):
            return replace(known, vocab_size=config.vocab_size)
    shapes = ", ".join(f"{name}={getattr(config, name)}" for name in _SHAPES)
    raise ConfigError(
        f"{source} holds a Gemma {generation} of {shapes}, which is none of {', '.join(_BASE)}: its files don't state "
        "windows and scales; convert it to the Hugging Face layout, whose config does"
    )


_SHAPES = ("num_layers", "d_model", "d_ff", "num_heads", "num_kv_heads", "head_dim")
