"""A job's options as published: without local paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from jobs.catalog import options_of
from jobs.options.fields import fields_of


def public_options(job: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a job's options as published: of paths, only the last part.

    >>> public_options("infill", {"model": "/home/me/codegemma-2b", "input": ["in/a.parquet"], "seed": 1})
    {'model': 'codegemma-2b', 'input': ['a.parquet'], 'seed': 1}
    """
    paths = {field.name for field in fields_of(options_of(job)) if field.is_path}
    return {name: _public_value(value, is_path=name in paths) for name, value in options.items()}


def _public_value(value: Any, *, is_path: bool) -> Any:
    if isinstance(value, list):
        return [_public_value(one, is_path=is_path) for one in value]
    if not isinstance(value, str):
        return value
    # The value of an option that isn't a path may still be one.
    is_path = is_path or value.startswith(("/", "~", "file://"))
    return os.path.basename(value.rstrip("/")) if is_path else value
