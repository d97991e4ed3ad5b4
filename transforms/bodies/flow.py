"""Whether control can pass the end of a body, by the rules of Java, C#, Go, Kotlin, C, C++, JavaScript and TypeScript
(`rust_flow` has Rust's).

    switch (n) {                 passes: no default, and nothing matches
        case 0: return 1;        (in Kotlin, C, C++ and TypeScript it may name all values: it counts as an end)
        case 1: throw e;
    }

What a compiler can't tell either, a call of what seems never to come back, counts as an end where the language lets
functions say so. A walk from the last statement back; it goes down only where a statement may be an end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import tree_sitter

from transforms.bodies.python_flow import NEVER_RETURNS
from transforms.languages.syntax import Source

Node = tree_sitter.Node

_FUNCTIONS_TYPES: Final = (
    "lambda_expression arrow_function function_expression generator_function function_declaration "
    "generator_function_declaration method_definition method_declaration func_literal lambda_literal "
    "anonymous_function local_function_statement anonymous_method_expression class_body declaration_list "
    "closure_expression function_item async_block function_definition"
)
_JUMPS_TYPES: Final = (
    "return_statement throw_statement goto_statement co_return_statement break_statement continue_statement "
    "jump_expression fallthrough_statement preproc_if preproc_ifdef"
)
_SWITCHES_TYPES: Final = (
    "switch_statement switch_expression expression_switch_statement type_switch_statement select_statement "
    "when_expression"
)
_HOLDERS_TYPES: Final = (
    "block compound_statement statement_block statement_list statements control_structure_body else_clause "
    "function_body switch_section switch_block_statement_group case_statement switch_case switch_default "
    "finally_clause expression_case default_case type_case communication_case switch_rule catch_clause catch_block "
    "finally_block when_entry labeled_statement synchronized_statement lock_statement using_statement "
    "fixed_statement checked_statement unsafe_statement labeled_expression"
)
FUNCTIONS: Final = frozenset(_FUNCTIONS_TYPES.split())
_JUMPS: Final = frozenset(_JUMPS_TYPES.split())
_LOOPS: Final = ("while_statement", "for_statement", "do_statement", "do_while_statement")
_EVERY_LOOP: Final = (*_LOOPS, "for_in_statement", "for_range_loop", "enhanced_for_statement", "foreach_statement")
_SWITCHES: Final = frozenset(_SWITCHES_TYPES.split())
_HOLDERS: Final = frozenset(_HOLDERS_TYPES.split())
_FALLS_THROUGH: Final = ("java", "c", "cpp", "javascript", "typescript", "tsx")
_NAMES_ALL_VALUES: Final = ("kotlin", "c", "cpp", "typescript", "tsx")
_BY_FUNCTIONS: Final = ("kotlin", "c", "cpp", "javascript", "typescript", "tsx")
_FATAL: Final = re.compile(r"\w*LOG\w*\(\s*\w*FATAL\w*\s*[,)]|\w*assert\w*\(\s*(?:false|0)\b", re.I)
CALLED_NAME: Final = re.compile(r"(\w+)\s*(?:<[^()]*>)?\s*!?\s*[({]")
COMMENTS: Final = ("comment", "line_comment", "block_comment", "multiline_comment")


def passes_end(source: Source, block: Node) -> bool:
    """Whether control can reach the end of a block."""
    return _passes(source, block)


def _passes(source: Source, node: Node) -> bool:
    kind = node.type
    if kind in _JUMPS or (kind == "yield_statement" and node.named_child_count == 0):
        return False
    if kind in _HOLDERS or (kind == "prefix_expression" and source.grammar == "kotlin"):  # `@Suppress("...") return x`
        return _all_pass(source, node)
    if kind in ("if_statement", "if_expression"):
        branches = [node.child_by_field_name(name) for name in ("consequence", "alternative")]
        return any(branch is None or _passes(source, branch) for branch in branches)
    if kind in _LOOPS:
        return not _is_endless(source, node) or _breaks(source, node)
    if kind in _SWITCHES:
        return _switch_passes(source, node)
    if kind in ("try_statement", "try_with_resources_statement", "try_expression"):
        return _try_passes(source, node)
    return not _never_returns(source, node)


def _all_pass(source: Source, node: Node) -> bool:
    return all(_passes(source, child) for child in reversed(node.named_children) if child.type not in COMMENTS)


def _is_endless(source: Source, loop: Node) -> bool:
    """Whether only a jump leaves the loop: `for (;;)`, `while (true)`, Go's `for {`."""
    condition = loop.child_by_field_name("condition")
    if source.grammar == "go":
        head = [child for child in loop.named_children if child.type not in ("block", *COMMENTS)]
        return not head or (head[0].type == "for_clause" and head[0].child_by_field_name("condition") is None)
    if source.grammar == "kotlin":
        condition = next((child for child in loop.named_children if child.type == "boolean_literal"), None)
        return source.text(condition) == "true"
    if loop.type == "for_statement":
        return source.text(condition).strip("; ") in ("", "true", "1")
    return source.text(condition).strip("() ") in ("true", "1")


def _breaks(source: Source, node: Node) -> bool:
    """Whether a `break` may leave a loop or a switch; one with a label counts as one that does."""
    waiting = [(child, True) for child in node.named_children]
    while waiting:
        child, is_own = waiting.pop()
        if child.type in FUNCTIONS:
            continue
        if child.type == "break_statement" or (child.type == "jump_expression" and _is_break(source, child)):
            if is_own or child.named_child_count or "@" in source.text(child):
                return True
            continue
        if source.grammar == "kotlin":
            is_inner = child.type in _EVERY_LOOP  # since 1.4 a `break` in a `when` is of the loop around it
        else:
            is_inner = child.type in _EVERY_LOOP or child.type in _SWITCHES
        waiting += [(grandchild, is_own and not is_inner) for grandchild in child.named_children]
    return False


def _is_break(source: Source, node: Node) -> bool:
    return source.text(node).startswith("break")


def _switch_passes(source: Source, node: Node) -> bool:
    body = node.child_by_field_name("body") or node
    sections = [child for child in body.named_children if child.type in _HOLDERS]
    if not sections:
        return True
    has_default = source.grammar in _NAMES_ALL_VALUES or node.type == "select_statement"
    if not has_default and not any(_is_default(source, section) for section in sections):
        return True
    if source.grammar != "kotlin" and _breaks(source, node):
        return True
    if source.grammar in _FALLS_THROUGH and sections[-1].type != "switch_rule":
        return _all_pass(source, sections[-1])
    return any(_section_passes(source, section) for section in sections)


def _section_passes(source: Source, section: Node) -> bool:
    """C# writes several labels of one section as sections without statements."""
    if source.grammar == "csharp" and not any(
        c.type.endswith("statement") or c.type == "block" for c in section.children
    ):
        return False
    return _all_pass(source, section)


def _is_default(source: Source, section: Node) -> bool:
    return (
        source.text(section)[:60].startswith("default")
        or re.match(r"case null, default\b", source.text(section)) is not None
    )


def _try_passes(source: Source, node: Node) -> bool:
    blocks, handlers = [], []
    for child in node.named_children:
        if child.type in ("finally_clause", "finally_block"):
            if not _passes(source, child):
                return False
        elif child.type in ("catch_clause", "catch_block"):
            handlers.append(child)
        elif child.type in ("block", "compound_statement", "statement_block", "statements"):
            blocks.append(child)
    if not blocks:
        return True
    return _passes(source, blocks[0]) or any(_handler_passes(source, handler) for handler in handlers)


def _handler_passes(source: Source, handler: Node) -> bool:
    body = handler.child_by_field_name("body")
    return _passes(source, body) if body is not None else _all_pass(source, handler)


def _never_returns(source: Source, node: Node) -> bool:
    if node.type == "expression_statement" and node.named_child_count == 1:
        node = node.named_children[0]
    if source.grammar == "go":
        return node.type == "call_expression" and source.text(node.child_by_field_name("function")) == "panic"
    if source.grammar not in _BY_FUNCTIONS:
        return False
    if source.grammar == "kotlin" and node.type == "call_expression" and _lambda_ends(source, node):
        return True
    text = source.text(node)
    called = CALLED_NAME.search(text)
    if node.type in ("call_expression", "await_expression", "macro_invocation") and called is not None:
        return NEVER_RETURNS.fullmatch(called[1]) is not None or _FATAL.match(text) is not None
    return _FATAL.match(text) is not None


def _lambda_ends(source: Source, call: Node) -> bool:
    """Kotlin: `lock.withLock { return x }`, whose type has no values then, and `state.loop { }`."""
    if re.search(r"(?:\A|\.)(?:loop|forever)\s*\Z", source.text(call.named_children[0])):
        return True
    last: Node | None = call.named_children[-1]
    while last is not None and last.type in ("call_suffix", "annotated_lambda"):
        last = last.named_children[-1] if last.named_child_count else None
    return (
        last is not None
        and last.type == "lambda_literal"
        and any(child.type == "statements" and not _all_pass(source, child) for child in last.named_children)
    )


def returned(source: Source, block: Node) -> list[str]:
    """What the block's own `return` statements return, each as text; "" for a bare one."""
    found, waiting = [], [block]
    while waiting:
        node = waiting.pop()
        if node.type in ("return_statement", "return_expression", "co_return_statement") or (
            node.type == "jump_expression" and source.text(node).startswith("return")
        ):
            found.append(" ".join(source.text(child) for child in node.named_children))
        if node is block or node.type not in FUNCTIONS:
            waiting += node.named_children
    return found


def own_nodes(block: Node) -> Iterable[Node]:
    """The named nodes of a block that run with it: not those of a function within it, but that function's node."""
    waiting: list[Node] = [block]
    while waiting:
        node = waiting.pop()
        yield node
        if node is block or node.type not in FUNCTIONS:
            waiting.extend(node.named_children)
