"""Parse trees of regular expressions over bytes, shared by all that analyzes a rule's pattern one after another."""

from __future__ import annotations

import functools
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any


@functools.lru_cache(maxsize=16)
def parse_pattern(pattern: str) -> Any:
    """The tree that CPython's `re._parser` makes of a pattern; it must not be changed. Raises re.error, OverflowError
    or RecursionError."""
    return sre_parser.parse(pattern.encode("utf-8"), 0)
