"""Mutants: versions of a piece of code with one small change of meaning each, made by syntax.

Tests that pass on the code and on every mutant of it check nothing. The operators are the usual ones of mutation
testing (DeMillo et al. 1978; PIT's defaults), on syntax trees, so that nothing in a string or comment changes:

    flipped_comparison    a < b      a >= b          negated_condition    if a:     if not (a):
    off_by_one            a < b      a <= b; 7  8    swapped_arithmetic   a + b     a - b; a and b  a or b
    changed_constant      7  0; true  false          removed_statement    f(x)      pass

Which of them are taken is drawn by a seed, each kind in turn, so that a bound on their number leaves all kinds in. A
mutant may be equivalent to the code, or not compile: neither is known here.

Cost: one parse of the definition, or of its file if it can't stand alone, per mutant that is drawn.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import tree_sitter

from transforms.languages.parsing import compiles
from transforms.languages.syntax import Source, parse

Node = tree_sitter.Node
Kind = Literal[
    "flipped_comparison",
    "off_by_one",
    "swapped_arithmetic",
    "changed_constant",
    "negated_condition",
    "removed_statement",
]

_FLIPPED: Final[Mapping[str, str]] = {
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "==": "!=",
    "!=": "==",
    "===": "!==",
    "!==": "===",
    "in": "not in",
    "not in": "in",
    "is": "is not",
    "is not": "is",
}
_NEIGHBORS: Final[Mapping[str, str]] = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_SWAPPED: Final[Mapping[str, str]] = {
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "//": "*",
    "%": "*",
    "+=": "-=",
    "-=": "+=",
    "*=": "/=",
    "&&": "||",
    "||": "&&",
    "and": "or",
    "or": "and",
    "&": "|",
    "|": "&",
    "<<": ">>",
    ">>": "<<",
}
# `<` is an operator below these nodes only; elsewhere it may begin type arguments.
_OPERATIONS: Final = (
    *("binary_expression", "binary_operator", "boolean_operator", "comparison_operator", "comparison_expression"),
    *("equality_expression", "additive_expression", "multiplicative_expression", "conjunction_expression"),
    *("disjunction_expression", "augmented_assignment", "augmented_assignment_expression", "compound_assignment_expr"),
)
_INTEGERS: Final = frozenset(
    ["integer", "number", "int_literal", "integer_literal", "decimal_integer_literal", "number_literal"]
)
_TRUTHS: Final[Mapping[str, str]] = {"True": "False", "False": "True", "true": "false", "false": "true"}
_BLOCKS: Final = frozenset(["block", "statement_block", "statement_list", "statements", "compound_statement"])
_REMOVABLE: Final = (
    *("expression_statement", "assignment", "augmented_assignment", "call", "call_expression", "assignment_statement"),
    *("inc_statement", "dec_statement", "break_statement", "continue_statement", "raise_statement", "throw_statement"),
)
_CONDITIONALS: Final = frozenset(["if_statement", "elif_clause", "if_expression", "conditional_expression"])
# Elsewhere a function without its return doesn't compile.
_MAY_LOSE_ITS_RETURN: Final = ("python", "javascript")
_MAX_FOUND: Final = 2_000  # of one definition


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: what replaces the bytes from `start` to `end`."""

    kind: Kind
    start: int
    end: int
    text: str

    def of(self, data: bytes) -> str:
        """The code with the change in it."""
        return (data[: self.start] + self.text.encode() + data[self.end :]).decode()


def draw_mutants(source: Source, start: int, end: int, *, most: int, seed: int) -> tuple[Mutant, ...]:
    """Draws mutants of the code between two offsets (bytes), all of which parse.

    Args:
        source: The file.
        start, end: The range in which it is changed.
        most: How many are drawn at most.
        seed: The same seed draws the same ones.
    """
    rng = random.Random(seed)
    by_kind: dict[Kind, list[Mutant]] = {}
    for one in find_mutants(source, start, end):
        by_kind.setdefault(one.kind, []).append(one)
    for found in by_kind.values():
        rng.shuffle(found)
    kinds = sorted(by_kind)
    rng.shuffle(kinds)
    part, offset = _smallest_part(source, start, end)
    drawn: list[Mutant] = []
    while len(drawn) < most and any(by_kind.values()):
        for kind in kinds:
            if by_kind[kind] and len(drawn) < most:
                one = by_kind[kind].pop()
                if _still_parses(part, replace(one, start=one.start - offset, end=one.end - offset)):
                    drawn.append(one)
    return tuple(drawn)


def find_mutants(source: Source, start: int, end: int) -> list[Mutant]:
    """Finds the mutants of the code between two offsets (bytes), in the order of the source; some may not parse."""
    found: list[Mutant] = []
    waiting: list[tuple[Node, Node | None]] = [(source.tree.root_node, None)]
    while waiting and len(found) < _MAX_FOUND:
        node, parent = waiting.pop()
        if node.end_byte <= start or node.start_byte >= end:
            continue
        if start <= node.start_byte and node.end_byte <= end:
            found += _mutants_of(source, node, parent)
        waiting += [(child, node) for child in reversed(node.children)]
    return found


def _mutants_of(source: Source, node: Node, parent: Node | None) -> Iterator[Mutant]:
    text = source.text(node) if node.child_count == 0 or not node.is_named else ""
    if not node.is_named and parent is not None and parent.type in _OPERATIONS:
        word = " ".join(text.split())
        if word in _FLIPPED:
            yield _instead(node, "flipped_comparison", _FLIPPED[word])
        if word in _NEIGHBORS:
            yield _instead(node, "off_by_one", _NEIGHBORS[word])
        if word in _SWAPPED:
            yield _instead(node, "swapped_arithmetic", _SWAPPED[word])
    elif text in _TRUTHS:
        yield _instead(node, "changed_constant", _TRUTHS[text])
    elif node.type in _INTEGERS and text.isdecimal() and (text == "0" or text[0] != "0"):
        yield _instead(node, "off_by_one", str(int(text) + 1))
        yield _instead(node, "changed_constant", "0" if text != "0" else "2")
    elif node.type in _CONDITIONALS:
        yield from _negated(source, node)
    if parent is not None and parent.type in _BLOCKS and _may_go(source, node):
        yield _instead(node, "removed_statement", "pass" if source.grammar == "python" else "")


def _may_go(source: Source, node: Node) -> bool:
    if node.type == "return_statement":
        return source.grammar in _MAY_LOSE_ITS_RETURN
    return node.type in _REMOVABLE


def _negated(source: Source, node: Node) -> Iterator[Mutant]:
    condition = node.child_by_field_name("condition")
    if condition is None and node.type != "conditional_expression":
        condition = next(iter(node.named_children), None)
    if condition is None:
        return
    text = source.text(condition)
    if source.grammar == "python":
        yield _instead(condition, "negated_condition", f"(not ({text}))")
    elif text.startswith("(") and condition.type != "binary_expression":
        yield _instead(condition, "negated_condition", f"(!{text})")
    else:
        yield _instead(condition, "negated_condition", f"!({text})")


def _instead(node: Node, kind: Kind, text: str) -> Mutant:
    return Mutant(kind, node.start_byte, node.end_byte, text)


def _smallest_part(source: Source, start: int, end: int) -> tuple[Source, int]:
    """What must be parsed again to see whether a change is sound, and where it begins: the definition, if it can stand
    alone, since a large file can't be parsed for each mutant of each of its functions.
    """
    part = parse(source.data[start:end], source.grammar)
    if part is None or not part.is_sound:
        return source, 0
    if source.grammar == "python" and compiles(part.data.decode()) is not True:
        return source, 0
    return part, start


def _still_parses(source: Source, mutant: Mutant) -> bool:
    text = mutant.of(source.data)
    if source.grammar == "python":
        return compiles(text) is True
    changed = parse(text.encode(), source.grammar)
    return changed is not None and changed.num_errors <= source.num_errors
