"""Make the golden numbers beside this file: `python tests/golden/make_golden.py`.

A forward pass of three generations of Gemma in NumPy, float64, token by token and head by head, written
from the reports (arXiv 2403.08295, 2408.00118, 2503.19786) and sharing no code with `model/`. It agrees
with published implementations (the `gemma` and `transformers` packages) wherever their numbers are at
hand, which `tests/model/test_gemma.py` checks.

`mqa` has one key/value head (as CodeGemma 2B), `mha` as many as query heads (as 7B); `gemma2` and
`gemma3_scaled` have windows of 6 tokens. Weights are random and large enough that every part of the
arithmetic shows in the logits.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

HERE = Path(__file__).parent
SHAPES = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 40, "num_attention_heads": 4, "head_dim": 8}
VOCAB_SIZE, LENGTH, PROMPT_LENGTHS, NEW_TOKENS = 96, 24, (1, 5, 16), 12


LOCAL, WHOLE = "sliding_attention", "full_attention"
GEMMA_2 = {
    "model_type": "gemma2",
    "layer_types": [LOCAL, WHOLE],
    "sliding_window": 6,
    "query_pre_attn_scalar": 24,
    "attn_logit_softcapping": 5.0,
    "final_logit_softcapping": 3.0,
}
GEMMA_3 = {
    "model_type": "gemma3_text",
    "num_hidden_layers": 4,
    "layer_types": [LOCAL, LOCAL, WHOLE, LOCAL],
    "sliding_window": 6,
    "query_pre_attn_scalar": 8,
    "rope_parameters": {
        LOCAL: {"rope_type": "default", "rope_theta": 10_000.0},
        WHOLE: {"rope_type": "linear", "rope_theta": 1_000_000.0, "factor": 8.0},
    },
}


def random_checkpoint(num_kv_heads: int, seed: int, later: dict) -> tuple[dict, dict[str, np.ndarray]]:
    config = {"model_type": "gemma", **SHAPES, "num_key_value_heads": num_kv_heads, "vocab_size": VOCAB_SIZE}
    config |= {"rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "max_position_embeddings": 64, **later}
    d_model, d_ff = config["hidden_size"], config["intermediate_size"]
    queries, keys = config["num_attention_heads"] * config["head_dim"], num_kv_heads * config["head_dim"]
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (rng.standard_normal((rows, columns)) * 1.5 / columns**0.5).astype(np.float32)

    def norm(width: int = d_model) -> np.ndarray:
        return (rng.standard_normal(width) * 0.3).astype(np.float32)

    tensors = {"model.embed_tokens.weight": matrix(VOCAB_SIZE, d_model), "model.norm.weight": norm()}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        tensors |= {
            f"{at}.input_layernorm.weight": norm(),
            f"{at}.self_attn.q_proj.weight": matrix(queries, d_model),
            f"{at}.self_attn.k_proj.weight": matrix(keys, d_model),
            f"{at}.self_attn.v_proj.weight": matrix(keys, d_model),
            f"{at}.self_attn.o_proj.weight": matrix(d_model, queries),
            f"{at}.post_attention_layernorm.weight": norm(),
            f"{at}.mlp.gate_proj.weight": matrix(d_ff, d_model),
            f"{at}.mlp.up_proj.weight": matrix(d_ff, d_model),
            f"{at}.mlp.down_proj.weight": matrix(d_model, d_ff),
        }
        if config["model_type"] != "gemma":
            tensors[f"{at}.pre_feedforward_layernorm.weight"] = norm()
            tensors[f"{at}.post_feedforward_layernorm.weight"] = norm()
        if config["model_type"] == "gemma3_text":
            tensors[f"{at}.self_attn.q_norm.weight"] = norm(config["head_dim"])
            tensors[f"{at}.self_attn.k_norm.weight"] = norm(config["head_dim"])
    return config, tensors


def reference_logits(config: dict, tensors: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Logits [length vocab] of one sequence in float64."""
    weights = {name.removesuffix(".weight"): value.astype(np.float64) for name, value in tensors.items()}
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    half = config["head_dim"] // 2
    scalar = config.get("query_pre_attn_scalar", 2 * half)
    types = config.get("layer_types") or [WHOLE] * config["num_hidden_layers"]
    has_post_norms, has_qk_norms = config["model_type"] != "gemma", config["model_type"] == "gemma3_text"

    def normed(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt(np.mean(x**2) + config["rms_norm_eps"]) * (1 + weights[name])

    def capped(x: np.ndarray, name: str) -> np.ndarray:
        cap = config.get(name)
        return cap * np.tanh(x / cap) if cap else x

    def rotated(head: np.ndarray, position: int, kind: str) -> np.ndarray:
        stated = config.get("rope_parameters") or config
        rope = stated.get(kind, stated)
        turned = np.empty_like(head)
        for i in range(half):
            angle = position / rope.get("factor", 1.0) / rope["rope_theta"] ** (2 * i / (2 * half))
            turned[i] = head[i] * np.cos(angle) - head[i + half] * np.sin(angle)
            turned[i + half] = head[i + half] * np.cos(angle) + head[i] * np.sin(angle)
        return turned

    def attended(at: str, stream: list[np.ndarray], kind: str) -> list[np.ndarray]:
        inputs = [normed(x, f"{at}.input_layernorm") for x in stream]
        split = {
            name: [(weights[f"{at}.self_attn.{name}_proj"] @ x).reshape(-1, 2 * half) for x in inputs] for name in "qkv"
        }
        for name in "qk" if has_qk_norms else "":
            split[name] = [[normed(head, f"{at}.self_attn.{name}_norm") for head in token] for token in split[name]]
        query = [[rotated(head, position, kind) for head in token] for position, token in enumerate(split["q"])]
        key = [[rotated(head, position, kind) for head in token] for position, token in enumerate(split["k"])]
        outputs = []
        for position in range(len(inputs)):
            read = []
            first = max(0, position - config["sliding_window"] + 1) if kind == LOCAL else 0
            for head in range(heads):
                source = head * kv_heads // heads
                seen = range(first, position + 1)
                scores = np.array([query[position][head] @ key[t][source] for t in seen]) / scalar**0.5
                scores = capped(scores, "attn_logit_softcapping")
                chances = np.exp(scores - scores.max())
                chances /= chances.sum()
                read.append(sum(chance * split["v"][t][source] for t, chance in zip(seen, chances, strict=True)))
            outputs.append(weights[f"{at}.self_attn.o_proj"] @ np.concatenate(read))
        return [normed(x, f"{at}.post_attention_layernorm") for x in outputs] if has_post_norms else outputs

    def fed_forward(at: str, x: np.ndarray) -> np.ndarray:
        x = normed(x, f"{at}.{'pre_feedforward' if has_post_norms else 'post_attention'}_layernorm")
        gate = weights[f"{at}.mlp.gate_proj"] @ x
        gate = 0.5 * gate * (1 + np.tanh((2 / np.pi) ** 0.5 * (gate + 0.044715 * gate**3)))
        out = weights[f"{at}.mlp.down_proj"] @ (gate * (weights[f"{at}.mlp.up_proj"] @ x))
        return normed(out, f"{at}.post_feedforward_layernorm") if has_post_norms else out

    # The factor is rounded to the compute type, as the published models do.
    factor = float(np.float32(config["hidden_size"] ** 0.5))
    stream = [weights["model.embed_tokens"][token] * factor for token in tokens]
    for layer, kind in enumerate(types):
        at = f"model.layers.{layer}"
        stream = [x + change for x, change in zip(stream, attended(at, stream, kind), strict=True)]
        stream = [x + fed_forward(at, x) for x in stream]
    logits = np.stack([weights["model.embed_tokens"] @ normed(x, "model.norm") for x in stream])
    return capped(logits, "final_logit_softcapping")


def make(name: str, num_kv_heads: int, seed: int, later: dict) -> None:
    config, tensors = random_checkpoint(num_kv_heads, seed, later)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokens = np.random.default_rng(seed + 1).integers(0, VOCAB_SIZE, (2, LENGTH)).astype(np.int32)
    greedy = []
    for length in PROMPT_LENGTHS:
        sequence = list(tokens[0, :length])
        for _ in range(NEW_TOKENS):
            sequence.append(int(reference_logits(config, tensors, np.array(sequence))[-1].argmax()))
        greedy.append(sequence[length:])
    logits = np.stack([reference_logits(config, tensors, row) for row in tokens]).astype(np.float32)
    np.savez_compressed(
        folder / "expected.npz",
        tokens=tokens,
        logits=logits,
        prompt_lengths=np.array(PROMPT_LENGTHS, np.int32),
        greedy=np.array(greedy, np.int32),
    )


if __name__ == "__main__":
    make("mqa", num_kv_heads=1, seed=1, later={})
    make("mha", num_kv_heads=4, seed=2, later={})
    make("gemma2", num_kv_heads=2, seed=3, later=GEMMA_2)
    make("gemma3_scaled", num_kv_heads=1, seed=4, later=GEMMA_3)
