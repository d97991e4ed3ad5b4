"""The fields that tell generations apart: what they make of each layer, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model.config import PRESETS, GemmaConfig
from model.errors import ConfigError

TINY = GemmaConfig(
    num_layers=4, d_model=32, d_ff=64, num_heads=4, num_kv_heads=2, head_dim=8, vocab_size=80, context_length=64
)


def test_published_generations_have_their_windows():
    assert PRESETS["codegemma-2b"].windows == (None,) * 18
    assert PRESETS["gemma-2-2b"].windows == (4096, None) * 13
    windows = PRESETS["gemma-3-1b"].windows
    assert (windows.count(512), windows.count(None), windows[5], windows[-1]) == (22, 4, None, 512)
    assert [PRESETS[name].generation for name in ("codegemma-7b-it", "gemma-2-9b", "gemma-3-27b-it")] == [1, 2, 3]


def test_windowed_layers_have_a_rotary_embedding_of_their_own():
    assert PRESETS["gemma-3-4b"].rope_of(None) == (1_000_000.0, 8.0)
    assert PRESETS["gemma-3-4b"].rope_of(1024) == (10_000.0, 1.0)
    assert PRESETS["gemma-2-2b"].rope_of(None) == PRESETS["gemma-2-2b"].rope_of(4096) == (10_000.0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 65, "window_pattern": (True,)}, "the window is 65 tokens, the context only 64"),
        ({"window": 8, "window_pattern": (True,) * 5}, "the window pattern has 5 layers; the model has 4"),
        ({"window": 8}, "a window of 8 and a window pattern [] don't fit each other"),
        ({"window_pattern": (True, False)}, "a window of None and a window pattern [True, False] don't fit"),
        ({"window": 0, "window_pattern": (True,)}, "window is 0; it must be a whole number of tokens above 0"),
        ({"attention_cap": 0.0}, "attention_cap is 0.0; it must be a number above 0"),
        ({"query_scalar": "x"}, "query_scalar is 'x'"),
        ({"rope_scale": None}, "rope_scale is None"),
        ({"has_qk_norms": 1}, "has_qk_norms is 1; it must be true or false"),
    ],
)
def test_fields_that_make_no_model_are_refused(change, message):
    with pytest.raises(ConfigError) as error:
        replace(TINY, **change)
    assert message in str(error.value)
