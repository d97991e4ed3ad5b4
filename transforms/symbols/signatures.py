"""What a definition declares: parameter names, type parameters, whether it returns a value, what it raises.

A parameter that a pattern takes apart (`{a, b}` in JavaScript, a tuple in Rust) has the name "": its documentation
may call it anything. Receivers (`self`, `this`, Go's receiver) are left out, as documentation leaves them out.
Answers that the syntax alone can't give are None.
"""

from __future__ import annotations

from collections.abc import Iterator

import tree_sitter

from transforms.fim.syntax import Source, captures

Node = tree_sitter.Node

_VOID = {"void", "unit", "()", "none", "nothing", "never", "undefined"}
# Nodes whose `return`, `yield` and `throw` are their own and not those of the function around them.
_SCOPES = (
    "function_definition lambda class_definition function_declaration function_expression arrow_function "
    "method_definition generator_function_declaration generator_function lambda_expression anonymous_function "
    "lambda_literal func_literal closure_expression local_function_statement object_literal class_body "
    "anonymous_method_expression function_item method_declaration constructor_declaration declaration_list"
)
_EFFECTS = (
    "return_statement yield yield_expression yield_statement raise_statement throw_statement throw_expression throws "
    "jump_expression"
)

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
        self._grammar = source.grammar
        self._effects = _effects_by_scope(source)

    def text(self, node: Node | None) -> str:
        """A node's own text; "" for no node."""
        # Node.text would ask the parser's read callback again, which py-tree-sitter 0.26 does not survive.
        return self._data[node.start_byte : node.end_byte].decode("utf-8", "replace") if node is not None else ""

    def name_of(self, node: Node) -> str:
        """The name that a definition gives, without its scope; "" for none."""
        if node.type == "lexical_declaration":
            declarator = _first(node, "variable_declarator")
            return self.text(declarator.child_by_field_name("name")) if declarator else ""
        if self._grammar == "kotlin":
            return self.text(_first(node, "simple_identifier") or _first(node, "type_identifier"))
        if self._grammar in ("c", "cpp") and (declarator := self._function_declarator(node)):
            return self.text(declarator.child_by_field_name("declarator"))
        return self.text(node.child_by_field_name("name"))

    def parameters_of(self, node: Node) -> list[str]:
        """The names of a function's parameters in order, receivers left out."""
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
        """Whether calling the function gives a value; None where the syntax alone can't tell."""
        function = self._function_node(node)
        if self._grammar == "python" or self._grammar == "javascript":
            return self._returns_by_statements(function)
        declared = self._declared_return(function)
        if declared is None:
            if self._grammar in ("typescript", "tsx"):
                return self._returns_by_statements(function)
            if self._grammar == "kotlin":  # fun f() = expression gives what the expression gives
                body = _first(function, "function_body")
                return None if body is not None and self.text(body).startswith("=") else False
            return None if self._grammar in ("c", "cpp") else False
        bare = declared.strip().lstrip(":").strip().lower()
        if bare.startswith(("promise<void", "task<void")) or bare in ("task", "valuetask", "auto", "any"):
            return None
        return bare not in _VOID

    def is_generator(self, node: Node) -> bool:
        """Whether the function yields."""
        return any(
            n.type in ("yield", "yield_expression", "yield_statement")
            for n in self._own_effects(self._function_node(node))
        )

    def raised_names(self, node: Node) -> list[str]:
        """The types that the function's own body raises by name, in order, each once."""
        names = []
        for n in self._own_effects(self._function_node(node)):
            if n.type in ("raise_statement", "throw_statement", "throw_expression") or (
                n.type == "jump_expression" and self.text(n).startswith("throw")
            ):
                thrown = _first_child(n)
                name = self._type_name(thrown) if thrown is not None else ""
                if name:
                    names.append(name)
            elif n.type == "throws":  # Java's clause
                names += [self.text(c) for c in n.named_children]
        return list(dict.fromkeys(names))

    def _own_effects(self, function: Node) -> list[Node]:
        """What the function returns, yields and throws itself, not what functions within it do, in order."""
        return self._effects.get((function.start_byte, function.end_byte), [])

    def _function_node(self, node: Node) -> Node:
        """The function in `const f = () => ...`, else the node itself."""
        if node.type == "lexical_declaration":
            declarator = _first(node, "variable_declarator")
            value = declarator.child_by_field_name("value") if declarator else None
            return value if value is not None else node
        return node

    def _function_declarator(self, node: Node) -> Node | None:
        """C and C++: the declarator with the parameter list, under pointers and references."""
        current = node.child_by_field_name("declarator")
        while current is not None and current.type != "function_declarator":
            current = current.child_by_field_name("declarator") or (
                _first_child(current) if current.type == "reference_declarator" else None
            )
        return current

    def _parameter_list(self, node: Node) -> Node | None:
        function = self._function_node(node)
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
        """The return type as it is written, or None where none is."""
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

    def _returns_by_statements(self, function: Node) -> bool | None:
        """By what the body does: `return value` or `yield`; None without a body; an arrow's expression is a value."""
        body = function.child_by_field_name("body")
        if body is None:
            return None
        if function.type == "arrow_function" and body.type != "statement_block":
            return True
        for node in self._own_effects(function):
            if node.type in ("yield", "yield_expression"):
                return True
            if node.type == "return_statement":
                value = _first_child(node)
                if value is not None and value.type not in ("none", "comment") and self.text(value) != "undefined":
                    return True
        return False

    def _type_name(self, node: Node) -> str:
        """`ValueError` of `ValueError("x")`, `E` of `new E()`, `runtime_error` of `std::runtime_error("x")`."""
        for field in ("function", "constructor", "type"):
            inner = node.child_by_field_name(field)
            if inner is not None:
                return self._type_name(inner)
        if node.type == "call_expression":  # Kotlin
            inner = _first_child(node)
            return self._type_name(inner) if inner is not None else ""
        if node.type in ("new_expression", "call"):
            return ""
        name = self.text(node).replace("::", ".").split("<")[0].split(".")[-1].strip()
        return name if name[:1].isupper() or node.type in ("qualified_identifier", "type_identifier") else ""


def _first(node: Node, *types: str) -> Node | None:
    return next((child for child in node.named_children if child.type in types), None)


def _first_child(node: Node) -> Node | None:
    return node.named_child(0) if node.named_child_count else None


def _walk(node: Node) -> Iterator[Node]:
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(current.named_children))


def _effects_by_scope(source: Source) -> dict[tuple[int, int], list[Node]]:
    """The effects of a file by the span of the innermost scope around each: one query, one sweep."""
    found = captures(source, f"{_alternatives(source, _SCOPES)} @scope {_alternatives(source, _EFFECTS)} @effect")
    nodes = [(node, name == "scope") for name, group in found.items() for node in group]
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


def _alternatives(source: Source, types: str) -> str:
    """A query for those of the node types that the grammar knows."""
    language = source.tree.language
    known = [f"({name})" for name in types.split() if language.id_for_node_kind(name, True) is not None]
    return f"[{' '.join(known)}]"
