"""Gemma 3 270M by other means than codemill's: NumPy over tensors that `gguf` dequantizes, pieces merged by score.

Reference.load(path)         the file's tensors and pieces
.logits(tokens, last)        a forward pass in float32; `tests.golden.make_golden` has one in float64, token by token
.encode(text)                ids by byte-pair merges, best score first
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from tests.golden.make_golden import LOCAL, WHOLE

NAME: Final = "gemma3-270m"
# gemma-3-270m's published configuration.
CONFIG: Final[dict[str, Any]] = {
    "model_type": "gemma3_text", "num_hidden_layers": 18, "hidden_size": 640, "num_attention_heads": 4,
    "num_key_value_heads": 1, "head_dim": 256, "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 256,
    "sliding_window": 512,
    "layer_types": [WHOLE if layer % 6 == 5 else LOCAL for layer in range(18)],
    "rope_parameters": {LOCAL: {"rope_theta": 10_000.0}, WHOLE: {"rope_theta": 1_000_000.0}},
}  # fmt: skip
_LAYER_NAMES: Final = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "post_ffw_norm": "post_feedforward_layernorm",
}  # fmt: skip
_USER_DEFINED: Final = 4  # a type of pieces

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reference:
    """The model.

    Args:
        config: As Hugging Face writes it.
        tensors: Float32, under Hugging Face's names, norms without the one that GGUF adds to them.
        pieces: Each piece's id, of those that text is made of.
        scores: By id.
        wholes: Pieces that are never merged from others, longest first.
    """

    config: dict[str, Any]
    tensors: dict[str, Array]
    pieces: dict[str, int]
    scores: list[float]
    wholes: tuple[str, ...]

    @classmethod
    def load(cls, path: str) -> Self:
        """Reads a file by the `gguf` package."""
        import gguf

        reader = gguf.GGUFReader(path)
        found = {}
        for tensor in reader.tensors:
            value = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            stem = tensor.name.removesuffix(".weight")
            if stem.startswith("blk."):
                _, layer, part = stem.split(".", 2)
                name = f"model.layers.{layer}.{_LAYER_NAMES[part]}"
            else:
                name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}[stem]
            found[f"{name}.weight"] = value - 1 if "norm" in name else value
        stated = {
            name: reader.fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "scores", "token_type")
        }
        pieces, wholes = {}, []
        for number, (piece, kind) in enumerate(zip(stated["tokens"], stated["token_type"], strict=True)):
            if kind == _USER_DEFINED and piece.strip(" \n\t▁") == "":  # runs of blanks; others are no text
                piece = piece.replace(" ", "▁")
                wholes.append(piece)
            elif kind == _USER_DEFINED:
                continue
            pieces[piece] = number
        return cls(CONFIG, found, pieces, stated["scores"], tuple(sorted(wholes, key=len, reverse=True)))

    def logits(self, tokens: npt.NDArray[np.int32], last: int | None = None) -> Array:
        """Logits [length vocab] of one sequence, or [last vocab] of its last tokens."""
        config, heads, size = self.config, self.config["num_attention_heads"], self.config["head_dim"]
        eps = np.float32(config["rms_norm_eps"])

        def normed(x: Array, name: str) -> Array:
            return x / np.sqrt(np.mean(x**2, -1, keepdims=True) + eps) * (1 + self.tensors[f"{name}.weight"])

        def times(x: Array, name: str) -> Array:
            return x @ self.tensors[f"{name}.weight"].T

        positions = np.arange(len(tokens))
        apart = positions[:, None] - positions[None, :]
        x = self.tensors["model.embed_tokens.weight"][tokens] * np.float32(config["hidden_size"] ** 0.5)
        for layer, kind in enumerate(config["layer_types"]):
            at = f"model.layers.{layer}"
            inputs = normed(x, f"{at}.input_layernorm")
            query, key, value = (
                times(inputs, f"{at}.self_attn.{name}_proj").reshape(len(tokens), -1, size) for name in "qkv"
            )
            rope = config["rope_parameters"][kind]
            query, key = (
                _rotated(normed(one, f"{at}.self_attn.{name}_norm"), positions / rope.get("factor", 1), rope)
                for one, name in ((query, "q"), (key, "k"))
            )
            seen = (apart >= 0) & ((apart < config["sliding_window"]) | (kind == WHOLE))
            shared = heads // config["num_key_value_heads"]
            scores = np.einsum("thd,shd->hts", query, key.repeat(shared, 1)) / config["query_pre_attn_scalar"] ** 0.5
            chances = np.exp(np.where(seen, scores - scores.max(-1, keepdims=True), -np.inf))
            chances = (chances / chances.sum(-1, keepdims=True)).astype(np.float32)
            read = np.einsum("hts,shd->thd", chances, value.repeat(shared, 1)).reshape(len(tokens), -1)
            x = x + normed(times(read, f"{at}.self_attn.o_proj"), f"{at}.post_attention_layernorm")
            inputs = normed(x, f"{at}.pre_feedforward_layernorm")
            gate = times(inputs, f"{at}.mlp.gate_proj")
            gate = 0.5 * gate * (1 + np.tanh((2 / np.pi) ** 0.5 * (gate + 0.044715 * gate**3)))
            fed = times((gate * times(inputs, f"{at}.mlp.up_proj")).astype(np.float32), f"{at}.mlp.down_proj")
            x = (x + normed(fed, f"{at}.post_feedforward_layernorm")).astype(np.float32)
        return times(normed(x[-(last or len(x)) :], "model.norm"), "model.embed_tokens")

    def encode(self, text: str) -> list[int]:
        """Ids of a text: runs of blanks first, then what stands between them by merges."""
        text, ids, start, place = text.replace(" ", "▁"), [], 0, 0
        while place < len(text):
            if whole := next((one for one in self.wholes if text.startswith(one, place)), ""):
                ids += [*self._merged(text[start:place]), self.pieces[whole]]
                start = place = place + len(whole)
            else:
                place += 1
        return ids + self._merged(text[start:])

    def _merged(self, text: str) -> list[int]:
        parts = list(text)
        while True:
            pairs = [(self.pieces.get(a + b), i) for i, (a, b) in enumerate(itertools.pairwise(parts))]
            known = [(self.scores[id_], -i) for id_, i in pairs if id_ is not None]
            if not known:
                break
            place = -max(known)[1]
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        ids = []
        for part in parts:
            known_id = self.pieces.get(part)
            ids += [known_id] if known_id is not None else [self.pieces[f"<0x{byte:02X}>"] for byte in part.encode()]
        return ids


def _rotated(x: Array, positions: npt.NDArray[np.floating[Any]], rope: dict[str, Any]) -> Array:
    half = x.shape[-1] // 2
    angles = (positions[:, None] / rope["rope_theta"] ** (np.arange(half) / half))[:, None]
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], -1)
