"""Effects of functions that a caller observes: return, yield, raise, call. One query and one sweep per file.

    def f(x):                  own effects of f: the raise and the last return, not those of g
        def g(): return 1
        if not x: raise KeyError(x)
        return "a"

An effect belongs to the innermost enclosing function. Results that can't be decided from the syntax alone are None.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import tree_sitter

from transforms.languages.syntax import Source, captures

Node = tree_sitter.Node

# Nodes whose `return`, `yield` and `throw` belong to them and not to the enclosing function.
_SCOPES: Final = (
    "function_definition lambda class_definition function_declaration function_expression arrow_function "
    "method_definition generator_function_declaration generator_function lambda_expression anonymous_function "
    "lambda_literal func_literal closure_expression local_function_statement object_literal class_body "
    "anonymous_method_expression function_item method_declaration constructor_declaration declaration_list"
)
_EFFECTS: Final = (
    "return_statement yield yield_expression yield_statement raise_statement throw_statement throw_expression throws "
    "jump_expression"
)
_CALLS: Final = (
    "call call_expression new_expression method_invocation object_creation_expression invocation_expression "
    "macro_invocation await await_expression constructor_initializer field_initializer constructor_delegation_call"
)
_THROWS: Final = ("raise_statement", "throw_statement", "throw_expression", "jump_expression")
# Literal node types and their type names; documentation names types in these two languages only.
_LITERALS: Final = {
    "python": {
        "string": "str",
        "concatenated_string": "str",
        "integer": "int",
        "float": "float",
        "true": "bool",
        "false": "bool",
        "list": "list",
        "list_comprehension": "list",
        "dictionary": "dict",
        "dictionary_comprehension": "dict",
        "set": "set",
        "set_comprehension": "set",
        "tuple": "tuple",
        "expression_list": "tuple",
        "none": "none",
    },
    "javascript": {
        "string": "string",
        "template_string": "string",
        "number": "number",
        "true": "boolean",
        "false": "boolean",
        "array": "array",
        "null": "null",
    },
}
_PLACEHOLDERS: Final = ("pass_statement", "ellipsis", "string", "comment", "raise_statement", "throw_statement")


class Effects:
    """The effects of all functions of one file."""

    def __init__(self, source: Source):
        self._source = source
        found = captures(source, f"{_known(source, _SCOPES)} @scope {_known(source, _EFFECTS)} @effect")
        self._owned = _by_scope([(n, name == "scope") for name, group in found.items() for n in group])
        calls = captures(source, f"{_known(source, _CALLS)} @call").get("call", [])
        # From the throwing node down, since `Node.parent` descends from the root.
        raised = {child.id for n in found.get("effect", ()) if n.type in _THROWS for child in n.children}
        self._calls = [n.start_byte for n in calls if n.id not in raised]

    def is_generator(self, function: Node) -> bool:
        """Whether the function yields."""
        return any(n.type in ("yield", "yield_expression", "yield_statement") for n in self._own(function))

    def has_calls(self, start: int, end: int) -> bool:
        """Whether a range of bytes contains any call, apart from calls in raised expressions."""
        at = bisect_left(self._calls, start)
        return at < len(self._calls) and self._calls[at] < end

    def raised_names(self, function: Node) -> list[str]:
        """The types that the function's own body raises by name, in order, without duplicates."""
        names = []
        for n in self._own(function):
            if n.type in _THROWS and (n.type != "jump_expression" or self._text(n).startswith("throw")):
                thrown = _first_child(n)
                if thrown is not None and (name := self._type_name(thrown)):
                    names.append(name)
            elif n.type == "throws":  # Java's clause
                names += [self._text(c) for c in n.named_children]
        return list(dict.fromkeys(names))

    def returns_value(self, function: Node) -> bool | None:
        """Whether the body returns a value: `return value` or `yield`. None without a body or with a placeholder body;
        an arrow function's expression is a value.
        """
        body = function.child_by_field_name("body")
        if body is None:
            return None
        if function.type == "arrow_function" and body.type != "statement_block":
            return True
        if self.is_generator(function) or any(self._is_value(n) for n in self._returned(function)):
            return True
        return None if self._is_placeholder(body) else False

    def result_types(self, function: Node) -> tuple[str, ...]:
        """The types of the returned values, if all are literals; () if that is unknown."""
        literals = _LITERALS["python" if self._source.grammar == "python" else "javascript"]
        is_promise = self._source.grammar != "python" and any(child.type == "async" for child in function.children)
        if is_promise or self.is_generator(function):  # Python's coroutines are documented by what they give
            return ()
        types = [literals.get(n.type, "") for n in self._returned(function)]
        return tuple(dict.fromkeys(types)) if all(types) else ()

    def _own(self, function: Node) -> list[Node]:
        return self._owned.get((function.start_byte, function.end_byte), [])

    def _returned(self, function: Node) -> list[Node]:
        """The expression after each `return`, without comments (`return /** @type {T} */ (x)`)."""
        statements = [n for n in self._own(function) if n.type == "return_statement"]
        return [child for n in statements for child in n.named_children if child.type != "comment"]

    def _is_value(self, node: Node) -> bool:
        return node.type != "none" and self._text(node) != "undefined"

    def _is_placeholder(self, body: Node) -> bool:
        """Whether the body is only `pass`, `...`, strings and raises: the result of an abstract method is unknown."""
        found = [n.named_children[0] if _is_bare(n) else n for n in body.named_children]
        return all(n.type in _PLACEHOLDERS for n in found)

    def _type_name(self, node: Node) -> str:
        """`ValueError` of `ValueError("x")`, `E` of `new E()`, `runtime_error` of `std::runtime_error("x")`."""
        while (inner := _callee(node)) is not None:
            node = inner
        if node.type == "call_expression":
            return ""
        if node.type in ("new_expression", "call"):
            return ""
        name = self._text(node).replace("::", ".").split("<")[0].split(".")[-1].strip()
        return name if name[:1].isupper() or node.type in ("qualified_identifier", "type_identifier") else ""

    def _text(self, node: Node) -> str:
        return self._source.text(node)


def _callee(node: Node) -> Node | None:
    """What a call or `new` names: a field, or in Kotlin the first child."""
    for field in ("function", "constructor", "type"):
        if (inner := node.child_by_field_name(field)) is not None:
            return inner
    return _first_child(node) if node.type == "call_expression" else None


def _is_bare(node: Node) -> bool:
    """Whether a statement is only an expression."""
    return node.type == "expression_statement" and node.named_child_count == 1


def _first_child(node: Node) -> Node | None:
    return node.named_child(0) if node.named_child_count else None


def _by_scope(nodes: list[tuple[Node, bool]]) -> dict[tuple[int, int], list[Node]]:
    """Groups effects by the span of their innermost enclosing scope. Takes nodes, each with whether it is a scope."""
    nodes.sort(key=lambda item: (item[0].start_byte, -item[0].end_byte))
    owned: dict[tuple[int, int], list[Node]] = {}
    around: list[Node] = []
    for node, is_scope in nodes:
        while around and around[-1].end_byte <= node.start_byte:
            around.pop()
        if is_scope:
            around.append(node)
        elif around:
            owned.setdefault((around[-1].start_byte, around[-1].end_byte), []).append(node)
    return owned


def _known(source: Source, types: str) -> str:
    """A query for the node types among these that the grammar has."""
    language = source.tree.language
    known = [f"({name})" for name in types.split() if language.id_for_node_kind(name, True) is not None]
    return f"[{' '.join(known)}]"
