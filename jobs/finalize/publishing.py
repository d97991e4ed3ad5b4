"""A job's options as published: without local paths, and of a user's home not even its name."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Final

from jobs.catalog import options_of
from jobs.fusing.frozen import FUSED_STEPS
from jobs.options.fields import fields_of

HOME: Final = "a home folder"
"""What stands for the home folder of a user, whose last part is the user's name."""


def last_part(path: str) -> str:
    """The last part of a path.

    >>> last_part("/home/me/corpus/"), last_part("gs://bucket/corpus"), last_part("/home/me")
    ('corpus', 'corpus', 'a home folder')
    """
    folder, name = posixpath.split(path.removeprefix("file://").rstrip("/"))
    return HOME if folder in ("/home", "/Users") else name


def public_options(job: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a job's options as published: of paths, only the last part. Fused steps have options of their own.

    >>> public_options("infill", {"model": "/home/me/codegemma-2b", "input": ["in/a.parquet"], "seed": 1})
    {'model': 'codegemma-2b', 'input': ['a.parquet'], 'seed': 1}
    """
    paths = {field.name for field in fields_of(options_of(job)) if field.is_path}
    told = {name: value for name, value in options.items() if name != FUSED_STEPS}
    return {name: _public_value(value, is_path=name in paths) for name, value in told.items()}


def _public_value(value: Any, *, is_path: bool) -> Any:
    if isinstance(value, list):
        return [_public_value(one, is_path=is_path) for one in value]
    if not isinstance(value, str):
        return value
    # The value of an option that isn't a path may still be one.
    is_path = is_path or value.startswith(("/", "~", "file://"))
    return last_part(value) if is_path else value
