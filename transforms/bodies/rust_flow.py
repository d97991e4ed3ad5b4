"""Whether Rust's blocks give a value: the last expression without `;`, or a jump before it.

if n < 2 { return n; }       gives none: the block's last expression is an `if` without `else`
words.len();                 gives none: `;` drops it
"""

from __future__ import annotations

from typing import Final

import tree_sitter

from transforms.bodies.flow import CALLED_NAME, COMMENTS, FUNCTIONS
from transforms.bodies.python_flow import NEVER_RETURNS
from transforms.languages.syntax import Source

Node = tree_sitter.Node

_UNIT_MACROS: Final = ("println", "print", "eprintln", "eprint", "assert", "assert_eq", "assert_ne", "debug_assert")
_UNIT_TYPES: Final = (
    "while_expression for_expression assignment_expression compound_assignment_expr let_declaration empty_statement"
)
_UNIT_EXPRESSIONS: Final = frozenset(_UNIT_TYPES.split())


def gives_value(source: Source, node: Node) -> bool:
    """Whether an expression in the place of a result gives a value, or control never comes to its end."""
    kind = node.type
    if kind in ("block", "unsafe_block", "else_clause", "match_arm"):
        return _block_gives_value(source, node)
    if kind == "if_expression":
        branches = [node.child_by_field_name(name) for name in ("consequence", "alternative")]
        return all(branch is not None and gives_value(source, branch) for branch in branches)
    if kind == "match_expression":
        return all(gives_value(source, value) for value in _arm_values(node))
    if kind == "macro_invocation":
        return source.text(node.child_by_field_name("macro")) not in _UNIT_MACROS
    if kind == "loop_expression":
        return not any(text.rstrip("; ") == "break" for text in _own_breaks(source, node))
    return kind not in _UNIT_EXPRESSIONS and not kind.endswith("_item")


def _block_gives_value(source: Source, block: Node) -> bool:
    inside = [child for child in block.named_children if child.type not in COMMENTS and child.type != "label"]
    if block.type == "unsafe_block" and len(inside) == 1:
        return gives_value(source, inside[0])
    if inside and (last := _tail(source, inside[-1])) is not None and gives_value(source, last):
        return True
    return any(_diverges(source, child) for child in inside)


def _tail(source: Source, last: Node) -> Node | None:
    """The block's last expression; None if it ends with `;`."""
    if last.type != "expression_statement":
        return last
    return None if source.text(last).endswith(";") else last.named_children[0]


def _arm_values(match: Node) -> list[Node]:
    body = match.child_by_field_name("body")
    arms = body.named_children if body is not None else []
    return [value for arm in arms if (value := arm.child_by_field_name("value")) is not None]


def _diverges(source: Source, node: Node) -> bool:
    """Whether control never passes a statement of Rust."""
    if node.type == "expression_statement" and node.named_child_count:
        node = node.named_children[0]
    kind = node.type
    if kind in ("return_expression", "break_expression", "continue_expression"):
        return True
    if kind in ("macro_invocation", "call_expression"):
        called = CALLED_NAME.search(source.text(node))
        return called is not None and NEVER_RETURNS.fullmatch(called[1]) is not None
    if kind == "loop_expression":
        return not _own_breaks(source, node)
    if kind in ("block", "unsafe_block", "else_clause"):
        return any(_diverges(source, child) for child in node.named_children)
    if kind == "if_expression":
        branches = [node.child_by_field_name(name) for name in ("consequence", "alternative")]
        return all(branch is not None and _diverges(source, branch) for branch in branches)
    return kind == "match_expression" and all(_diverges(source, value) for value in _arm_values(node))


def _own_breaks(source: Source, loop: Node) -> list[str]:
    """The `break`s that may leave a loop of Rust, as text; one with a label counts as one that does."""
    found, waiting = [], [(child, True) for child in loop.named_children]
    while waiting:
        node, is_own = waiting.pop()
        if node.type in FUNCTIONS:
            continue
        if node.type == "break_expression" and (is_own or "'" in source.text(node)):
            found.append(source.text(node))
        is_inner = node.type in ("loop_expression", "while_expression", "for_expression")
        waiting += [(child, is_own and not is_inner) for child in node.named_children]
    return found
