"""Whether a text parses, as a verdict to hold before and after redaction."""

from __future__ import annotations

import functools
from typing import Any

_GRAMMARS = {"c++": "cpp", "c#": "csharp", "shell": "bash", "objective-c": "objc", "jsx": "javascript", "vue": "html"}
MAX_PARSED_BYTES = 2_000_000


@functools.lru_cache(maxsize=64)
def _parser(language: str) -> Any | None:
    from tree_sitter_language_pack import get_parser

    try:
        return get_parser(_GRAMMARS.get(language, language))  # type: ignore[arg-type]
    except LookupError:
        return None


def parses(text: str, language: str) -> bool:
    """Whether tree-sitter finds no error in a text. False for languages without a grammar and for texts over 2 MB, so
    that
    "parsed before and not after" never holds for them."""
    data = text.encode("utf-8", "surrogatepass")
    if not language or len(data) > MAX_PARSED_BYTES:
        return False
    parser = _parser(language.lower())
    return parser is not None and not parser.parse(data).root_node.has_error
