"""The sampler of Google DeepMind's `gemma` package, in static batches: it has no other mode.

Its `Transformer` takes any shape; Gemma 1 is its configuration without post-norms, soft caps and windows. Prompts are
passed as token ids through a fake vocabulary; no token ends a request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from gemma import gm
from gemma.gm.nn import _config, _modules, _transformer
from safetensors.numpy import load_file
from serve import Answer, Ask, batches, serve

_PAD_LENGTHS, _LONGEST_OUTPUT = (256, 512), 200


class _NoSpecialTokens:
    PAD, BOS, EOS, END_OF_TURN, BEGIN_OF_TOOL_RESPONSE = 0, 2, -1, -1, -1


class _Ids:
    """A fake vocabulary: a prompt's text is its number, and its encoding is the ids stored under that number."""

    VERSION, FORMAT, FORBIDDEN_TOKENS, special_tokens = 0, None, (), _NoSpecialTokens

    def __init__(self) -> None:
        self.prompts: list[list[int]] = []

    def encode(self, text: str, *, add_bos: bool) -> list[int]:
        return self.prompts[int(text)]

    def decode(self, ids: Any) -> str:
        return ""


def load(folder: Path, threads: int) -> Any:
    shape = json.loads((folder / "model" / "config.json").read_text())
    config = _config.TransformerConfig(
        num_embed=shape["vocab_size"],
        embed_dim=shape["hidden_size"],
        hidden_dim=shape["intermediate_size"],
        num_heads=shape["num_attention_heads"],
        head_dim=shape["head_dim"],
        num_kv_heads=shape["num_key_value_heads"],
        final_logit_softcap=None,
        use_post_attn_norm=False,
        use_post_ffw_norm=False,
        attention_types=(_modules.AttentionType.GLOBAL,) * shape["num_hidden_layers"],
    )

    class RandomGemma(_transformer.Transformer):
        INFO = _transformer.ModelInfo()

    RandomGemma.__annotations__["config"] = Any
    ids = _Ids()
    sampler = gm.text.Sampler(
        model=RandomGemma(config=config, dtype=jnp.float32),
        params=parameters(load_file(folder / "model" / "model.safetensors"), config),
        tokenizer=ids,  # type: ignore[arg-type]
        cache_length=_PAD_LENGTHS[-1] + _LONGEST_OUTPUT,
        max_out_length=_LONGEST_OUTPUT,
        pad_length=_PAD_LENGTHS,
    )

    def run(asks: Sequence[Ask], settings: dict[str, Any]) -> Answer:
        tokens: list[list[int]] = []
        for group in batches(asks, settings["batch"]):
            ids.prompts = [ask.prompt for ask in group]
            names = [str(index) for index in range(len(group))]
            longest = max(ask.new_tokens for ask in group)
            out = sampler.sample(names, max_new_tokens=longest, return_state=True)
            lines = np.asarray(out.state.predicted_tokens)
            tokens += [line[: ask.new_tokens].tolist() for line, ask in zip(lines, group, strict=True)]
        return Answer(tokens)

    return run


def parameters(tensors: dict[str, np.ndarray], config: Any) -> dict[str, Any]:
    """Hugging Face's tensors [out in] in the package's tree."""
    heads, kv_heads, width = config.num_heads, config.num_kv_heads, config.head_dim

    def per_head(name: str, count: int) -> np.ndarray:  # [heads d_model head_dim]
        return tensors[name].reshape(count, width, -1).transpose(0, 2, 1)

    tree: dict[str, Any] = {
        "embedder": {"input_embedding": tensors["model.embed_tokens.weight"]},
        "final_norm": {"scale": tensors["model.norm.weight"]},
    }
    for index in range(config.num_layers):
        at = f"model.layers.{index}."
        key, value = (per_head(f"{at}self_attn.{one}_proj.weight", kv_heads) for one in "kv")
        output = tensors[f"{at}self_attn.o_proj.weight"].T.reshape(heads, width, -1)
        gate, up = (tensors[f"{at}mlp.{one}_proj.weight"].T for one in ("gate", "up"))
        tree[f"layer_{index}"] = {
            "attn": {
                "q_einsum": {"w": per_head(f"{at}self_attn.q_proj.weight", heads)},
                "kv_einsum": {"w": np.stack([key, value])},
                "attn_vec_einsum": {"w": output},
            },
            "mlp": {"gating_einsum": np.stack([gate, up]), "linear": tensors[f"{at}mlp.down_proj.weight"].T},
            "pre_attention_norm": {"scale": tensors[f"{at}input_layernorm.weight"]},
            "pre_ffw_norm": {"scale": tensors[f"{at}post_attention_layernorm.weight"]},
        }
    return {name: _to_jax(branch) for name, branch in tree.items()}


def _to_jax(branch: Any) -> Any:
    if isinstance(branch, dict):
        return {name: _to_jax(one) for name, one in branch.items()}
    return jnp.asarray(branch)


if __name__ == "__main__":
    serve(load)
