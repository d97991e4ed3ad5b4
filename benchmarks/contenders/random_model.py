"""Writes a Gemma in the contenders' formats: a random one of some config, or a published one (`codemill[real]`).

With `--gguf`: safetensors in Hugging Face's layout, float32, and GGUF in F32 and Q8_0. Otherwise bfloat16 safetensors
only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# GGUF's names of a block's tensors, by their names in the parameter tree.
_GGUF_NAMES = {
    "pre_attention_norm": "attn_norm",
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "pre_mlp_norm": "ffn_norm",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
_LATER_NAMES = {
    "post_attention_norm": "post_attention_norm",
    "post_mlp_norm": "post_ffw_norm",
    "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm",
}
_ARCHITECTURES = {1: "gemma", 3: "gemma3"}


def write_gguf(weights: Any, config: Any, path: Path, *, quantized: bool) -> None:
    """Norms are stored +1, as llama.cpp expects them; matrices in F32 or Q8_0."""
    import gguf

    writer = gguf.GGUFWriter(path, _ARCHITECTURES[config.generation])
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_vocab_size(config.vocab_size)
    if config.window is not None:
        writer.add_sliding_window(config.window)
    _add_made_up_vocabulary(writer, config.vocab_size)

    def add(name: str, leaf: Any) -> None:
        array = np.asarray(leaf, np.float32)
        if array.ndim == 1:
            writer.add_tensor(name, array + 1)
        elif quantized:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)

    add("token_embd.weight", weights.embedding)
    add("output_norm.weight", weights.final_norm)
    for index, block in enumerate(weights.blocks):
        for name, stored in (_GGUF_NAMES | _LATER_NAMES).items():
            if (leaf := getattr(block, name, None)) is not None:
                add(f"blk.{index}.{stored}.weight", leaf)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_made_up_vocabulary(writer: Any, size: int) -> None:
    """llama.cpp's server needs a vocabulary and answers in text: each made-up piece is its own id."""
    import gguf

    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>", *(f"t{index}" for index in range(3, size))])
    control = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_token_types([*control, *[gguf.TokenType.NORMAL] * (size - len(control))])
    writer.add_token_scores([0.0] * size)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)


def main() -> None:
    import jax
    import jax.numpy as jnp

    import model
    from model.config import GemmaConfig
    from model.gemma import Gemma, init_weights

    folder, stated = Path(sys.argv[1]), json.loads(sys.argv[2])
    if isinstance(stated, str):
        gemma = model.load(stated, dtype=jnp.float32)
        config = gemma.config
    else:
        config = GemmaConfig(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in stated.items()}
        )
        gemma = Gemma(config, weights=init_weights(jax.random.key(0), config))
    with_gguf = sys.argv[3:] == ["--gguf"]
    model.save(gemma, folder / "model", dtype="float32" if with_gguf else "bfloat16")
    if not with_gguf:
        return
    weights = gemma.arrays()
    write_gguf(weights, config, folder / "model-f32.gguf", quantized=False)
    write_gguf(weights, config, folder / "model-q8_0.gguf", quantized=True)


if __name__ == "__main__":
    main()
