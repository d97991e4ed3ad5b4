"""The kinds of middles, and the mixes of them that have a name.

No paper that was found says how often completion is asked for at which place: CodeGemma's report (arXiv 2406.11409)
says that suffixes start at natural points, AST-FIM (arXiv 2506.00204) takes complete syntax nodes, and Izadi et al.
(arXiv 2402.16197), with 600,000 completions from editors, find that usual test sets differ from what is asked for
there. So the shares of both mixes are this project's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from transforms.fim.cursors import CURSOR_KINDS
from transforms.languages.grammars import SYNTAX_KINDS

LINE_KINDS: Final = ("single_line", "multi_line")
KINDS: Final = (*LINE_KINDS, "random_chars", *CURSOR_KINDS, *SYNTAX_KINDS)

DEFAULT_MIX: Final[Mapping[str, float]] = MappingProxyType(
    {
        "single_line": 3.0,
        "multi_line": 2.0,
        "random_chars": 0.5,
        "expression": 1.0,
        "argument_list": 0.5,
        "statement": 1.0,
        "block": 1.0,
        "function_body": 1.0,
        "class_body": 0.25,
        "docstring": 0.5,
        "comment": 0.25,
    }
)

# Most requests come while one types, so half of them are amid a line; the others are where a line or a block begins.
IDE_MIX: Final[Mapping[str, float]] = MappingProxyType(
    {"partial_name": 2.5, "after_dot": 1.5, "in_arguments": 1.5, "line_end": 2.5, "empty_line": 2.0}
)
MIXES: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType({"default": DEFAULT_MIX, "ide": IDE_MIX})


def expand_mix(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights of kinds, with each mix among them replaced by its kinds, which share its weight.

    >>> expand_mix({"ide": 1, "comment": 0.5})["line_end"], expand_mix({"ide": 1, "comment": 0.5})["comment"]
    (0.25, 0.5)
    """
    expanded: dict[str, float] = {}
    for name, weight in weights.items():
        mix = MIXES.get(name, {name: 1.0})
        total = sum(mix.values())
        for kind, share in mix.items():
            expanded[kind] = expanded.get(kind, 0.0) + weight * share / total
    return expanded
