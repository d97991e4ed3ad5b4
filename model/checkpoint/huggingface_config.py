"""`config.json` of transformers, read and written: one table of what its keys mean for each generation.

A checkpoint with a vision tower states its text part in `text_config`, and leaves out what equals transformers' own
defaults, which are therefore here. Older versions state `rope_theta`, `rope_scaling` and `sliding_window_pattern`,
newer ones `rope_parameters` and `layer_types`. No JAX.
"""

from __future__ import annotations

from typing import Any

from model.config import GemmaConfig
from model.errors import ConfigError, shown

# Model types -> generation. Those with a vision tower have their text part in `text_config`.
_GENERATIONS = {"gemma": 1, "gemma2": 2, "gemma3_text": 3, "gemma3": 3}
_NAMES = "Gemma 1 (gemma), Gemma 2 (gemma2) and Gemma 3 (gemma3, gemma3_text)"

# Config keys that change the arithmetic, and the only values that mean what is computed here.
_FIXED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("gelu_pytorch_tanh", "gelu", None),  # "gelu" in early files; the tanh form was always meant
    "hidden_activation": ("gelu_pytorch_tanh", None),
    "attention_bias": (False,),
    "tie_word_embeddings": (True,),
    "use_bidirectional_attention": (False, None),
}
_LAYER_TYPES = {"sliding_attention": True, "full_attention": False}
# What transformers takes for a key that isn't stated, in the generations whose published files leave some out.
_DEFAULTS: dict[int, dict[str, Any]] = {
    1: {"max_position_embeddings": 8192, "rope_theta": 10_000.0},
    2: {
        "max_position_embeddings": 8192,
        "rope_theta": 10_000.0,
        "query_pre_attn_scalar": 256,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "sliding_window": 4096,
        "sliding_window_pattern": 2,
    },
    3: {
        "vocab_size": 262_208,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131_072,
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "sliding_window_pattern": 6,
    },
}
_MODEL_TYPES = {1: "gemma", 2: "gemma2", 3: "gemma3_text"}
_ARCHITECTURES = {1: "GemmaForCausalLM", 2: "Gemma2ForCausalLM", 3: "Gemma3ForCausalLM"}


def config_from_json(stated: dict[str, Any], source: str, *, is_chat: bool = False) -> GemmaConfig:
    """Our config from the keys of transformers; refuses what isn't a Gemma that is computed here."""
    kind = stated.get("model_type", "gemma")
    generation = _GENERATIONS.get(kind) if isinstance(kind, str) else None
    if generation is None:
        raise ConfigError(f"{source} states model_type={shown(kind)}; supported are {_NAMES}")
    text = stated.get("text_config", stated) if kind == "gemma3" else stated
    if not isinstance(text, dict):
        raise ConfigError(f"{source} states text_config={shown(text)}; it must be an object")
    for key, allowed in _FIXED.items():
        if key in text and text[key] not in allowed:
            raise ConfigError(f"{source} states {key}={shown(text[key])}; Gemma {generation} has {allowed[0]!r}")
    defaults = _DEFAULTS[generation]
    known = {**defaults, **{key: value for key, value in text.items() if value is not None or key not in defaults}}
    if generation == 2:  # null means without, and isn't the default
        known |= {key: text[key] for key in ("attn_logit_softcapping", "final_logit_softcapping") if key in text}
    try:
        return GemmaConfig(
            num_layers=known["num_hidden_layers"],
            d_model=known["hidden_size"],
            d_ff=known["intermediate_size"],
            num_heads=known["num_attention_heads"],
            num_kv_heads=known["num_key_value_heads"],
            head_dim=known["head_dim"],
            vocab_size=known["vocab_size"],
            context_length=known["max_position_embeddings"],
            norm_eps=known.get("rms_norm_eps", 1e-6),
            is_instruction_tuned=stated.get("is_instruction_tuned", is_chat),
            **_rope(known, generation, source),
            **(_later(known, generation, source) if generation > 1 else {}),
        )
    except KeyError as error:
        raise ConfigError(f"{source} doesn't state {error.args[0]}") from None


def _later(known: dict[str, Any], generation: int, source: str) -> dict[str, Any]:
    """The fields that Gemma 1 doesn't have."""
    pattern = _window_pattern(known, source)
    return {
        "query_scalar": known["query_pre_attn_scalar"],
        "attention_cap": known.get("attn_logit_softcapping"),
        "final_cap": known.get("final_logit_softcapping"),
        "window": known["sliding_window"] if any(pattern) else None,
        "window_pattern": pattern if any(pattern) else (),
        "has_qk_norms": generation == 3,
        "has_post_norms": True,
    }


def _window_pattern(known: dict[str, Any], source: str) -> tuple[bool, ...]:
    """Which layers are windowed: the list of all, shortened to what it repeats, or the last of each few isn't."""
    layers, types = known["num_hidden_layers"], known.get("layer_types")
    if types is None:
        every = known.get("_sliding_window_pattern", known["sliding_window_pattern"])
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ConfigError(f"{source} states sliding_window_pattern={shown(every)}; it must be a number above 0")
        return (*(True,) * (min(every, layers + 1) - 1), *(False,) * (every <= layers))
    if not isinstance(types, list) or any(not isinstance(one, str) or one not in _LAYER_TYPES for one in types):
        raise ConfigError(f"{source} states layer_types={shown(types)}; a type is one of {', '.join(_LAYER_TYPES)}")
    if len(types) != layers:
        raise ConfigError(f"{source} states {len(types)} layer_types for {layers} layers")
    pattern = tuple(_LAYER_TYPES[one] for one in types)
    return next(
        pattern[:size]
        for size in range(1, layers + 1)
        if all(one == pattern[i % size] for i, one in enumerate(pattern))
    )


def _rope(known: dict[str, Any], generation: int, source: str) -> dict[str, Any]:
    """Bases and scale of the rotary embedding, as newer and older versions state them."""
    stated = known.get("rope_parameters") or {}
    if not isinstance(stated, dict):
        raise ConfigError(f"{source} states rope_parameters={shown(stated)}; it must be an object")
    whole, local = stated, {}
    if generation == 3:
        whole = stated.get("full_attention", {"rope_theta": known["rope_theta"], **(known.get("rope_scaling") or {})})
        local = stated.get("sliding_attention", {"rope_theta": known["rope_local_base_freq"]})
    elif known.get("rope_scaling"):
        raise ConfigError(f"{source} states rope_scaling; Gemma {generation} has none")
    found = {
        "rope_base": whole.get("rope_theta", known["rope_theta"]),
        "rope_scale": _rope_scale(whole, ("default", "linear") if generation == 3 else ("default",), source),
    }
    if generation == 3:
        _rope_scale(local, ("default",), source)
        found["local_rope_base"] = local.get("rope_theta", known["rope_local_base_freq"])
    return found


def _rope_scale(stated: dict[str, Any], allowed: tuple[str, ...], source: str) -> float:
    kind = stated.get("rope_type", stated.get("type", "default"))
    if kind not in allowed:
        raise ConfigError(f"{source} states rope_type={shown(kind)}; supported are {', '.join(allowed)}")
    return stated.get("factor", 1.0) if kind == "linear" else 1.0


def config_to_json(config: GemmaConfig, dtype: str) -> dict[str, Any]:
    """The keys that `transformers` reads, for `save`."""
    generation = config.generation
    return {
        "architectures": [_ARCHITECTURES[generation]],
        "model_type": _MODEL_TYPES[generation],
        "attention_bias": False,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "head_dim": config.head_dim,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_base,
        **(_later_json(config) if generation > 1 else {}),
        "tie_word_embeddings": True,
        "torch_dtype": dtype,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "is_instruction_tuned": config.is_instruction_tuned,
    }


def _later_json(config: GemmaConfig) -> dict[str, Any]:
    types = {is_windowed: name for name, is_windowed in _LAYER_TYPES.items()}
    stated: dict[str, Any] = {
        "query_pre_attn_scalar": config.query_scalar or config.head_dim,
        "attn_logit_softcapping": config.attention_cap,
        "final_logit_softcapping": config.final_cap,
        "sliding_window": config.window or config.context_length,
        "layer_types": [types[window is not None] for window in config.windows],
    }
    if config.generation == 3:
        stated["rope_local_base_freq"] = config.local_rope_base or config.rope_base
        stated["rope_scaling"] = (
            None if config.rope_scale == 1.0 else {"rope_type": "linear", "factor": config.rope_scale}
        )
    return stated
