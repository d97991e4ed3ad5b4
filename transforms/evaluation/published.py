"""Published figures of the models, beside which a score is told. The figures are data: `published.toml`."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_PATH: Final = Path(__file__).parent / "published.toml"
# What checkpoint folders add to a model's name without making it another model.
_FORMS: Final = frozenset(
    {
        *("google", "models", "hf", "pytorch", "flax", "keras", "jax", "orbax", "gguf", "safetensors", "npz"),
        *("f16", "bf16", "f32", "fp16", "fp32", "bfloat16", "float32"),
    }
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure.

    Args:
        model: The model's name.
        share: Between 0 and 1.
        problems: Over how many problems it is; None: not known.
        source: Where it is published.
    """

    model: str
    share: float
    problems: int | None
    source: str


@functools.cache
def _tables() -> Mapping[str, Any]:
    return tomllib.loads(_PATH.read_text(encoding="utf-8"))


def published_models() -> tuple[str, ...]:
    """The models that have figures."""
    return tuple(_tables()["models"])


def recognized(folder: str) -> str | None:
    """The model that a checkpoint's folder is named after; None if it isn't one of those with figures.

    >>> recognized("codegemma-7b-it"), recognized("google_codegemma-1.1-2b-flax"), recognized("codegemma-2b-mine")
    ('codegemma-7b-it', 'codegemma-1.1-2b', None)
    >>> recognized("gemma3-270m")
    'gemma-3-270m'
    """
    folder = re.sub(r"(?i)\bgemma(?=\d)", "gemma-", folder)
    words = [word for word in re.split(r"[^a-z0-9.]+|\.(?=[a-z])", folder.lower()) if word not in _FORMS]
    named = "-".join(filter(None, words))
    return named if named in published_models() else None


def figure_of(model: str, benchmark: str, language: str) -> Figure | None:
    """The published figure of a model; None if there is none for this benchmark and language."""
    tables = _tables()
    table = tables["models"][model]
    found = table.get(benchmark)
    percent = found.get(language) if isinstance(found, dict) else found
    if percent is None:
        return None
    return Figure(model, percent / 100, tables["problems"].get(benchmark), tables["sources"][table["source"]])
