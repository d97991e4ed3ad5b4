"""`config.json` of Gemma 2 and 3 as it is published, and checkpoints with a vision tower."""

from __future__ import annotations

import json
import logging
import re

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import model
from model import PRESETS, Gemma
from model.checkpoint.huggingface_config import config_from_json, config_to_json
from model.errors import ConfigError
from tests.model.checkpoint.written import TINY_3, random_weights

# What the published files state, in the words of the version of transformers that wrote them.
GEMMA_2_2B = {
    "model_type": "gemma2", "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 2304, "intermediate_size": 9216,
    "max_position_embeddings": 8192, "num_attention_heads": 8, "num_hidden_layers": 26, "num_key_value_heads": 4,
    "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096,
    "vocab_size": 256000,
}  # fmt: skip
GEMMA_3_1B = {
    "model_type": "gemma3_text", "attn_logit_softcapping": None, "final_logit_softcapping": None, "head_dim": 256,
    "hidden_size": 1152, "intermediate_size": 6912, "max_position_embeddings": 32768, "num_attention_heads": 4,
    "num_hidden_layers": 26, "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
    "rope_local_base_freq": 10000, "rope_scaling": None, "rope_theta": 1000000, "sliding_window": 512,
    "sliding_window_pattern": 6, "vocab_size": 262144,
}  # fmt: skip
GEMMA_3_4B = {  # the rest is transformers' defaults
    "model_type": "gemma3",
    "vision_config": {"hidden_size": 1152},
    "text_config": {
        "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("stated", "preset"),
    [(GEMMA_2_2B, "gemma-2-2b"), (GEMMA_3_1B, "gemma-3-1b"), (GEMMA_3_4B, "gemma-3-4b")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_published_configs_are_the_presets(stated, preset):
    vocab_size = 262_208 if preset == "gemma-3-4b" else PRESETS[preset].vocab_size  # 64 rows to spare
    assert config_from_json(stated, "config.json").__dict__ == PRESETS[preset].__dict__ | {"vocab_size": vocab_size}


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_written_is_read_as_it_was(name):
    assert config_from_json(config_to_json(PRESETS[name], "bfloat16"), "config.json") == PRESETS[name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gemma4"}, "states model_type='gemma4'; supported are Gemma 1 (gemma), Gemma 2 (gemma2)"),
        ({"layer_types": ["full_attention"] * 3}, "states 3 layer_types for 26 layers"),
        ({"layer_types": ["chunked_attention"] * 26}, "a type is one of sliding_attention, full_attention"),
        ({"sliding_window_pattern": 0}, "states sliding_window_pattern=0; it must be a number above 0"),
        ({"sliding_window": 99_999}, "the window is 99,999 tokens, the context only 32,768"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "states rope_type='yarn'; supported are default, linear"),
        ({"use_bidirectional_attention": True}, "states use_bidirectional_attention=True"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_config_that_is_not_computed_here_is_refused(change, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        config_from_json(GEMMA_3_1B | change, "config.json")


@pytest.mark.parametrize("part", ["language_model.model.", "model.language_model."])
def test_a_checkpoint_with_a_vision_tower_loads_its_text_part_and_says_so(tmp_path, caplog, part):
    weights = random_weights(TINY_3)
    model.save(Gemma(TINY_3, weights=weights), tmp_path)
    text = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": text}))
    tensors = load_file(tmp_path / "model.safetensors")
    tensors = {name.replace("model.", part, 1): tensor for name, tensor in tensors.items()}
    others = ["vision_tower.vision_model.head.weight", "multi_modal_projector.mm_soft_emb_norm.weight"]
    save_file(tensors | {name: np.ones(3, np.float32) for name in others}, tmp_path / "model.safetensors")
    with caplog.at_level(logging.INFO):
        loaded = model.load(tmp_path)
    assert loaded.config == TINY_3
    np.testing.assert_array_equal(loaded.arrays().blocks[5].q_norm, weights.blocks[5].q_norm)
    assert "has a vision tower: its text part is loaded, 2 other tensors are not" in caplog.text


def test_layers_of_different_kinds_are_not_stacked(tmp_path):
    model.save(Gemma(TINY_3, weights=random_weights(TINY_3)), tmp_path)
    with pytest.raises(ConfigError, match="layers with and without a window can't be stacked"):
        model.load(tmp_path, layout="scanned")
