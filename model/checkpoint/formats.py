"""The formats that checkpoints are read in: the one list. What comes first is preferred where a folder holds several.

To add a format, write its module (`model.checkpoint.npz` is the shortest), whose `FORMAT` says how it is recognized
and read, and put it here. `tests/model/checkpoint/` has a test set of damaged files for each.
"""

from __future__ import annotations

from model.checkpoint import gguf_file, huggingface, kaggle_flax, keras, npz
from model.checkpoint.format import Format

FORMATS: tuple[Format, ...] = (
    huggingface.FORMAT,
    kaggle_flax.FORMAT,
    keras.FORMAT,
    gguf_file.FORMAT,
    npz.FORMAT,
)
