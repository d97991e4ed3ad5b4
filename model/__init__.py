"""CodeGemma in JAX/Flax: layers, tokenizer, checkpoints and the generation engine. No Beam, no Parquet.

>>> import model
>>> gemma = model.load("embedded")          # or a folder, or gs://...  # doctest: +SKIP
>>> logits = gemma(tokens)                  # doctest: +SKIP

Names are imported on first use, so `import model`, `model.config` and
`model.tokenizer` don't start JAX.

Axis names in array shapes:

    batch       sequences stacked for one call
    slots       decode rows of the engine, which persist between calls
    layers      transformer blocks, if stacked
    length      tokens of a sequence that are new in this call
    positions   positions of a key/value cache
    vocab       rows of the embedding, entries of the logits
    d_model     width of the residual stream
    d_ff        width of the gated feed-forward layer
    heads       query heads
    kv_heads    key/value heads
    head_dim    width of one head
    queries     heads * head_dim, as one axis
    keys        kv_heads * head_dim, as one axis
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.checkpoint import checkpoint_hash as checkpoint_hash
    from model.checkpoint import load as load
    from model.checkpoint import save as save
    from model.config import PRESETS as PRESETS
    from model.config import GemmaConfig as GemmaConfig
    from model.gemma import Gemma as Gemma
    from model.tokenizer import Tokenizer as Tokenizer

_HOMES = {
    "Gemma": "model.gemma",
    "GemmaConfig": "model.config",
    "PRESETS": "model.config",
    "Tokenizer": "model.tokenizer",
    "checkpoint_hash": "model.checkpoint",
    "load": "model.checkpoint",
    "save": "model.checkpoint",
}

__all__ = ["PRESETS", "Gemma", "GemmaConfig", "Tokenizer", "checkpoint_hash", "load", "save"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'model' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
