"""Which nodes of each grammar are symbols, which nodes wrap them, and how their comments look.

One `SymbolGrammar` per language, used by `find`. A test compiles every query against its grammar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, kw_only=True)
class SymbolGrammar:
    """How one language expresses symbols and documentation.

    Args:
        definitions: Node type -> `class` or `function` (a function whose nearest symbol is a class is a method).
        extra: Tree-sitter patterns in addition to plain node types, captured as `@class`, `@function`, or `@scope`: a
            node that is not a symbol, but qualifies the names inside it and makes its functions methods (Rust's
            `impl`).
        wrappers: Nodes around a definition that belong to it: exports, decorators, templates.
        comments: Node types of comments.
        doc_openers: How a documentation comment starts.
        attributes: Sibling nodes that may be between documentation and definition.
        module_doc_openers: How the documentation of the file itself starts; empty if the language has none.
    """

    definitions: dict[str, Literal["class", "function"]]
    extra: str = ""
    wrappers: frozenset[str] = frozenset()
    comments: frozenset[str] = frozenset({"comment"})
    doc_openers: tuple[bytes, ...] = (b"/**",)
    attributes: frozenset[str] = frozenset()
    module_doc_openers: tuple[bytes, ...] = ()


# Functions that get their name from a declaration, an assignment (`exports.f = function () {}`) or a class's field.
_JAVASCRIPT_EXTRA: Final = """
    (lexical_declaration . (variable_declarator value: [(arrow_function) (function_expression)]) .) @function
    (variable_declaration . (variable_declarator value: [(arrow_function) (function_expression)]) .) @function
    (expression_statement (assignment_expression left: (member_expression)
        right: [(arrow_function) (function_expression) (generator_function)])) @function
    (FIELD value: [(arrow_function) (function_expression)]) @function
"""
_JAVASCRIPT = SymbolGrammar(
    definitions={
        "function_declaration": "function",
        "generator_function_declaration": "function",
        "method_definition": "function",
        "class_declaration": "class",
    },
    extra=_JAVASCRIPT_EXTRA.replace("FIELD", "field_definition"),
    wrappers=frozenset({"export_statement"}),
    module_doc_openers=(b"/**",),
)
_TYPESCRIPT = SymbolGrammar(
    definitions={
        **_JAVASCRIPT.definitions,
        "abstract_class_declaration": "class",
        "interface_declaration": "class",
        "enum_declaration": "class",
        "function_signature": "function",
        "method_signature": "function",
        "abstract_method_signature": "function",
    },
    extra=_JAVASCRIPT_EXTRA.replace("FIELD", "public_field_definition"),
    wrappers=_JAVASCRIPT.wrappers | {"ambient_declaration"},
    attributes=frozenset({"decorator"}),
    module_doc_openers=(b"/**",),
)
_C = SymbolGrammar(
    definitions={"function_definition": "function"},
    extra="(struct_specifier name: (_) body: (_)) @class (enum_specifier name: (_) body: (_)) @class "
    "(union_specifier name: (_) body: (_)) @class "
    "(declaration declarator: (function_declarator)) @function "
    "(declaration declarator: (pointer_declarator (function_declarator))) @function",
    wrappers=frozenset({"type_definition", "linkage_specification"}),
    doc_openers=(b"/**", b"/*!", b"///", b"//!"),
    module_doc_openers=(b"/**", b"/*!", b"///", b"//!"),
)

SYMBOL_GRAMMARS: Final[dict[str, SymbolGrammar]] = {
    "python": SymbolGrammar(
        definitions={"function_definition": "function", "class_definition": "class"},
        wrappers=frozenset({"decorated_definition"}),
        doc_openers=(),
    ),
    "javascript": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "java": SymbolGrammar(
        definitions={
            "class_declaration": "class",
            "interface_declaration": "class",
            "enum_declaration": "class",
            "record_declaration": "class",
            "annotation_type_declaration": "class",
            "method_declaration": "function",
            "constructor_declaration": "function",
        },
        comments=frozenset({"line_comment", "block_comment"}),
    ),
    "kotlin": SymbolGrammar(
        definitions={"class_declaration": "class", "object_declaration": "class", "function_declaration": "function"},
        comments=frozenset({"line_comment", "multiline_comment"}),
    ),
    "go": SymbolGrammar(
        definitions={"function_declaration": "function", "method_declaration": "function", "type_spec": "class"},
        wrappers=frozenset({"type_declaration"}),
        doc_openers=(b"//", b"/*"),
        module_doc_openers=(b"//", b"/*"),
    ),
    "rust": SymbolGrammar(
        definitions={
            "function_item": "function",
            "function_signature_item": "function",
            "struct_item": "class",
            "enum_item": "class",
            "union_item": "class",
            "trait_item": "class",
        },
        extra="(impl_item) @scope",
        comments=frozenset({"line_comment", "block_comment"}),
        doc_openers=(b"///", b"/**"),
        attributes=frozenset({"attribute_item"}),
        module_doc_openers=(b"//!", b"/*!"),
    ),
    "c": _C,
    "cpp": SymbolGrammar(
        definitions=_C.definitions,
        extra=_C.extra + " (class_specifier name: (_) body: (_)) @class "
        "(field_declaration declarator: (function_declarator)) @function",
        wrappers=_C.wrappers | {"template_declaration"},
        doc_openers=_C.doc_openers,
        module_doc_openers=_C.module_doc_openers,
    ),
    "csharp": SymbolGrammar(
        definitions={
            "class_declaration": "class",
            "interface_declaration": "class",
            "struct_declaration": "class",
            "enum_declaration": "class",
            "record_declaration": "class",
            "method_declaration": "function",
            "constructor_declaration": "function",
            "local_function_statement": "function",
        },
        doc_openers=(b"///", b"/**"),
    ),
}


def symbol_query(grammar: str) -> str:
    """The tree-sitter query for all symbols except the module, as `@class` and `@function`, and for their scopes."""
    spec = SYMBOL_GRAMMARS[grammar]
    plain = " ".join(f"({node_type}) @{kind}" for node_type, kind in spec.definitions.items())
    return f"{plain} {spec.extra}".strip()
