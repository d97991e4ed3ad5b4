"""Gemma-1 shapes: one frozen dataclass and the presets that are published under CodeGemma's name.

Imports no JAX, so plans and command lines can name a preset without starting a device.
Source: the Gemma report (arXiv 2403.08295, table 1) and the CodeGemma report (arXiv 2406.11409).
"""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import ConfigError

_COUNTS = (
    "num_layers", "d_model", "d_ff", "num_heads", "num_kv_heads", "head_dim", "vocab_size", "context_length",
)  # fmt: skip
_MOST = 2**31 - 1  # positions and sizes are 32-bit numbers on the devices
_LARGEST_BASE = 1e12  # far above any that is published


@dataclass(frozen=True, kw_only=True)
class GemmaConfig:
    """The numbers that fix every shape of a Gemma-1 model.

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

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
                raise ConfigError(f"model shape {name} is {value!r}; it must be a whole number from 1 to {_MOST:,}")
        for name, most in (("norm_eps", 1.0), ("rope_base", _LARGEST_BASE)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
                raise ConfigError(f"{name} is {value!r}; it must be a number above 0 and at most {most:,}")
        if not isinstance(self.is_instruction_tuned, bool):
            raise ConfigError(f"is_instruction_tuned is {self.is_instruction_tuned!r}; it must be true or false")
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(f"{self.num_heads} query heads can't share {self.num_kv_heads} key/value heads evenly")
        if self.head_dim % 2:
            raise ConfigError(f"head_dim is {self.head_dim}; the rotary embedding needs an even number")

    @property
    def num_parameters(self) -> int:
        """How many numbers the model has, the tied embedding counted once.

        >>> PRESETS["codegemma-2b"].num_parameters
        2506172416
        """
        attention = self.head_dim * (2 * self.num_heads + 2 * self.num_kv_heads)
        block = self.d_model * (attention + 3 * self.d_ff + 2)
        return self.num_layers * block + self.d_model * (self.vocab_size + 1)


_2B = GemmaConfig(num_layers=18, d_model=2048, d_ff=16_384, num_heads=8, num_kv_heads=1, head_dim=256)
_7B = GemmaConfig(num_layers=28, d_model=3072, d_ff=24_576, num_heads=16, num_kv_heads=16, head_dim=256)
_7B_IT = GemmaConfig(**{**_7B.__dict__, "is_instruction_tuned": True})

PRESETS: dict[str, GemmaConfig] = {
    "codegemma-2b": _2B,
    "codegemma-1.1-2b": _2B,
    "codegemma-7b": _7B,
    "codegemma-7b-it": _7B_IT,
    "codegemma-1.1-7b-it": _7B_IT,
}
