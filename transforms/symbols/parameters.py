"""The parameters of a function or class as declared: name, type and default, from tree-sitter's nodes."""

from __future__ import annotations

import itertools

import tree_sitter

from transforms.symbols.signatures import Signatures
from transforms.symbols.symbol import Parameter

Node = tree_sitter.Node

# `*rest: int` is a tuple, and `...rest: number[]` is documented by its elements' type.
_SEVERAL = ("list_splat_pattern", "dictionary_splat_pattern", "rest_pattern", "spread_parameter")


def declared_parameters(signatures: Signatures, node: Node) -> tuple[Parameter, ...]:
    """The parameters in order, without receivers."""
    names = signatures.parameters_of(node)
    holder = signatures.parameter_list(node)
    if holder is None or holder.type == "identifier":
        return tuple(map(Parameter, names))
    declared: list[Parameter] = []
    following = ""  # Kotlin: the default stands behind the parameter in the list
    for child in reversed(holder.children):
        if child.is_named:
            several, default = _takes_several(child), _default(signatures, child) or following
            kind = "" if several else signatures.text(child.child_by_field_name("type")).lstrip(":").strip()
            declared += [Parameter(name, kind, default, several) for name in reversed(signatures.names_in(child))]
        following = signatures.text(child.next_named_sibling) if child.type == "=" else ""
    declared.reverse()
    # C#'s `params` array stands on the list itself.
    return (*declared, *map(Parameter, names[len(declared) :]))


def _takes_several(parameter: Node) -> bool:
    inner = parameter.named_child(0) if parameter.named_child_count else None
    return parameter.type in _SEVERAL or (inner is not None and inner.type in _SEVERAL)


def _default(signatures: Signatures, parameter: Node) -> str:
    """What stands behind a parameter's equals sign; "" for nothing."""
    children = parameter.children
    for sign, value in itertools.pairwise(children):
        if sign.type == "=":
            return signatures.text(value)
    clause = children[-1] if children else None
    is_clause = clause is not None and clause.type == "equals_value_clause"
    return signatures.text(clause).lstrip("= ") if is_clause else ""
