"""What of a job is for everybody: its options as they are published, without local paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

_PATH_OPTIONS = {
    "input",
    "retry_rejected",
    "model",
    "tokenizer",
    "policy",
    "task",
    "benchmarks",
    "opt_out",
    "known_text",
}


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as they are published: of files and folders only the last part of the name.

    >>> public_options({"model": "/home/me/codegemma-2b", "input": ["in/a.parquet"], "seed": 1})
    {'model': 'codegemma-2b', 'input': ['a.parquet'], 'seed': 1}
    """
    return {name: _public_value(name, value) for name, value in options.items()}


def _public_value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_public_value(name, one) for one in value]
    if not isinstance(value, str):
        return value
    is_path = name in _PATH_OPTIONS or value.startswith(("/", "~", "file://"))
    return os.path.basename(value.rstrip("/")) if is_path else value
