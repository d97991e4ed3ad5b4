"""Declarations of a definition: parameter names, type parameters, whether it returns a value, what it raises.

A destructured parameter (`{a, b}` in JavaScript, a tuple in Rust) has the name "": its documentation may use any name
for it. Receivers (`self`, `this`, Go's receiver) are omitted, as documentation omits them. Results that can't be
decided from the syntax alone are None.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import tree_sitter

from transforms.languages.syntax import Source
from transforms.symbols.effects import Effects

Node = tree_sitter.Node

_VOID = {"void", "unit", "()", "none", "nothing", "never", "undefined"}

_READERS = {
    "python": "_python_parameter",
    "javascript": "_javascript_parameter",
    "typescript": "_javascript_parameter",
    "tsx": "_javascript_parameter",
    "java": "_java_parameter",
    "kotlin": "_kotlin_parameter",
    "go": "_go_parameter",
    "rust": "_rust_parameter",
    "c": "_c_parameter",
    "cpp": "_c_parameter",
    "csharp": "_csharp_parameter",
}


class Signatures:
    """Reads signatures in one file."""

    def __init__(self, source: Source):
        self._data = source.data
        self._source = source
        self._grammar = source.grammar

    @functools.cached_property
    def effects(self) -> Effects:
        """What bodies do, on first use: two queries of the whole file."""
        return Effects(self._source)

    def text(self, node: Node | None) -> str:
        """A node's own text; "" for no node."""
        # Node.text would call the parser's read callback again, which crashes py-tree-sitter 0.26.
        return self._data[node.start_byte : node.end_byte].decode("utf-8", "replace") if node is not None else ""

    def name_of(self, node: Node) -> str:
        """The name that a definition declares, without its scope; "" for none."""
        if node.type in ("lexical_declaration", "variable_declaration"):
            declarator = _first(node, "variable_declarator")
            return self.text(declarator.child_by_field_name("name")) if declarator else ""
        if node.type == "expression_statement":
            target = _assigned(node)
            return self.text(target.child_by_field_name("property")) if target is not None else ""
        if node.type in ("field_definition", "public_field_definition"):
            return self.text(node.child_by_field_name("property") or node.child_by_field_name("name"))
        if node.type == "impl_item":
            names = (n for n in _walk(node.child_by_field_name("type")) if n.type == "type_identifier")
            return next((self.text(n) for n in names), "")
        if self._grammar == "kotlin":
            return self.text(_first(node, "simple_identifier") or _first(node, "type_identifier"))
        if self._grammar in ("c", "cpp") and (declarator := self._function_declarator(node)):
            return self.text(declarator.child_by_field_name("declarator")).split("::")[-1]
        return self.text(node.child_by_field_name("name"))

    def parameters_of(self, node: Node) -> list[str]:
        """The names of a function's parameters in order, without receivers."""
        holder = self._parameter_list(node)
        if holder is None:
            return []
        if holder.type == "identifier":  # JavaScript: x => x
            return [self.text(holder)]
        reader = getattr(self, _READERS[self._grammar])
        return [name for child in holder.named_children for name in reader(child)] + self._csharp_params_array(holder)

    def type_parameters_of(self, node: Node) -> list[str]:
        """The names of type parameters (`T` in `List<T>`), which documentation may name."""
        found = node.child_by_field_name("type_parameters") or _first(node, "type_parameters", "type_parameter_list")
        if found is None and node.parent is not None and node.parent.type == "template_declaration":
            found = node.parent.child_by_field_name("parameters")
        if found is None:
            return []
        names = (n for n in _walk(found) if n.type in ("type_identifier", "identifier", "lifetime"))
        return list(dict.fromkeys(self.text(n).lstrip("'") for n in names))

    def returns_value(self, node: Node) -> bool | None:
        """Whether calling the function returns a value; None if the syntax alone can't decide."""
        function = self.function_of(node)
        if self._grammar == "python" or self._grammar == "javascript":
            return self.effects.returns_value(function)
        declared = self._declared_return(function)
        if declared is None:
            if self._grammar in ("typescript", "tsx"):
                return self.effects.returns_value(function)
            if self._grammar == "kotlin":  # fun f() = expression returns the expression's value
                body = _first(function, "function_body")
                return None if body is not None and self.text(body).startswith("=") else False
            return None if self._grammar in ("c", "cpp") else False
        bare = declared.strip().lstrip(":").strip().lower()
        if bare.startswith(("promise<void", "task<void")) or bare in ("task", "valuetask", "auto", "any"):
            return None
        return bare not in _VOID

    def result_types(self, node: Node) -> tuple[str, ...]:
        """The declared type of the result, else the types of the returned literals; () if neither is known."""
        function = self.function_of(node)
        declared = self._declared_return(function)
        return (declared.lstrip(":").strip(),) if declared else self.effects.result_types(function)

    def function_of(self, node: Node) -> Node:
        """The function in `const f = () => ...`, `exports.f = function () {...}` and the like, else the node itself."""
        value = _value(node)
        return value if value is not None else node

    def scope_of(self, node: Node) -> str:
        """The qualifier of a definition's name in its signature: Go's receiver, C++'s `Shape::`, JavaScript's
        `Shape.prototype`; "" without one.
        """
        if node.type == "method_declaration" and self._grammar == "go":
            names = (n for n in _walk(node.child_by_field_name("receiver")) if n.type == "type_identifier")
            return next((self.text(n) for n in names), "")
        if self._grammar == "cpp" and (declarator := self._function_declarator(node)):
            return ".".join(self.text(declarator.child_by_field_name("declarator")).split("::")[:-1])
        if node.type == "expression_statement" and (target := _assigned(node)) is not None:
            parts = self.text(target.child_by_field_name("object")).split(".")
            return ".".join(part for part in parts if part not in ("module", "exports", "prototype", "this"))
        return ""

    def _function_declarator(self, node: Node) -> Node | None:
        """C and C++: the declarator with the parameter list, inside pointers and references."""
        current = node.child_by_field_name("declarator")
        while current is not None and current.type != "function_declarator":
            current = current.child_by_field_name("declarator") or (
                _first_child(current) if current.type == "reference_declarator" else None
            )
        return current

    def _parameter_list(self, node: Node) -> Node | None:
        function = self.function_of(node)
        if self._grammar in ("c", "cpp"):
            declarator = self._function_declarator(function)
            return declarator.child_by_field_name("parameters") if declarator else None
        if self._grammar == "kotlin":
            return _first(function, "function_value_parameters", "primary_constructor")
        if self._grammar == "csharp":
            return function.child_by_field_name("parameters") or _first(function, "parameter_list")
        return function.child_by_field_name("parameters") or function.child_by_field_name("parameter")

    def _python_parameter(self, node: Node) -> list[str]:
        if node.type == "identifier":
            return [self.text(node)]
        if node.type in ("default_parameter", "typed_default_parameter"):
            return [self.text(node.child_by_field_name("name"))]
        if node.type in ("typed_parameter", "list_splat_pattern", "dictionary_splat_pattern"):
            inner = _first_child(node)
            return self._python_parameter(inner) if inner is not None else []
        return []

    def _javascript_parameter(self, node: Node) -> list[str]:
        if node.type in ("required_parameter", "optional_parameter"):
            pattern = node.child_by_field_name("pattern")
            return self._javascript_parameter(pattern) if pattern is not None else []
        if node.type == "assignment_pattern":
            left = node.child_by_field_name("left")
            return self._javascript_parameter(left) if left is not None else []
        if node.type == "rest_pattern":
            inner = _first_child(node)
            return self._javascript_parameter(inner) if inner is not None else []
        if node.type == "identifier":
            return [self.text(node)]
        return [""] if node.type in ("object_pattern", "array_pattern") else []

    def _java_parameter(self, node: Node) -> list[str]:
        if node.type == "spread_parameter":
            declarator = _first(node, "variable_declarator")
            return [self.text(declarator.child_by_field_name("name"))] if declarator else []
        return [self.text(node.child_by_field_name("name"))] if node.type == "formal_parameter" else []

    def _kotlin_parameter(self, node: Node) -> list[str]:
        return [self.text(_first(node, "simple_identifier"))] if node.type in ("parameter", "class_parameter") else []

    def _go_parameter(self, node: Node) -> list[str]:
        return [self.text(name) for name in node.children_by_field_name("name")]

    def _rust_parameter(self, node: Node) -> list[str]:
        pattern = node.child_by_field_name("pattern") if node.type == "parameter" else None
        if pattern is None:
            return []
        if pattern.type in ("mut_pattern", "ref_pattern"):
            pattern = _first_child(pattern) or pattern
        return [self.text(pattern) if pattern.type == "identifier" else ""]

    def _c_parameter(self, node: Node) -> list[str]:
        if node.type not in (
            "parameter_declaration",
            "optional_parameter_declaration",
            "variadic_parameter_declaration",
        ):
            return []
        current = node.child_by_field_name("declarator")
        while current is not None and current.type not in ("identifier", "field_identifier"):
            inner = current.child_by_field_name("declarator")
            current = inner if inner is not None else _first_child(current)
        return [self.text(current)] if current is not None else []

    def _csharp_parameter(self, node: Node) -> list[str]:
        return [self.text(node.child_by_field_name("name"))] if node.type == "parameter" else []

    def _csharp_params_array(self, holder: Node) -> list[str]:
        """C#'s `params T[] rest` has its name on the list itself in this grammar."""
        return [self.text(name) for name in holder.children_by_field_name("name")] if self._grammar == "csharp" else []

    def _declared_return(self, function: Node) -> str | None:
        """The return type as written, or None if there is none."""
        if self._grammar in ("c", "cpp"):
            declared = self.text(function.child_by_field_name("type"))
            declarator = function.child_by_field_name("declarator")
            trailing = _first(declarator, "trailing_return_type") if declarator is not None else None
            if trailing is not None:
                return self.text(trailing).lstrip("->").strip()
            is_pointer = declarator is not None and declarator.type in ("pointer_declarator", "reference_declarator")
            return f"{declared} *" if declared and is_pointer else declared or "void"  # constructors have no type
        if self._grammar == "kotlin":
            children = function.named_children
            after = [i for i, child in enumerate(children) if child.type == "function_value_parameters"]
            following = children[after[0] + 1 :] if after else []
            return next((self.text(c) for c in following if c.type.endswith("_type")), None)
        for field in ("return_type", "returns", "result", "type"):
            found = function.child_by_field_name(field)
            if found is not None:
                return self.text(found)
        return None


def _first(node: Node, *types: str) -> Node | None:
    return next((child for child in node.named_children if child.type in types), None)


def _first_child(node: Node) -> Node | None:
    return node.named_child(0) if node.named_child_count else None


def _walk(node: Node | None) -> Iterator[Node]:
    stack = [node] if node is not None else []
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(current.named_children))


def _assigned(node: Node) -> Node | None:
    """JavaScript: the `a.b` of a statement `a.b = ...`."""
    inner = _first_child(node)
    left = inner.child_by_field_name("left") if inner is not None and inner.type == "assignment_expression" else None
    return left if left is not None and left.type == "member_expression" else None


def _value(node: Node) -> Node | None:
    """JavaScript: the value that a declaration, an assignment or a field names."""
    if node.type in ("lexical_declaration", "variable_declaration"):
        declarator = _first(node, "variable_declarator")
        return declarator.child_by_field_name("value") if declarator is not None else None
    if node.type == "expression_statement":
        inner = _first_child(node)
        return inner.child_by_field_name("right") if inner is not None else None
    return node.child_by_field_name("value") if node.type in ("field_definition", "public_field_definition") else None
