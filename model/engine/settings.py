"""What a user settles of a model, its engine and its answers: each default, help text and limit stands here alone.

    EngineSettings      the engine's mode, types and slots
    TokenLimits         the longest prompt and the longest answer
    SamplingSettings    how tokens are drawn
    EngineSpec          engine settings, limits and model: which engine a worker process makes
    GenerationSettings  sampling settings and limits: how a task asks

The jobs' options inherit them (`jobs.options`), so a field is a flag; tasks, engine and the Beam handler are given them
whole. Imports no JAX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.errors import ConfigError
from model.settings import Settings, setting

Determinism = Literal["fast", "exact"]
PromptLookup = Literal["auto", "off", "always"]


@dataclass(frozen=True, kw_only=True)
class EngineSettings(Settings):
    """What a user settles of an engine over weights that are loaded."""

    determinism: Determinism = setting(
        "fast", help="exact: the same tokens, bit for bit, on the same version, hardware and shapes."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", help="Compute type; auto: float32 on a CPU, bfloat16 on TPU and GPU."
    )
    slots: int | None = setting(
        None,
        help="Requests decoded at once; chosen from the memory if not given.",
        operational="unless_exact",
        minimum=1,
    )
    prompt_cache: Literal["auto", "int8"] = setting(
        "auto", help="How prompts' keys and values are held; auto: in the compute type; int8: in 8 bits."
    )
    prompt_lookup: PromptLookup = setting(
        "auto",
        help="Draft what prompt and output repeat; auto: while that is measured to be faster; exact mode never does.",
        operational="unless_exact",
    )
    compile_cache: str | None = setting(
        None,
        help="Folder of XLA's persistent compilation cache.",
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
    """How long prompts and answers may be: the largest prefill bucket, and the length of the generation cache."""

    # With max_new_tokens it fills the embedded model's context of 1,024.
    max_prompt_tokens: int = setting(
        896,
        help="Longest prompt: context is cut to it, and what still doesn't fit is rejected.",
        minimum=16,
        metavar="TOKENS",
    )
    max_new_tokens: int = setting(128, help="Tokens generated for a target, at most.", minimum=1, metavar="TOKENS")


@dataclass(frozen=True, kw_only=True)
class SamplingSettings(Settings):
    """How tokens are drawn."""

    temperature: float = setting(0.0, help="Divides the logits; 0 takes the likeliest token.", minimum=0.0)
    top_k: int = setting(0, help="Draw among the k likeliest tokens; 0 keeps all.", minimum=0, metavar="K")
    top_p: float = setting(
        1.0, help="Draw among the likeliest tokens that together reach this probability.", maximum=1.0, metavar="P"
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
    """Which engine is wanted, as plain data: equal specs share one engine in a process."""

    model: str = setting(
        "embedded",
        help="A checkpoint folder, or `embedded`, the small model that ships with codemill.",
        metavar="PATH",
        is_path=True,
    )
    weights: Literal["auto", "int8"] = setting(
        "auto",
        help="How weights are held; auto: in the compute type; int8: in 8 bits, a scale for each output channel.",
    )


@dataclass(frozen=True, kw_only=True)
class GenerationSettings(SamplingSettings, TokenLimits):
    """How a task asks: how tokens are drawn, and how long prompts and answers may be."""
